"""How names of columns and sheets stand in an error or a dry run. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from services.contracts.masking import mask_text

#: How many names an error lists.
LISTED = 30
_CHARS = 40


def listed(names: Sequence[str]) -> str:
    """Names one after the other, and how many more there are."""
    said = ", ".join(map(shown, names[:LISTED]))
    return said if len(names) <= LISTED else f"{said} and {len(names) - LISTED} more"


def shown(name: str) -> str:
    """A name in quotes, cut if it is long."""
    # The first row of a file without headings is a contact: numbers in it are masked.
    text = mask_text(" ".join(name.split()))
    return f"'{text}'" if len(text) <= _CHARS else f"'{text[:_CHARS]}…'"
