"""Takes our own marks off a table: that of rejected rows, mended and sent again, and any other.

Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.contracts.csv_cells import REJECTED_COLUMNS, plain
from services.ingest.tables.table import Rows


@dataclass(frozen=True, slots=True)
class Marks:
    """What is not the sender's own in a table."""

    #: Places of the columns that we put before the sender's, by their headings.
    columns: frozenset[int]
    #: Apostrophes stand before what a spreadsheet would take for a formula.
    apostrophes: bool

    def without(self, rows: Rows) -> Rows:
        """Give the rows as the sender means them."""
        columns, apostrophes = self.columns, self.apostrophes
        for number, sent in rows:
            cells = sent
            if apostrophes and "'" in "".join(cells):
                cells = list(map(plain, cells))
            if columns:
                cells = [cell for index, cell in enumerate(cells) if index not in columns]
            yield number, cells


def marks_of(first: list[str], *, is_json: bool) -> Marks:
    """Tell by its first row what of a table is ours; apostrophes in JSON are the sender's."""
    ours = frozenset(i for i, cell in enumerate(first) if cell.strip() in REJECTED_COLUMNS)
    return Marks(ours, apostrophes=not is_json)
