"""Reads the bytes of a CSV file into numbered rows of cells, never the whole file at once.

UTF-8 with or without a byte order mark; rows end with LF, CRLF or CR; cells may be quoted
and then contain line breaks; the delimiter is found from the header. Pure.
"""

from __future__ import annotations

import codecs
import csv
import re
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from services.contracts.masking import mask_text
from services.ingest.parse_error import ParseError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from services.ingest.parse_error import ParseCode

#: Characters a cell may have.
MAX_FIELD = 64 * 1024
#: Characters a row may have, over all its lines.
MAX_ROW = 1024 * 1024

_DELIMITERS = ",;\t|"

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)")
_QUOTED = re.compile(r'"[^"]*"')

# What other kinds of file begin with, and what they are.
_SIGNATURES = {
    b"PK\x03\x04": "an Excel workbook (.xlsx) or another ZIP archive",
    b"PK\x05\x06": "an empty ZIP archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook (.xls)",
    b"\x1f\x8b": "compressed with gzip",
    b"%PDF": "a PDF document",
    b"\xff\xfe": "text in UTF-16",
    b"\xfe\xff": "text in UTF-16",
}
_LONGEST_SIGNATURE = 4

_SAVE_AS_CSV = "Save it as 'CSV UTF-8 (comma delimited)' and send that."


def read_rows(chunks: Iterable[bytes]) -> Iterator[tuple[int, list[str]]]:
    """Yield each row's number, from 1 as a spreadsheet counts, and its cells.

    Empty rows are counted and yielded too. The chunks may be cut anywhere.

    Raises `ParseError` where the file stops being readable; all rows before that place have
    been yielded then. To take a file whole or not at all, read it to its end first.
    """
    meter = _Meter()
    number = 0
    headings: list[str] = []
    try:
        lines = _lines(_decode(chunks), meter)
        head = _head(lines)
        reader = csv.reader(chain(head, lines), delimiter=_delimiter(head), strict=True)
        for cells in reader:
            if meter.chars > MAX_FIELD:
                _check_fields(cells, headings, number + 1)
            meter.chars = 0
            number += 1
            headings = headings or cells
            yield number, cells
    except _FileError as error:
        place = f"Row {number + 1}: " if error.has_row else ""
        raise ParseError(
            error.code, place + str(error), row=number + 1 if error.has_row else None
        ) from None
    except csv.Error as error:
        raise _explain(error, number + 1) from None


@dataclass(slots=True)
class _Meter:
    """Counts the characters read since the last whole row."""

    chars: int = 0


class _FileError(Exception):
    """Trouble below the level of rows; whoever counts rows adds the number."""

    def __init__(self, code: ParseCode, message: str, *, has_row: bool = True) -> None:
        super().__init__(message)
        self.code: ParseCode = code
        self.has_row = has_row


def _decode(chunks: Iterable[bytes]) -> Iterator[str]:
    """Decode the file, and on a fault yield first what stands before it, so that rows count."""
    source = iter(chunks)
    head = b""
    for chunk in source:
        head += chunk
        if len(head) >= _LONGEST_SIGNATURE:
            break
    for signature, kind in _SIGNATURES.items():
        if head.startswith(signature):
            raise _FileError("not-csv", f"The file is {kind}. {_SAVE_AS_CSV}", has_row=False)
    mark = codecs.BOM_UTF8 if head.startswith(codecs.BOM_UTF8) else b""
    decoder = codecs.getincrementaldecoder("utf-8")()
    position = len(mark)
    # The empty bytes at the end make the decoder say whether a character was cut off.
    for chunk, last in chain(
        ((chunk, False) for chunk in chain((head[len(mark) :],), source)), ((b"", True),)
    ):
        try:
            text = decoder.decode(chunk, final=last)
        except UnicodeDecodeError as error:
            yield error.object[: error.start].decode("utf-8")
            pending = len(error.object) - len(chunk)
            byte = position - pending + error.start + 1
            raise _FileError(
                "not-utf-8",
                f"Byte {byte} of the file is not UTF-8. "
                "Save the file as 'CSV UTF-8' (not 'CSV' or 'Unicode text') and send that.",
            ) from None
        position += len(chunk)
        before, nul, _ = text.partition("\0")
        yield before
        if nul:
            raise _FileError(
                "nul-bytes",
                "The file has NUL bytes, so it is not text, is damaged, or is in UTF-16. "
                + _SAVE_AS_CSV,
            )


def _lines(texts: Iterable[str], meter: _Meter) -> Iterator[str]:
    """Cut text into lines, their ends kept, and bound what is held of a row."""
    rest = ""
    for text in texts:
        rest += text
        # A CR at the very end may be the first half of a CRLF.
        end = max(rest.rfind("\n"), rest.rfind("\r", 0, -1)) + 1
        whole, rest = rest[:end], rest[end:]
        for line in _LINE.findall(whole):
            meter.chars += len(line)
            if meter.chars > MAX_ROW:
                break
            yield line
        if meter.chars + len(rest) > MAX_ROW:
            raise _FileError(
                "row-too-long",
                f"The row has over {MAX_ROW} characters. Check for a double quote that is never "
                "closed, or rows that do not end with a line break.",
            )
    if rest:
        meter.chars += len(rest)
        yield rest


def _head(lines: Iterator[str]) -> list[str]:
    """Take the lines of the first row that is not empty, and the empty ones before it."""
    head: list[str] = []
    quotes = 0
    for line in lines:
        head.append(line)
        quotes += line.count('"')
        if quotes % 2 == 0 and line.strip():
            break
    return head


def _delimiter(head: list[str]) -> str:
    outside_quotes = _QUOTED.sub("", "".join(head))
    return max(_DELIMITERS, key=outside_quotes.count)


def _check_fields(cells: list[str], headings: list[str], row: int) -> None:
    for index, cell in enumerate(cells):
        if len(cell) > MAX_FIELD:
            heading = mask_text(headings[index].strip()) if index < len(headings) else None
            column = f"column '{heading}'" if heading else f"column number {index + 1}"
            raise ParseError(
                "field-too-long",
                f"Row {row}: the cell in {column} has over {MAX_FIELD} characters. Check for a "
                "double quote that is never closed, or shorten the cell.",
                row=row,
                column=heading,
            )


def _explain(error: csv.Error, row: int) -> ParseError:
    """Say in our words what the csv module found, by the words it has for it."""
    said = str(error)
    if "unexpected end of data" in said:
        return ParseError(
            "unclosed-quote",
            f"Row {row}: a double quote is opened and never closed. Close it, or write a quote "
            'that belongs to the text as "" in a quoted cell.',
            row=row,
        )
    if "field larger than" in said:
        return ParseError(
            "field-too-long",
            f"Row {row}: a cell has over {MAX_FIELD} characters. Check for a double quote that "
            "is never closed, or shorten the cell.",
            row=row,
        )
    return ParseError(
        "stray-quote",
        f"Row {row}: text follows the closing double quote of a cell. Write a quote that belongs "
        'to the text as "", and check the rows before for a quote that is never closed.',
        row=row,
    )
