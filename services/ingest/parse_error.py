"""The one error for a file that cannot be taken as a whole."""

from __future__ import annotations

from typing import Literal

ParseCode = Literal[
    "empty-file",
    "no-rows",
    "not-csv",
    "not-utf-8",
    "nul-bytes",
    "unclosed-quote",
    "stray-quote",
    "field-too-long",
    "row-too-long",
    "no-phone-column",
    "no-such-column",
    "ambiguous-column",
]


class ParseError(ValueError):
    """A file cannot be taken: `code` is for programs, the message says where and the way out.

    `row` counts as a spreadsheet does, the header's row being 1; `column` is a heading.
    Either is `None` where the trouble has no such place.
    """

    def __init__(
        self, code: ParseCode, message: str, *, row: int | None = None, column: str | None = None
    ) -> None:
        super().__init__(message)
        self.code: ParseCode = code
        self.row = row
        self.column = column
