"""Reads CSV and TSV, never the whole file at once.

Rows end with LF, CRLF or CR; cells may be quoted and then contain line breaks. The delimiter
is the sender's, that of a first line `sep=;` as Excel writes it, or found from the headings.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator

from services.contracts.masking import mask_text
from services.ingest.parse_error import ParseError, UnplacedError
from services.ingest.tables.lines import Meter, lines
from services.ingest.tables.table import MAX_FIELD, Rows

#: Where two stand in the headings equally often, the one that is rarer in prose comes first.
DELIMITERS = "\t|;,"

_QUOTED = re.compile(r'"[^"]*"')
_SEPARATOR_LINE = re.compile(r'"?sep=([^\r\n]+?)"?[\r\n]*', re.IGNORECASE)
_TOO_LONG = (
    "Check for a double quote that is never closed, or rows that do not end with a line break."
)


def csv_table(texts: Callable[[], Iterable[str]], delimiter: str | None) -> tuple[str, RowsAgain]:
    """Find the delimiter, and give it with what reads the rows from their start.

    Args:
        texts: Gives the text anew, cut anywhere.
        delimiter: The sender's, if named.

    Raises:
        ParseError: The file stops being readable in its first row.
    """
    try:
        head = _head(lines(texts(), Meter(), _TOO_LONG))
    except UnplacedError as fault:
        raise fault.at(1) from None
    named = _separator(head)
    found = delimiter or named or _delimiter(head)
    return found, lambda: _rows(texts(), found, skip_first=named is not None)


RowsAgain = Callable[[], Rows]


def _rows(texts: Iterable[str], delimiter: str, *, skip_first: bool) -> Rows:
    meter = Meter()
    number = 0
    headings: list[str] = []
    try:
        source = lines(texts, meter, _TOO_LONG)
        if skip_first:
            # Excel does not show this line, and counts its rows without it.
            next(source)
            meter.chars = 0
        for cells in csv.reader(source, delimiter=delimiter, strict=True):
            if meter.chars > MAX_FIELD:
                _check_fields(cells, headings, number + 1)
            meter.chars = 0
            number += 1
            headings = headings or cells
            yield number, cells
    except UnplacedError as fault:
        raise fault.at(number + 1) from None
    except csv.Error as error:
        raise _explained(error).at(number + 1) from None


def _head(source: Iterator[str]) -> list[str]:
    """Take the lines of the first row that is not empty, and the empty ones before it."""
    head: list[str] = []
    quotes = 0
    for line in source:
        head.append(line)
        quotes += line.count('"')
        if quotes % 2 == 0 and line.strip():
            break
    return head


def _separator(head: list[str]) -> str | None:
    match = _SEPARATOR_LINE.fullmatch(head[0]) if head else None
    if match is None:
        return None
    if match[1] not in DELIMITERS:
        raise ParseError(
            "bad-delimiter",
            "The first line says by `sep=` that cells are separated by something else than a "
            "comma, a semicolon, a tab or a bar (|). Export the file with one of these.",
            row=1,
        )
    return match[1]


def _delimiter(head: list[str]) -> str:
    outside_quotes = _QUOTED.sub("", "".join(head))
    found = max(DELIMITERS, key=outside_quotes.count)
    return found if found in outside_quotes else ","


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


def _explained(error: csv.Error) -> UnplacedError:
    """Say in our words what the csv module found, by the words it has for it."""
    said = str(error)
    if "unexpected end of data" in said:
        return UnplacedError(
            "unclosed-quote",
            "A double quote is opened and never closed. Close it, or write a quote "
            'that belongs to the text as "" in a quoted cell.',
        )
    if "field larger than" in said:
        return UnplacedError(
            "field-too-long",
            f"A cell has over {MAX_FIELD} characters. Check for a double quote that "
            "is never closed, or shorten the cell.",
        )
    return UnplacedError(
        "stray-quote",
        "Text follows the closing double quote of a cell. Write a quote that belongs "
        'to the text as "", and check the rows before for a quote that is never closed.',
    )
