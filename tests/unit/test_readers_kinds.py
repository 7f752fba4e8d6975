"""What a file is found to be by its bytes, compressed or not, and what is no table."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.parse_error import ParseCode, ParseError
from services.ingest.tables import unpack
from services.ingest.tables.opening import Said
from services.ingest.tables.unpack import Gunzip
from tests.unit.held_source import HeldSource, opened, read
from tests.unit.workbooks import packed, workbook

CSV = b"Phone,Name\n+44 1,A\n"
CSV_ROWS = [(1, ["Phone", "Name"]), (2, ["+44 1", "A"])]
OBJECT = b'{"Phone": "+44 1", "Name": "A"}'
JSON_ROWS = [(0, ["Phone", "Name"]), (1, ["+44 1", "A"])]
WORKBOOK = workbook([["Phone", "Name"], ["+44 1", "A"]])


def failure(data: bytes, said: Said | None = None) -> ParseError:
    with pytest.raises(ParseError) as caught:
        read(data, said or Said())
    return caught.value


@pytest.mark.parametrize("compress", [lambda data: data, gzip.compress])
@pytest.mark.parametrize(
    ("data", "kind", "rows"),
    [
        (CSV, "csv", CSV_ROWS),
        (CSV.replace(b",", b"\t"), "tsv", CSV_ROWS),
        (OBJECT, "json-lines", JSON_ROWS),
        (b"\n \n" + OBJECT + b"\n", "json-lines", [JSON_ROWS[0], (3, JSON_ROWS[1][1])]),
        (b"[" + OBJECT + b"]", "json-array", JSON_ROWS),
        (b" \n[\n" + OBJECT + b"\n]\n", "json-array", JSON_ROWS),
        (b"\xef\xbb\xbf[" + OBJECT + b"]", "json-array", JSON_ROWS),
        (OBJECT.decode().encode("utf-16"), "json-lines", JSON_ROWS),
        (WORKBOOK, "xlsx", CSV_ROWS),
    ],
)
def test_a_file_is_what_its_bytes_say(
    compress: object, data: bytes, kind: str, rows: list[object]
) -> None:
    """Each format is told from its content, as it is and compressed with gzip."""
    given = compress(data)  # type: ignore[operator]  # one of two functions
    table = opened(given)
    assert (table.found.kind, table.found.compressed) == (kind, given != data)
    assert list(table.rows()) == rows
    assert list(table.rows()) == rows


@pytest.mark.parametrize("heading", ["[Phone]", "{Phone}", '{Phone"}', "[Phone"])
def test_brackets_around_a_heading_are_no_json(heading: str) -> None:
    """SQL Server writes headings so; a CSV file it stays."""
    assert opened(f"{heading},Name\n1,A\n".encode()).found.kind == "csv"


@pytest.mark.parametrize(
    ("data", "code", "names"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "not-a-table", "PNG"),
        (b"%PDF-1.7\n", "not-a-table", "PDF"),
        (b"\xff\xd8\xff\xe0", "not-a-table", "JPEG"),
        (b"7z\xbc\xaf'\x1c", "not-a-table", "7z"),
        (b"BZh91AY&SY", "not-a-table", "bzip2"),
        (b"{\\rtf1\\ansi", "not-a-table", "RTF"),
        (b"<html><table><tr><td>Phone", "not-a-table", "web page"),
        (b"\xef\xbb\xbf\r\n<?xml version='1.0'?><Workbook>", "not-a-table", "XML"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "old-excel", ".xls"),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
            + bytes(65_500)
            + "EncryptedPackage".encode("utf-16-le"),
            "encrypted-workbook",
            "password",
        ),
        (packed({"a.csv": CSV}), "zip-archive", "Unpack it"),
        (packed({}), "zip-archive", "Unpack it"),
        (packed({"mimetype": b"application/vnd.oasis.opendocument"}), "open-document", ".ods"),
        (packed({"word/document.xml": b"<a/>"}), "not-a-table", ".docx"),
        (packed({"xl/workbook.bin": b""}), "not-a-table", ".xlsb"),
        (b"PK\x03\x04rest of it", "damaged-workbook", "ZIP"),
        (WORKBOOK[:-100], "damaged-workbook", "ZIP"),
    ],
)
def test_a_file_of_another_kind_is_named(data: bytes, code: ParseCode, names: str) -> None:
    """The sender is told what it is, and what to send instead."""
    error = failure(data)
    assert (error.code, error.row) == (code, None)
    assert names in str(error)
    assert str(error).endswith(".")


@pytest.mark.parametrize(
    ("data", "said", "option"),
    [
        (CSV, Said(sheet="A"), "`sheet`"),
        (WORKBOOK, Said(delimiter=";"), "`delimiter`"),
        (WORKBOOK, Said(encoding="utf-8"), "`encoding`"),
        (OBJECT, Said(delimiter=";"), "`delimiter`"),
        (b"[" + OBJECT + b"]", Said(delimiter=";"), "`delimiter`"),
    ],
)
def test_an_option_that_means_nothing_is_refused(data: bytes, said: Said, option: str) -> None:
    """Who gives it expects another file."""
    error = failure(data, said)
    assert error.code == "wrong-option"
    assert option in str(error)


@pytest.mark.parametrize("data", [CSV, b'"+44 20"', b"42", b"null"])
def test_what_is_called_json_is_not_read_as_csv(data: bytes) -> None:
    """Type or name speak where the content does not show JSON."""
    assert failure(data, Said(json=True)).code == "json-not-objects"
    assert read(OBJECT, Said(json=True)) == JSON_ROWS


@pytest.mark.parametrize("data", [b"", b"\n \n", gzip.compress(b"")])
@pytest.mark.parametrize("said", [Said(), Said(json=True)])
def test_an_empty_file_has_no_rows(data: bytes, said: Said) -> None:
    """It is no fault of the reader's: that there are no headings is told by whoever wants them."""
    assert [cells for _, cells in read(data, said) if any(map(str.strip, cells))] == []


# gzip --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        gzip.compress(CSV[:7]) + gzip.compress(CSV[7:]),
        gzip.compress(CSV) + bytes(1000),
        gzip.compress(b"") + gzip.compress(CSV) + gzip.compress(b""),
    ],
)
@pytest.mark.parametrize("sip", [1, 10, 1 << 20])
def test_gzip_of_several_members_is_one_file(data: bytes, sip: int) -> None:
    """As gzip itself reads it, padding included."""
    assert read(data, sip=sip) == CSV_ROWS


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (gzip.compress(CSV)[:-9], "gzip-cut"),
        (gzip.compress(CSV)[:12], "gzip-cut"),
        (gzip.compress(CSV)[:2], "gzip-cut"),
        (gzip.compress(CSV)[:-6] + b"abcdef", "gzip-damaged"),
        (gzip.compress(CSV) + b"more", "gzip-damaged"),
        (b"\x1f\x8b" + bytes(100), "gzip-damaged"),
        (gzip.compress(b"") * 1100, "gzip-damaged"),
        (gzip.compress(gzip.compress(CSV)), "gzip-twice"),
        (gzip.compress(bytes(70 * 1024**2), 9), "unpacks-too-large"),
        (gzip.compress(b"%PDF-1.7"), "not-a-table"),
    ],
)
def test_gzip_that_cannot_be_read(data: bytes, code: ParseCode) -> None:
    """Cut, damaged, nested or a bomb: each is told apart."""
    error = failure(data)
    assert error.code == code
    assert str(error).endswith(".")


def test_a_file_may_unpack_to_so_much_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is an end, whatever the rate of compression."""
    monkeypatch.setattr(unpack, "MAX_UNPACKED", len(CSV))
    assert read(gzip.compress(CSV)) == CSV_ROWS
    assert failure(gzip.compress(CSV + b"1")).code == "unpacks-too-large"


@given(
    st.binary(max_size=300),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 50)), max_size=8),
    st.integers(1, 40),
)
def test_what_gzip_holds_can_be_sought(data: bytes, moves: list[tuple[int, int]], sip: int) -> None:
    """It reads as a plain file does that is no longer than it is."""
    file = Gunzip(HeldSource(gzip.compress(data), sip).open())
    for place, size in moves:
        assert file.seek(place) == min(place, len(data))
        assert file.read(size) == data[place : place + size][: file.tell() - min(place, len(data))]
    assert file.seek(0, 2) == len(data)


@given(
    st.binary(max_size=200), st.sampled_from([b"", b"PK\x03\x04", b"\x1f\x8b\x08\0", b"[{", b'{"'])
)
def test_any_bytes_are_rows_or_an_error(data: bytes, begin: bytes) -> None:
    """Whatever is sent, it is a table or the one error, never another."""
    for given_data in (begin + data, gzip.compress(begin + data), zlib.compress(begin + data)):
        try:
            rows = read(given_data)
        except ParseError:
            continue
        assert all(isinstance(cell, str) for _, cells in rows for cell in cells)
