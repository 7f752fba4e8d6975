"""Reads contacts from a file: which columns, and of each row the number as written.

Rows come from a reader of the format (`csv_rows`), numbered; what they mean is decided here,
the same for any format. Nothing is held but the row at hand. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, field_validator

from services.ingest.columns import Columns, find_columns
from services.ingest.csv_rows import read_rows
from services.ingest.parse_error import ParseError
from services.ingest.phone import region_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from services.ingest.reasons import RowReason

#: Characters a client's reference may have, as on `contacts.inbound`.
MAX_REFERENCE = 512


class Options(BaseModel):
    """How to read a file; what is not given is found from the headings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: Headings of the columns to read.
    phone_column: str | None = None
    country_column: str | None = None
    reference_column: str | None = None
    #: ISO 3166 region of nationally written numbers in rows that name no country.
    default_country: str | None = None

    @field_validator("*", mode="before")
    @classmethod
    def _blank_is_not_given(cls, value: object) -> object:
        return None if isinstance(value, str) and not value.strip() else value

    @field_validator("default_country")
    @classmethod
    def _known_country(cls, value: str | None) -> str | None:
        if value is None:
            return None
        region = region_of(value)
        if region is None:
            raise ValueError("is no country; give two letters (ISO 3166) such as DE, US or GB")
        return region


@dataclass(frozen=True, slots=True)
class Row:
    """A contact of the file, its number not looked at yet."""

    #: As a spreadsheet counts, the header's row being 1.
    number: int
    phone_text: str = field(repr=False)
    #: The row's own, as written, or the default; `phone.normalise` reads it.
    country: str | None
    reference: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be taken; `text` is what stands for the number, not masked yet."""

    number: int
    column: str
    reason: RowReason
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Contacts:
    """A file opened at its first contact: the columns found, and the rows, to be read once.

    Rows without any text are counted and left out. Going over `rows` raises `ParseError`
    where the file stops being readable, and at its end if there was no contact in it.
    """

    columns: Columns
    rows: Iterator[Row | BadRow]


def parse_csv(chunks: Iterable[bytes], options: Options) -> Contacts:
    """Open a CSV file given as chunks of bytes, cut anywhere, and read its header.

    Raises `ParseError` when it is empty, no CSV file, or its columns are not clear.
    """
    return read_contacts(read_rows(chunks), options)


def read_contacts(rows: Iterator[tuple[int, list[str]]], options: Options) -> Contacts:
    """Open a file given as numbered rows of cells; the first with any text is the header.

    Raises `ParseError` when there is none, or its columns are not clear.
    """
    header = next((cells for _, cells in rows if any(map(str.strip, cells))), None)
    if header is None:
        raise ParseError(
            "empty-file",
            "The file is empty. Send a row of headings, one of them 'Phone', and the contacts.",
        )
    columns = find_columns(
        header,
        phone=options.phone_column,
        country=options.country_column,
        reference=options.reference_column,
    )
    return Contacts(columns, _contacts(rows, columns, len(header), options.default_country))


def _contacts(
    rows: Iterator[tuple[int, list[str]]],
    columns: Columns,
    width: int,
    default_country: str | None,
) -> Iterator[Row | BadRow]:
    phone = columns.phone
    # A column there is none of is read past the last one, where every cell is blank.
    country = columns.country.index if columns.country else width
    reference = columns.reference.index if columns.reference else width
    empty = True
    for number, cells in rows:
        count = len(cells)
        if not any(map(str.strip, cells)):
            continue
        empty = False
        if count <= phone.index:
            yield BadRow(number, phone.heading, "too-few-cells", "")
            continue
        text = cells[phone.index]
        if count > width and any(map(str.strip, cells[width:])):
            yield BadRow(number, phone.heading, "too-many-cells", text)
            continue
        client_reference = _cell(cells, reference)
        if len(client_reference) > MAX_REFERENCE:
            yield BadRow(number, phone.heading, "reference-too-long", text)
            continue
        yield Row(number, text, _cell(cells, country) or default_country, client_reference or None)
    if empty:
        raise ParseError(
            "no-rows", "The file has headings and no contacts. Add a row for each contact."
        )


def _cell(cells: list[str], index: int) -> str:
    """Read a cell that the row need not have."""
    return cells[index].strip() if index < len(cells) else ""
