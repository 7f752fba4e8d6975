"""Finds the columns of phone numbers, and whether there are headings, by what cells hold. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from services.contracts.masking import mask_phone
from services.ingest.columns import Candidate
from services.ingest.phone import Phone, normalise
from services.ingest.tables.table import Made

#: Rows that are looked at, headings aside, and their characters together.
SAMPLE_ROWS = 200
SAMPLE_CHARS = 1024 * 1024

#: A column may be one of numbers if so great a share of its cells with text are numbers...
_LEAST_SHARE = 0.5
#: ...in so great a share of all rows: a number in a note makes no column of numbers.
_LEAST_ROWS = 0.1
#: Fewer are no number anywhere.
_FEWEST_DIGITS = 7
_MOST_CHARS = 64


def candidates(
    names: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    besides: Collection[int],
    country: int | None,
    default_country: str | None,
) -> list[tuple[int, Candidate]]:
    """Find the columns of which most cells are valid phone numbers, by their places, the best first.

    Args:
        names: What the columns are called; cells beyond them are not looked at.
        rows: The sample.
        besides: Places of columns known to be something else.
        country: Place of the column of countries.
        default_country: Holds for rows without one.
    """
    found = []
    for index, name in enumerate(names):
        if index in besides:
            continue
        filled = numbers = 0
        example: str | None = None
        for row in rows:
            text = row[index] if index < len(row) else ""
            if not text.strip():
                continue
            filled += 1
            own = row[country].strip() if country is not None and country < len(row) else ""
            if is_number(text, own or default_country):
                numbers += 1
                example = example or mask_phone(text.strip())
        if numbers and numbers >= _LEAST_SHARE * filled and numbers >= _LEAST_ROWS * len(rows):
            found.append((index, Candidate(name, numbers, filled, example)))
    return sorted(found, key=lambda place: -(place[1].numbers or 0))


def is_like_number(text: str) -> bool:
    """Tell whether a cell looks like a number, of whatever country: digits and no letters."""
    return (
        len(text) <= _MOST_CHARS
        and sum(map(str.isdecimal, text)) >= _FEWEST_DIGITS
        and not any(map(str.isalpha, text))
    )


def is_number(text: str, country: str | None) -> bool:
    """Tell whether a cell holds a valid phone number."""
    if isinstance(text, Made) or len(text) > _MOST_CHARS:
        return False
    if sum(map(str.isdecimal, text)) < _FEWEST_DIGITS:
        return False
    return isinstance(normalise(text, country), Phone)
