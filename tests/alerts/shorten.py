"""Shorter windows for a rules file, so that an hour of a rule passes in a minute.

Ranges, offsets, `for` and the intervals of groups shrink; nothing else of the text changes, so
what fires is what ships.
"""

from __future__ import annotations

import re
from datetime import timedelta
from functools import partial

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_DURATION = r"\d+(?:ms|[smhdw])"
_RANGE = re.compile(rf"(?<=\[)({_DURATION})(?=[\]:])")
_OFFSET = re.compile(rf"(?<=\boffset )({_DURATION})\b")
_FOR = re.compile(rf"(?<=^        for: )({_DURATION})$", re.MULTILINE)
_INTERVAL = re.compile(rf"(?<=^    interval: )({_DURATION})$", re.MULTILINE)
#: Prometheus evaluates no group more often here.
_OFTEN = timedelta(seconds=1)


def shorten(text: str, factor: float, floor: timedelta) -> str:
    """A rules file with all its times divided by `factor`.

    Args:
        text: The file.
        factor: How many times shorter.
        floor: No range gets shorter than this: a rate needs a few scrapes.
    """
    for pattern, least in (
        (_RANGE, floor),
        (_OFFSET, timedelta()),
        (_FOR, timedelta()),
        (_INTERVAL, _OFTEN),
    ):
        text = pattern.sub(partial(_shorter, factor, least), text)
    return text


def _shorter(factor: float, least: timedelta, found: re.Match[str]) -> str:
    duration = found[1]
    unit = duration.lstrip("0123456789")
    seconds = int(duration.removesuffix(unit)) * _UNITS[unit] / factor
    return f"{round(max(seconds, least.total_seconds()) * 1000)}ms"
