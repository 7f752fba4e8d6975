"""The file of the benchmark: the sample's contacts over and over, each row with an id of its own."""

from __future__ import annotations

import csv
from itertools import cycle, islice
from pathlib import Path

from services.local.sample import HEADINGS, PATH


def write_file(file: Path, rows: int) -> None:
    """Write so many contacts, of all countries and as people write them, as CSV."""
    with PATH.open(encoding="utf-8-sig", newline="") as source:
        sample = list(csv.reader(source))[1:]
    with file.open("w", encoding="utf-8", newline="") as target:
        writer = csv.writer(target)
        writer.writerow(HEADINGS)
        for number, (_, *cells) in enumerate(islice(cycle(sample), rows)):
            writer.writerow([f"C-{number:07}", *cells])
