"""Files that LibreOffice Calc saved are read as their sheet shows them: see `calc/README.md`."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.ingest.options import Options
from services.ingest.parse import BadRow, Row, open_contacts
from services.ingest.phone import Phone, normalise
from tests.unit.held_source import HeldSource

FILES = Path(__file__).parent / "calc"
#: Row, reference, number or the reason against it, and the two cells behind.
CONTACTS = [
    (2, "00017", "+4930231255550", ["2021-03-05", "eine Zahl"]),
    (3, "00018", "+493023125551", ["2020-11-30", "mit Strichen"]),
    (4, "00019", "+33170189912", ["", "führende Null"]),
    (5, "00020", "+493023125553", ["2019-01-01", "Formel, Text"]),
    (6, "00021", "+4930231255554", ["", "Formel, Zahl"]),
    (7, "00022", "+4930231255557", ["", "Null verloren"]),
    (8, "00023", "spreadsheet-damaged", ["", "Fehler"]),
    (9, "00024", "letters", ["", "zwei Zeilen; Strichpunkt"]),
    (10, "00025", "too-short", ["", "Wahrheitswert"]),
    (11, "00026", "spreadsheet-damaged", ["", "Datum"]),
    (12, "00027", "empty", ["", '"leer"']),
    (13, "00028", "+493023125560", ["", "mehr"]),
]


def outcome(row: Row | BadRow) -> tuple[int, str, str, list[str]]:
    if isinstance(row, BadRow):
        return row.number, row.cells[0], row.reason, row.cells[4:]
    phone = normalise(row.phone_text, row.country, "valid")
    said = phone.e164 if isinstance(phone, Phone) else phone.reason
    return row.number, row.reference or "", said, row.cells[4:]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("kunden.xlsx", ("xlsx", None, None, "Kunden")),
        ("kunden-semicolon-windows-1252.csv", ("csv", "windows-1252", ";", None)),
        ("kunden-tab-utf-16.csv", ("tsv", "utf-16-le", "\t", None)),
    ],
)
def test_one_list_is_the_same_in_every_format(
    name: str, found: tuple[str, str | None, str | None, str | None]
) -> None:
    """What is found of the file is what Calc was told, and each row comes out as in the others."""
    source = HeldSource((FILES / name).read_bytes())
    contacts = open_contacts(source, Options(), is_json=False)
    file = contacts.file
    assert (file.kind, file.encoding, file.delimiter, file.sheet) == found
    assert list(map(outcome, contacts.rows())) == CONTACTS
