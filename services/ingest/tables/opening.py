"""Opens an upload as a table: finds by its content what it is, and reads what a reader must know.

The bytes decide, not a name or a header, which are often wrong. Before the rows can be read
again and again, text of unknown encoding is read once to its end (or to where it is certain),
JSON once for its keys, and a workbook's shared strings once. Memory stays the same however
large the file is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, cast

from services.ingest.parse_error import ParseError, UnplacedError
from services.ingest.tables.csv_rows import csv_table
from services.ingest.tables.encodings import Encoding, decode, find_encoding
from services.ingest.tables.json_rows import json_table, objects_of_array, objects_of_lines
from services.ingest.tables.other_kinds import ZIP, check_is_table
from services.ingest.tables.table import Found, Kind, Source, Table, read_head
from services.ingest.tables.unpack import GZIP, Gunzip
from services.ingest.tables.watched import Watched
from services.ingest.tables.xlsx import xlsx_table
from services.ingest.tables.xlsx_package import Package

_SIGNATURE = 4
# A heading may stand in brackets, as SQL Server writes it: JSON shows what it is behind them.
_ARRAY = re.compile(r'\[\s*(?:[{\]"\[\d-]|true|false|null|\Z)')
_OBJECT = re.compile(r'\{\s*(?:["}]|\Z)')
#: Characters in which JSON has shown what it is.
_TELLING = 1024


@dataclass(frozen=True, slots=True)
class Said:
    """What the sender says of a file; what is not said is found."""

    delimiter: str | None = None
    encoding: Encoding | None = None
    sheet: str | None = None
    #: Its type or name says JSON, so that it is not read as anything else.
    json: bool = False


def open_table(source: Source, said: Said, on_progress: Callable[[], None]) -> Table:
    """Open an upload; blocks, so call it in a thread.

    `on_progress` is called for every part of the file that is read, here and by the table's
    rows, in the thread that reads.

    Raises:
        ParseError: It is no table, or not all that is said of it can be true.
    """
    compressed = read_head(source.open(), _SIGNATURE).startswith(GZIP)

    def opened() -> BinaryIO:
        file = source.open()
        unpacked = cast("BinaryIO", Gunzip(file)) if compressed else file
        return cast("BinaryIO", Watched(unpacked, on_progress))

    head = read_head(opened(), _SIGNATURE)
    if compressed and head.startswith(GZIP):
        raise ParseError(
            "gzip-twice", "The file is compressed with gzip twice. Compress it once, or not at all."
        )
    if head.startswith(ZIP):
        _refuse(delimiter=said.delimiter, encoding=said.encoding, kind="a workbook")
        sheet, rows = xlsx_table(lambda: Package(opened(), on_progress), source, said.sheet)
        return Table(Found("xlsx", compressed, sheet=sheet), rows)
    check_is_table(opened())
    _refuse(sheet=said.sheet, kind="no workbook")
    return _open_text(opened, said, compressed=compressed)


def _open_text(opened: Callable[[], BinaryIO], said: Said, *, compressed: bool) -> Table:
    encoding, encoding_by = find_encoding(opened(), said.encoding)

    def texts() -> Iterator[str]:
        return decode(opened(), encoding)

    def found(kind: Kind, delimiter: str | None = None) -> Found:
        return Found(kind, compressed, encoding, encoding_by, delimiter)

    beginning = _beginning(texts())
    if _ARRAY.match(beginning):
        _refuse(delimiter=said.delimiter, kind="JSON")
        rows = json_table(lambda: objects_of_array(texts()))
        return Table(found("json-array"), rows)
    if _OBJECT.match(beginning):
        _refuse(delimiter=said.delimiter, kind="JSON")
        rows = json_table(lambda: objects_of_lines(texts()))
        return Table(found("json-lines"), rows)
    if said.json and beginning:
        raise ParseError(
            "json-not-objects",
            "The file should be JSON by its type or name, and holds neither an array of objects "
            "nor an object on each line. Send one of these; for CSV, say `text/csv`.",
        )
    delimiter, rows = csv_table(texts, said.delimiter)
    return Table(found("tsv" if delimiter == "\t" else "csv", delimiter), rows)


def _beginning(texts: Iterator[str]) -> str:
    """Take the first characters that are no white space; what is wrong with more is met later."""
    beginning = ""
    try:
        for text in texts:
            beginning = (beginning + text).lstrip()
            if len(beginning) >= _TELLING:
                break
    except UnplacedError:
        pass
    return beginning[:_TELLING]


def _refuse(kind: str, **options: str | None) -> None:
    """Return if none of the options is given, which mean nothing for a kind of file.

    Raises:
        ParseError: One is.
    """
    for name, value in options.items():
        if value is not None:
            raise ParseError(
                "wrong-option", f"The file is {kind}, so `{name}` means nothing. Leave it out."
            )
