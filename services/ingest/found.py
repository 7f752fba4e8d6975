"""What was found in a file, as its sender is told: how it is read, and which columns."""

from __future__ import annotations

from pydantic import BaseModel, Field

from services.ingest.columns import By, Column
from services.ingest.parse import Contacts
from services.ingest.tables.table import EncodingBy, Kind


class FoundColumn(BaseModel):
    """A column that is read."""

    column: str = Field(
        description="Its heading; its letters, as a spreadsheet has them, if there is none."
    )
    by: By = Field(
        description="Whether it was named (`option`), or found by its `heading` or by the "
        "`content` of its cells."
    )


class FoundFile(BaseModel):
    """What a file was found to be."""

    kind: Kind
    compressed: bool = Field(description="Whether it is compressed with gzip.")
    encoding: str | None = Field(description="Of a text.")
    encoding_by: EncodingBy | None = Field(
        description="Whether the sender said so (`option`), a byte order `mark` does, or it was "
        "found by the `content`."
    )
    delimiter: str | None = Field(description="What stands between the cells of a CSV file.")
    sheet: str | None = Field(description="The sheet of a workbook.")
    header: bool = Field(description="Whether the first row holds headings.")
    header_by: By = Field(
        description="Whether the sender said so (`option`), headings do, or a number in the "
        "first row (`content`)."
    )
    phone: list[FoundColumn] = Field(description="The columns of numbers.")
    country: FoundColumn | None = Field(description="The column of countries, if there is one.")
    reference: FoundColumn | None = Field(description="The column of your own ids.")
    kept: list[FoundColumn] = Field(
        default=[], description="The columns that come back with the results."
    )


def found_in(contacts: Contacts) -> FoundFile:
    """Describe a file whose columns are known."""
    file, columns = contacts.file, contacts.columns
    return FoundFile(
        kind=file.kind,
        compressed=file.compressed,
        encoding=file.encoding,
        encoding_by=file.encoding_by,
        delimiter=file.delimiter,
        sheet=file.sheet,
        header=contacts.has_header,
        header_by=contacts.header_by,
        phone=[_column(column) for column in columns.phones],
        country=_column(columns.country) if columns.country else None,
        reference=_column(columns.reference) if columns.reference else None,
        kept=[_column(column) for column in columns.kept],
    )


def _column(column: Column) -> FoundColumn:
    return FoundColumn(column=column.heading, by=column.by)
