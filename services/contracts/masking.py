"""Hides phone numbers in whatever is written for people: logs, errors, rejected rows."""

from __future__ import annotations

import re
from typing import TypeVar

_T = TypeVar("_T")

#: A text shown to people is cut here; what was cut is shown as an ellipsis.
MAX_SHOWN = 64

#: From this many digits on the first two are shown beside the last two: enough to tell two
#: rows apart, and the calling code, while at least five digits stay hidden.
_LONG = 9
#: Shorter than this, even the last two digits would give most of the number away.
_SHORT = 5

# What may stand between two digits of one number: spaces and dashes of every kind, brackets,
# dots, slashes, percent-encoding, invisible marks, and all of these as escapes of a repr.
_BETWEEN = (
    r"(?:\\x[0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|"
    r"[\s\-.()\[\]{}/+%~·"
    r"\u00ad\u02d7\u200b-\u200f\u2010-\u2015\u202a-\u202e\u2060-\u2069\u2212\u30fc\ufeff"
    r"\ufe58\ufe63\uff0d\uff08\uff09\uff0b\uff0e\uff0f])"
)
# What looks like a run of digits and cannot be a number: ids, date-times, local addresses.
_KEPT = (
    r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b"
    r"|\b[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]{1,9})?"
    r"|(?<![\d.])(?:127\.0\.0\.1|0\.0\.0\.0)(?![\d.])"
)
_RUN = re.compile(rf"(?P<kept>{_KEPT})|\d(?:{_BETWEEN}{{0,4}}\d){{4,}}")
_ESCAPE = re.compile(r"\\x[0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}")


def mask_text(text: str) -> str:
    """Hide every run of five or more digits in a text, whatever separates the digits.

    Of a run stay at most its first two and last two digits; its length and its writing go.
    UUIDs, ISO date-times and the loopback address stay readable. Masking twice changes
    nothing more.
    """
    return _RUN.sub(_mask_run, text)


def mask_phone(text: str) -> str:
    """Hide a text that is, or was meant to be, a phone number, and keep its shape.

    At most the first two and the last two digits stay; every other letter or digit of any
    script becomes `*`, since letters spell numbers too, or names. What does not print
    becomes a space, and the whole is cut to `MAX_SHOWN` characters.
    """
    shown = text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN]
    digits = [index for index, char in enumerate(shown) if char.isdecimal()]
    kept = set(_kept(digits))
    masked = "".join(
        char
        if index in kept
        else "*"
        if char.isalnum() or char.isnumeric()
        else char
        if char.isprintable()
        else " "
        for index, char in enumerate(shown)
    )
    return masked if len(text) <= MAX_SHOWN else masked + "…"


def _mask_run(match: re.Match[str]) -> str:
    if match["kept"] is not None:
        return match[0]
    digits = [char for char in _ESCAPE.sub("", match[0]) if char.isdecimal()]
    kept = _kept(digits)
    return "".join(kept[:-2]) + "***" + "".join(kept[-2:])


def _kept(digits: list[_T]) -> list[_T]:
    """Those of a number's digits that may be shown."""
    if len(digits) >= _LONG:
        return digits[:2] + digits[-2:]
    return digits[-2:] if len(digits) >= _SHORT else []
