"""What every reader of files gives: numbered rows of cells, and what the file was found to be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, ClassVar, Literal, Protocol

#: The sender said so, a byte order mark does, or the bytes allow nothing else.
EncodingBy = Literal["option", "mark", "content"]
Kind = Literal["csv", "tsv", "json-lines", "json-array", "xlsx"]

#: Characters a cell may have.
MAX_FIELD = 64 * 1024
#: Characters a row may have, over all its lines.
MAX_ROW = 1024 * 1024
#: Bytes read at a time.
CHUNK = 64 * 1024

#: The number of a row, as the program that wrote the file counts, and its cells.
Rows = Iterator[tuple[int, list[str]]]


class Made(str):
    """A cell whose text is ours, made of a value that is neither text nor a whole number.

    A row is rejected for `reason` when such a cell stands where a phone number should.
    """

    __slots__ = ()
    reason: ClassVar[Literal["spreadsheet-damaged", "nested-value"]] = "spreadsheet-damaged"


class Nested(Made):
    """A JSON object or array as the value of a cell, as JSON: no column that is read has it."""

    __slots__ = ()
    reason = "nested-value"


class Scratch(Protocol):
    """A file of our own beside an upload, for what is too much for memory."""

    def append(self, data: bytes) -> None:
        """Put bytes at its end."""

    def read_at(self, offset: int, size: int) -> bytes:
        """Read bytes from a place."""


class Source(Protocol):
    """An upload on disk."""

    def open(self) -> BinaryIO:
        """Read it from its start; can seek, and minds no other reader."""

    def scratch(self) -> Scratch:
        """Make a file that vanishes with the upload."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a file is, as its sender is told before anything is paid."""

    kind: Kind
    compressed: bool
    #: Of text: `utf-8`, `utf-16-le`, `utf-16-be` or `windows-1252`.
    encoding: str | None = None
    encoding_by: EncodingBy | None = None
    #: Of CSV and TSV.
    delimiter: str | None = None
    #: Of a workbook.
    sheet: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A file opened as a table.

    `rows()` reads it from its start, as often as it is called; the first row with any text is
    the headings. Rows without text may be left out, but are counted. Going over the rows
    raises `ParseError` where the file stops being readable, after all rows before that place.
    """

    found: Found
    rows: Callable[[], Rows]


def read_head(file: BinaryIO, size: int = CHUNK) -> bytes:
    """Read so many bytes, fewer only at the end; a plain read may give fewer anywhere."""
    parts: list[bytes] = []
    while size > 0 and (data := file.read(size)):
        parts.append(data)
        size -= len(data)
    return b"".join(parts)
