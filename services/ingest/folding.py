"""How names that people write are compared: headings, and the names of countries. Pure."""

from __future__ import annotations

import unicodedata

#: Turkish capitals fold to an i with its dot: both are read as one letter.
_DOTLESS_I = "\u0131"


def fold(name: str) -> str:
    """Reduce a name to its letters and digits, without case and accents."""
    decomposed = unicodedata.normalize("NFKD", name).casefold().replace(_DOTLESS_I, "i")
    return "".join(filter(str.isalnum, decomposed))
