"""What of a row goes back to its sender: with the result, or with the reason of its rejection.

Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

from services.ingest.columns import Column

#: Cells, and characters of all of them, that the record of a rejected row carries.
MAX_CELLS = 1000
MAX_CHARS = 32_000


def kept_of(cells: Sequence[str], kept: Sequence[Column]) -> dict[str, str]:
    """Give the cells of the columns that are kept, by heading; a row need not have them all."""
    return {
        column.heading: cells[column.index] if column.index < len(cells) else "" for column in kept
    }


def only_number(cells: list[str], phones: Sequence[Column], heading: str) -> list[str]:
    """Give a row without the numbers of the other phone columns.

    They are contacts of their own: when the row is mended and sent again, only what was
    rejected is asked for.
    """
    others = {column.index for column in phones if column.heading != heading}
    if not others:
        return cells
    return ["" if index in others else cell for index, cell in enumerate(cells)]


def bounded(cells: Sequence[str]) -> tuple[tuple[str, ...], bool]:
    """Give as much of a row as a record carries, and whether that is not all.

    Of a row that is too large all cells are cut to one length, so that its long texts go
    and its number stays.
    """
    given = tuple(cells[:MAX_CELLS])
    if sum(map(len, given)) > MAX_CHARS:
        share = MAX_CHARS // len(given)
        given = tuple(cell[:share] for cell in given)
    return given, given != tuple(cells)
