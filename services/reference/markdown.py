"""Pages in Markdown: their head, and tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

MADE = "Made from the code by `make reference`: change it there."


def page(title: str, *parts: str) -> str:
    """A page of these parts, an empty line between them."""
    return "\n\n".join([f"<!-- {MADE} -->", f"# {title}", *parts]) + "\n"


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; what stands in a cell is put on one line."""
    lines = [headings, ["---"] * len(headings), *rows]
    cells = [[" ".join(cell.split()).replace("|", "\\|") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)
