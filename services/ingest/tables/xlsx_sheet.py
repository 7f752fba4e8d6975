"""Reads the rows of one sheet of a workbook, a bounded number of them at a time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Protocol

from services.ingest.parse_error import ParseError
from services.ingest.tables.table import MAX_FIELD, MAX_ROW, Made, Rows
from services.ingest.tables.xlsx_strings import too_long, unescaped
from services.ingest.tables.xlsx_values import Format, number_text
from services.ingest.tables.xlsx_xml import Attributes, Events, damaged

#: What a sheet may have, by its format.
MAX_ROWS = 1_048_576
MAX_COLUMNS = 16_384

_LETTERS = re.compile(r"[A-Z]{1,3}")


class Texts(Protocol):
    """Shared strings by their number."""

    def __getitem__(self, index: int) -> str:
        """Give one."""


@dataclass(frozen=True, slots=True)
class Meanings:
    """What cells refer to."""

    strings: Texts
    #: By the number of a cell's style.
    formats: Sequence[Format]
    since_1904: bool


def sheet_rows(part: IO[bytes], name: str, meanings: Meanings) -> Rows:
    """Yield the rows that have any text, with their numbers.

    A row is as long as its last cell with text; cells to the right of the headings count as
    one, the first of them. Going over them raises `ParseError` where the part is damaged.
    """
    reader = _Reader(meanings)
    pieces = reader.events.read(part, name)
    width = 0
    fault: ParseError | None = None
    more = True
    while more:
        try:
            more = next(pieces, False)
            reader.check()
        except ParseError as error:
            # The rows before it, in the same piece, come first.
            fault, more = error, False
        for number, cells in reader.rows:
            if any(text.strip() for _, text in cells):
                row = _row(cells, width)
                width = width or len(row)
                yield number, row
        reader.rows.clear()
    if fault is not None:
        raise fault


def has_text(part: IO[bytes], name: str, meanings: Meanings) -> bool:
    """Tell whether any cell of a sheet has text.

    Raises:
        ParseError: The part is damaged before that.
    """
    return any(True for _ in sheet_rows(part, name, meanings))


def _row(cells: list[tuple[int, str]], width: int) -> list[str]:
    row: list[str] = []
    for column, text in cells:
        place = column
        if width and column >= width:
            if len(row) > width or not text.strip():
                continue
            place = width
        if place == len(row):
            row.append(text)
        elif place > len(row):
            row.extend([""] * (place - len(row)))
            row.append(text)
        else:
            row[place] = text
    return row


class _Reader:
    """Puts cells and rows together; `rows` holds those whose end was read."""

    def __init__(self, meanings: Meanings) -> None:
        self.rows: list[tuple[int, list[tuple[int, str]]]] = []
        self._strings = meanings.strings
        self._formats = meanings.formats
        self._since_1904 = meanings.since_1904
        self._cells: list[tuple[int, str]] = []
        self._pieces: list[str] = []
        self._formula: list[str] | None = None
        self._row = 0
        self._column = -1
        self._chars = 0
        self._type = self._style = ""
        self._columns: dict[str, int] = {}
        self.events = Events(
            {
                "row": self._row_starts,
                "c": self._cell_starts,
                "f": self._formula_starts,
                "v": self._text_starts,
                "t": self._text_starts,
                # How a Japanese name is read, beside it.
                "rPh": self._reading_starts,
            },
            {
                "row": self._row_ends,
                "c": self._cell_ends,
                "f": self._text_ends,
                "v": self._text_ends,
                "t": self._text_ends,
            }
            | {"rPh": self._reading_ends},
        )
        self._reading = False

    def check(self) -> None:
        """Bound the cell that is not ended yet."""
        if sum(map(len, self._pieces)) + sum(map(len, self._formula or ())) > MAX_FIELD:
            raise self._at_row(too_long())

    def _at_row(self, error: ParseError) -> ParseError:
        return ParseError(error.code, f"Row {self._row}: {error}", row=self._row)

    def _row_starts(self, attributes: Attributes) -> None:
        number = attributes.get("r")
        previous = self._row
        if number is None:
            self._row += 1
        elif number.isascii() and number.isdigit() and len(number) < len(str(MAX_ROWS)) + 1:
            self._row = int(number)
        if not previous < self._row <= MAX_ROWS:
            raise damaged(f"its rows are not in order after row {previous}")
        self._column = -1
        self._chars = 0

    def _row_ends(self) -> None:
        self.rows.append((self._row, self._cells))
        self._cells = []

    def _cell_starts(self, attributes: Attributes) -> None:
        self._type = attributes.get("t", "n")
        self._style = attributes.get("s", "0")
        place = attributes.get("r")
        if place is None:
            self._column += 1
        else:
            letters = place.rstrip("0123456789")
            column = self._columns.get(letters)
            self._column = self._column_of(letters) if column is None else column
        if self._column >= MAX_COLUMNS:
            raise self._at_row(damaged(f"it has over {MAX_COLUMNS} columns"))

    def _column_of(self, letters: str) -> int:
        if _LETTERS.fullmatch(letters) is None:
            raise self._at_row(damaged("a cell has no place"))
        column = 0
        for letter in letters:
            column = column * 26 + ord(letter) - ord("A") + 1
        if len(self._columns) < MAX_COLUMNS:
            self._columns[letters] = column - 1
        return column - 1

    def _formula_starts(self, _: Attributes) -> None:
        self._formula = []
        self.events.text_to(self._formula.append)

    def _text_starts(self, _: Attributes) -> None:
        if not self._reading:
            self.events.text_to(self._pieces.append)

    def _text_ends(self) -> None:
        self.events.text_to(None)

    def _reading_starts(self, _: Attributes) -> None:
        self._reading = True

    def _reading_ends(self) -> None:
        self._reading = False

    def _cell_ends(self) -> None:
        stored = "".join(self._pieces)
        self._pieces.clear()
        formula, self._formula = self._formula, None
        if stored:
            text = self._text(stored)
        elif formula is not None and self._type != "str":
            # Never reckoned: programs may leave that to Excel. Text it came to may be empty.
            text = Made("=" + "".join(formula))
        else:
            return
        self._chars += len(text)
        if self._chars > MAX_ROW:
            raise ParseError(
                "row-too-long",
                f"Row {self._row}: it has over {MAX_ROW} characters. Leave out columns.",
                row=self._row,
            )
        self._cells.append((self._column, text))

    def _text(self, stored: str) -> str:
        """Say what a cell holds; of a formula it is the value of when it was last reckoned."""
        kind = self._type
        if kind == "s":
            return self._shared(stored)
        if kind == "n":
            return self._number(stored)
        if kind == "b":
            return Made("TRUE" if stored.strip() == "1" else "FALSE")
        if kind == "d":
            return Made(stored)
        # Texts, of a cell or a formula, and errors: #N/A, #REF!
        return unescaped(stored)

    def _shared(self, stored: str) -> str:
        try:
            index = int(stored)
        except ValueError:
            raise self._at_row(damaged("a cell names no shared string")) from None
        try:
            return self._strings[index]
        except ParseError as error:
            raise self._at_row(error) from None

    def _number(self, stored: str) -> str:
        try:
            form = self._formats[int(self._style)]
        except (ValueError, IndexError):
            form = ""
        return number_text(stored.strip(), form, since_1904=self._since_1904)
