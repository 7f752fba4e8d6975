"""What a command shows: results on standard output, everything else on standard error.

On a terminal it is laid out for its width; elsewhere it is plain text with nothing cut off.
With `--json`, standard output holds JSON alone, one object a line.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

AsJson = Annotated[
    bool, typer.Option("--json", help="Print JSON, one object a line, and nothing else.")
]

#: Narrower than this, a text that wraps is no use in a table.
_LEAST_WRAPPED = 12
#: Spaces between two columns, of which the box itself draws one.
_GAP = 2
_DIVIDER = 1


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table."""

    heading: str
    number: bool = False
    #: Its texts are long, and may be broken over lines.
    wraps: bool = False


class Screen:
    """Where a command writes to."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        self.out = Console(highlight=False, soft_wrap=True)
        self.err = Console(stderr=True, highlight=False, soft_wrap=True)

    def json(self, value: Any) -> None:
        """Print one line of JSON."""
        typer.echo(json.dumps(value, ensure_ascii=False, default=str))

    def line(self, text: str, style: str = "") -> None:
        """Print a line of the result."""
        self.out.print(_text(text, style), soft_wrap=not self.out.is_terminal)

    def note(self, text: str, style: str = "") -> None:
        """Tell the person something that is no part of the result."""
        self.err.print(_text(text, style), soft_wrap=not self.err.is_terminal)

    def command(self, text: str) -> None:
        """Tell the person a command to type; it is one line, however long, to be copied whole."""
        self.err.print(_text(f"  {text}"))

    def fields(self, values: Mapping[str, str]) -> None:
        """Print named values, one a line."""
        width = max(map(cell_len, values), default=0)
        for name, value in values.items():
            padding = " " * (width - cell_len(name) + 2)
            self.out.print(Text.assemble((name, "bold"), padding, _text(value)))

    def table(self, columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> None:
        """Print rows under headings, as wide as there is room for."""
        rows = [[_clean(cell) for cell in row] for row in rows]
        widths = [
            max(cell_len(column.heading), *(cell_len(row[place]) for row in rows), 0)
            for place, column in enumerate(columns)
        ]
        if not self.out.is_terminal:
            self._plain(columns, rows, widths)
        elif _least_width(columns, widths) <= self.out.width:
            self._laid_out(columns, rows)
        else:
            self._stacked(columns, rows)

    def _plain(
        self, columns: Sequence[Column], rows: Sequence[Sequence[str]], widths: Sequence[int]
    ) -> None:
        for cells in ([column.heading for column in columns], *rows):
            padded = (
                " " * (width - cell_len(cell)) + cell
                if column.number
                else cell + " " * (width - cell_len(cell))
                for column, cell, width in zip(columns, cells, widths, strict=True)
            )
            self.out.print(Text("  ".join(padded).rstrip()))

    def _laid_out(self, columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> None:
        table = Table(
            box=SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, _GAP - _DIVIDER, 0, 0)
        )
        for column in columns:
            table.add_column(
                column.heading,
                justify="right" if column.number else "left",
                no_wrap=not column.wraps,
                overflow="fold",
            )
        for row in rows:
            table.add_row(*map(Text, row))
        self.out.print(table, soft_wrap=False)

    def _stacked(self, columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> None:
        """Print each row as a block: for narrow terminals."""
        for row in rows:
            self.fields({c.heading: cell for c, cell in zip(columns, row, strict=True) if cell})
            self.line("")


def _least_width(columns: Sequence[Column], widths: Sequence[int]) -> int:
    least = (
        min(width, _LEAST_WRAPPED) if column.wraps else width
        for column, width in zip(columns, widths, strict=True)
    )
    return sum(least) + _GAP * (len(columns) - 1)


def _clean(text: str) -> str:
    """Without what would move a terminal's cursor: texts come from files and from outside."""
    return "".join(char if char.isprintable() else " " for char in text)


def _text(text: str, style: str = "") -> Text:
    return Text("\n".join(map(_clean, text.split("\n"))), style)
