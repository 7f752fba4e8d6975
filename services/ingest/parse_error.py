"""The one error for a file that cannot be taken as a whole."""

from __future__ import annotations

from typing import Literal

ParseCode = Literal[
    # What there is none of.
    "empty-file",
    "no-rows",
    # Files of another kind.
    "not-a-table",
    "old-excel",
    "open-document",
    "zip-archive",
    "wrong-option",
    # Compression.
    "gzip-cut",
    "gzip-damaged",
    "gzip-twice",
    "unpacks-too-large",
    # Text.
    "bad-encoding",
    "nul-bytes",
    "field-too-long",
    "row-too-long",
    # CSV.
    "unclosed-quote",
    "stray-quote",
    "bad-delimiter",
    # JSON.
    "bad-json",
    "cut-json",
    "json-too-deep",
    "json-not-objects",
    "json-object",
    "too-many-columns",
    # Workbooks.
    "damaged-workbook",
    "encrypted-workbook",
    "several-sheets",
    "no-such-sheet",
    # Columns.
    "no-phone-column",
    "no-such-column",
    "ambiguous-column",
    "uncertain-column",
]


class ParseError(ValueError):
    """A file cannot be taken: `code` is for programs, the message says where and the way out.

    `row` counts as the program that wrote the file does: a spreadsheet's rows from 1, the
    header's row among them; the lines of JSON Lines, and the objects of a JSON array, from 1.
    `column` is a heading. Either is `None` where the trouble has no such place.
    """

    def __init__(
        self, code: ParseCode, message: str, *, row: int | None = None, column: str | None = None
    ) -> None:
        super().__init__(message)
        self.code: ParseCode = code
        self.row = row
        self.column = column


class UnplacedError(Exception):
    """Trouble that has a row, met below the level of rows: whoever counts them makes it whole."""

    def __init__(self, code: ParseCode, message: str) -> None:
        super().__init__(message)
        self.code: ParseCode = code

    def at(self, row: int) -> ParseError:
        """Say in which row it is."""
        return ParseError(self.code, f"Row {row}: {self}", row=row)
