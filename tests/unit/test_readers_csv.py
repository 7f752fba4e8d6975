"""How CSV and TSV become rows of cells, however they are written and cut."""

from __future__ import annotations

import csv
import io
import tracemalloc
from typing import BinaryIO, Literal, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.parse_error import ParseCode, ParseError
from services.ingest.tables.opening import Said, open_table
from services.ingest.tables.table import MAX_FIELD, MAX_ROW, Scratch
from tests.unit.held_source import opened, read


def failure(data: bytes, said: Said | None = None) -> ParseError:
    with pytest.raises(ParseError) as caught:
        read(data, said or Said())
    return caught.value


@pytest.mark.parametrize(
    ("text", "delimiter", "kind"),
    [
        ("Phone,Name\n1,A\n", ",", "csv"),
        ("Phone;Name\n1;A\n", ";", "csv"),
        ("Phone\tName\n1\tA\n", "\t", "tsv"),
        ("Phone|Name\r1|A\r", "|", "csv"),
        ("\r\n \r\nPhone;Name\r\n1;A\r\n", ";", "csv"),
        ("Phone\n1\n", ",", "csv"),
        ('"a,b,c";Phone\n', ";", "csv"),
        ("Name, first\tPhone\n", "\t", "tsv"),
    ],
)
def test_the_delimiter_is_found_from_the_headings(text: str, delimiter: str, kind: str) -> None:
    """Most often outside quotes wins; if two are level, the one that is rarer in prose."""
    found = opened(text.encode()).found
    assert (found.delimiter, found.kind) == (delimiter, kind)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Name, first;Phone, mobile\nA;1\n", Said(delimiter=";")),
        ("sep=;\nName, first;Phone, mobile\nA;1\n", Said()),
        ("sep=;\r\nName, first;Phone, mobile\r\nA;1\r\n", Said()),
        ('"SEP=;"\rName, first;Phone, mobile\rA;1\r', Said()),
        ("\ufeffsep=;\nName, first;Phone, mobile\nA;1\n", Said()),
        ("sep=,\nName, first;Phone, mobile\nA;1\n", Said(delimiter=";")),
    ],
)
def test_the_delimiter_can_be_said(text: str, said: Said) -> None:
    """By the option or by Excel's own line, which is no row; the option comes first."""
    assert read(text.encode(), said) == [(1, ["Name, first", "Phone, mobile"]), (2, ["A", "1"])]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_breaks_in_quotes_are_part_of_a_cell(end: str) -> None:
    """A row is what a spreadsheet shows as one, whatever ends the lines."""
    text = f'Phone,Notes{end}1,"a{end}{end}say ""b""{end}"{end}{end}2,c'
    assert read(text.encode()) == [
        (1, ["Phone", "Notes"]),
        (2, ["1", f'a{end}{end}say "b"{end}']),
        (3, []),
        (4, ["2", "c"]),
    ]


def test_rows_need_not_be_of_one_length() -> None:
    """What is missing or too much in a row is seen where rows are judged."""
    assert read(b"Phone,Name\n1\n2,B,C\n") == [
        (1, ["Phone", "Name"]),
        (2, ["1"]),
        (3, ["2", "B", "C"]),
    ]


@pytest.mark.parametrize(
    ("data", "code", "row", "says"),
    [
        (b'Phone,Notes\n1,"a\n2,b\n', "unclosed-quote", 2, "Row 2"),
        (b'Phone\n1\n"2', "unclosed-quote", 3, "Row 3"),
        (b'Phone,Notes\n1,"a"b\n', "stray-quote", 2, "Row 2"),
        (b'Phone,Notes\n1,"a\n2,"b"\n', "stray-quote", 2, "Row 2"),
        (b'sep=;\nPhone;Notes\n1;"a\n', "unclosed-quote", 2, "Row 2"),
        (b"sep=^\nPhone^Notes\n", "bad-delimiter", 1, "`sep=`"),
        (b"Phone\n1\n2\x00\n", "nul-bytes", 3, "NUL"),
        (b"\0\0\0\0\0\0", "nul-bytes", 1, "NUL"),
        (
            b"Phone,Notes\n1,x\n2," + b"x" * (MAX_FIELD + 1) + b"\n",
            "field-too-long",
            3,
            "column 'Notes'",
        ),
        (b"Phone,Notes\n1," + b"x" * 3 * MAX_FIELD, "field-too-long", 2, "Row 2"),
        (b"Phone,Notes\n1," + b"x" * MAX_ROW, "row-too-long", 2, "Row 2"),
        (b"Phone,Notes\n1," + b"x," * MAX_ROW, "row-too-long", 2, "Row 2"),
        (b"x" * 2 * MAX_ROW, "row-too-long", 1, "Row 1"),
        (b"Phone,Notes\n1," + b"x,\r" * 10 + b'"' + b"\n" * MAX_ROW, "field-too-long", 12, "Row"),
    ],
)
def test_csv_that_cannot_be_read(data: bytes, code: ParseCode, row: int, says: str) -> None:
    """Each fault has its code, the row where it is, and a way out."""
    error = failure(data)
    assert (error.code, error.row) == (code, row)
    assert says in str(error)
    assert str(error).endswith(".")


class _Endless(io.RawIOBase):
    """A file of one line, made while it is read."""

    def __init__(self, begin: bytes, size: int) -> None:
        self._begin = begin
        self._left = size

    def read(self, size: int = -1, /) -> bytes:
        size = min(size, self._left)
        self._left -= size
        begin, self._begin = self._begin[:size], self._begin[size:]
        return begin + b"x" * (size - len(begin))


class _LongLine:
    def __init__(self, begin: bytes) -> None:
        self._begin = begin

    def open(self) -> BinaryIO:
        return cast("BinaryIO", _Endless(self._begin, 200_000_000))

    def scratch(self) -> Scratch:
        raise NotImplementedError


@pytest.mark.parametrize(
    "begin", [b"", b"Phone\n1\n", b'Phone\n1\n"', b'{"Phone":"', b'[{"Phone":"']
)
def test_a_line_of_200_mb_is_refused_in_little_memory(begin: bytes) -> None:
    """Nothing of the line is held beyond the longest row that there may be."""
    tracemalloc.start()
    try:
        with pytest.raises(ParseError) as caught:
            list(open_table(_LongLine(begin), Said(), lambda: None).rows())
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert caught.value.code in {"row-too-long", "field-too-long"}
    assert most < 16 * MAX_ROW


def test_a_cell_at_the_limit_is_read() -> None:
    """Exactly the longest cell allowed is a cell."""
    assert len(read(b"Phone,Notes\n1," + b"x" * MAX_FIELD + b"\n")) == 2


def test_rows_before_a_fault_are_given() -> None:
    """Reading stops at the fault and not before it, so that its row can be told."""
    rows = opened(b"Phone\n1\n2\n3\n\0\n").rows()
    assert [next(rows)[0] for _ in range(4)] == [1, 2, 3, 4]
    with pytest.raises(ParseError, match="Row 5: "):
        next(rows)


CELLS = st.text(
    alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8
)
#: Only where it ends lines itself does the csv module quote a cell for a CR or LF in it.
LINE_ENDS: list[tuple[str, Literal[0, 1]]] = [
    ("\n", csv.QUOTE_ALL),
    ("\r\n", csv.QUOTE_ALL),
    ("\r", csv.QUOTE_ALL),
    ("\r\n", csv.QUOTE_MINIMAL),
]
#: Python's own names; `said` as the options call them, `None` where it is found.
ENCODINGS = [
    ("utf-8", None),
    ("utf-8-sig", None),
    ("utf-8", "utf-8"),
    ("utf-16", None),
    ("utf-16-le", "utf-16-le"),
    ("utf-16-be", "utf-16-be"),
]


@given(
    st.lists(st.tuples(CELLS, CELLS), max_size=6),
    st.sampled_from(",;\t|"),
    st.sampled_from(LINE_ENDS),
    st.sampled_from(ENCODINGS),
    st.integers(1, 7),
)
def test_what_a_csv_writer_wrote_is_read_back(
    rows: list[tuple[str, str]],
    delimiter: str,
    lines: tuple[str, Literal[0, 1]],
    encoding: tuple[str, str | None],
    sip: int,
) -> None:
    """The same cells, in any dialect and encoding, however the bytes come in."""
    text = io.StringIO()
    line_end, quoting = lines
    writer = csv.writer(text, delimiter=delimiter, lineterminator=line_end, quoting=quoting)
    table = [("Phone", "Notes"), *rows]
    writer.writerows(table)
    written, said = encoding
    data = text.getvalue().encode(written)
    assert read(data, Said(encoding=said), sip) == [  # type: ignore[arg-type]  # of ENCODINGS
        (number, list(cells)) for number, cells in enumerate(table, start=1)
    ]


@given(st.binary(max_size=200), st.integers(1, 5))
def test_where_bytes_are_cut_makes_no_difference(data: bytes, sip: int) -> None:
    """Rows, and the fault that ends them, are the same for bytes that come in small pieces."""

    def outcome(size: int) -> object:
        try:
            return read(b'Phone,"No\r\ntes"\r\n' + data, sip=size)
        except ParseError as error:
            return error.code, error.row, str(error)

    assert outcome(sip) == outcome(1 << 20)
