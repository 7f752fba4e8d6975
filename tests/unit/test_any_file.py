"""Whatever is sent, in any format: each row is accepted, or rejected with a reason."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contracts.messages import LookupRequest, RejectedContact
from services.contracts.reject_reasons import SENTENCES
from services.ingest.options import Options
from services.ingest.parse import open_contacts
from services.ingest.parse_error import ParseError
from services.ingest.tally import Tally
from tests.unit.held_source import HeldScratch, HeldSource, opened
from tests.unit.judging import records_of
from tests.unit.workbooks import workbook

HEADINGS = ["Phone", "Country", "ID", "Note", "Other"]
#: Has a cell under each heading that is read, so that a file without any other row has them too.
FIRST: list[Any] = ["+12025550123", "US", "1", "x", "y"]
OPTIONS = Options(default_country="US")


def _csv(rows: list[list[Any]], delimiter: str = ",", encoding: str = "utf-8") -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerows(["" if cell is None else cell for cell in row] for row in rows)
    return text.getvalue().encode(encoding)


def _objects(rows: list[list[Any]]) -> list[dict[str, Any]]:
    headings, *others = rows
    # A row may be shorter than the headings; what is longer has keys of its own.
    keys = [*headings, *"abc"]
    return [dict(zip(keys, row, strict=False)) for row in others]


#: How a format is written, and by how much its row numbers lie above places in the list of rows.
FORMATS: dict[str, tuple[Callable[[list[list[Any]]], bytes], int]] = {
    "csv": (_csv, 1),
    "semicolons, UTF-16": (lambda rows: _csv(rows, ";", "utf-16"), 1),
    "tsv": (lambda rows: _csv(rows, "\t", "utf-8-sig"), 1),
    "json-lines": (lambda rows: "\n".join(map(json.dumps, _objects(rows))).encode(), 0),
    "json-array": (lambda rows: json.dumps(_objects(rows), indent=1).encode(), 0),
    "xlsx": (workbook, 1),
}


CELL = (
    st.sampled_from(["+12025550124", "2025550124", "", " ", None, "n/a", "a\nb", "4.4E+11", "DE", 2025550124])
    | st.integers(-(10**6), 10**15 - 1)
    | st.text(
        st.characters(min_codepoint=32, exclude_categories=["Cs", "Cc", "Cn", "Co"]), max_size=8
    )
    # In a workbook it would be a formula, which has no value before a spreadsheet reckons it.
).filter(lambda cell: not str(cell).startswith("="))  # fmt: skip


@pytest.mark.parametrize("form", FORMATS)
@given(rows=st.lists(st.lists(CELL, max_size=7), max_size=8), compressed=st.booleans())
def test_any_rows_are_accepted_or_rejected(
    form: str, rows: list[list[Any]], compressed: bool
) -> None:
    """Accepted and rejected are all rows with text, each under its own number, in every format."""
    write, above = FORMATS[form]
    data = write([HEADINGS, FIRST, *rows])
    data = gzip.compress(data[:9]) + gzip.compress(data[9:]) if compressed else data
    contacts = open_contacts(HeldSource(data), OPTIONS, is_json=False)
    tally = Tally(HeldScratch)
    numbers = []
    for record in records_of(contacts):
        numbers.append(record.row)
        if isinstance(record, RejectedContact):
            assert record.reason in SENTENCES
            tally.reject(record.reason)
        else:
            tally.accept(record.phone)
    filled = [
        place + above
        for place, row in enumerate([FIRST, *rows], start=1)
        if any(str(cell).strip() for cell in row if cell is not None)
    ]
    assert numbers == filled
    counts = tally.counts()
    assert counts.accepted + counts.rejected == len(filled)


HEADED = [
    b"",
    b"Phone,ID\n+12025550123,1\n",
    b"Phone\tID\r\n",
    b'{"Phone":"+12025550123"}\n',
    b'[{"Phone":"+12025550123"},',
    workbook([HEADINGS, FIRST])[:-30],
]


@given(
    st.booleans(),
    st.sampled_from(HEADED),
    st.binary(max_size=60) | st.text('{}[]":,+1 \n\r\t\\aPhone', max_size=60).map(str.encode),
    st.integers(0, 20),
)
def test_any_bytes_are_accepted_or_rejected(
    compressed: bool, head: bytes, tail: bytes, cut: int
) -> None:
    """Of any bytes: all rows up to where they stop being a file, or the one error, as a whole."""
    data = gzip.compress(head + tail) if compressed else head + tail
    data = data[: len(data) - cut]
    try:
        contacts = open_contacts(HeldSource(data), OPTIONS, is_json=False)
    except ParseError:
        return
    records: list[LookupRequest | RejectedContact] = []
    fault = _until_error(records_of(contacts), records)
    rows: list[tuple[int, list[str]]] = []
    reading = _until_error(iter(opened(data).rows()), rows)
    filled = [number for number, cells in rows if any(map(str.strip, cells))]
    assert [record.row for record in records] == filled[contacts.has_header and not is_keys(rows) :]
    assert fault == reading or (fault is not None and fault.startswith("no-rows"))
    assert bool(records) or fault is not None


def is_keys(rows: list[tuple[int, list[str]]]) -> bool:
    """Keys of JSON that are blank are headings, and no row with text."""
    return bool(rows) and rows[0][0] == 0 and not any(map(str.strip, rows[0][1]))


def _until_error(items: Iterator[Any], into: list[Any]) -> str | None:
    """Take all items; gives the error that ended them."""
    try:
        into.extend(items)
    except ParseError as error:
        return f"{error.code} {error.row}"
    return None
