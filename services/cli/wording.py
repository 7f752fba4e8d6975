"""How times, numbers and progress are said to people. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

_MINUTE = 60
_HOUR = 3600
_DAY = 86400
#: From here on a share is never rounded to one it has not reached.
_ALMOST = 0.999


def span(seconds: float) -> str:
    """A length of time, in its two largest units.

    >>> span(3725)
    '1 h 2 min'
    """
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR} h"


def when(text: str | None, now: datetime) -> str:
    """A moment of the API, as how long ago it was; as a date when that is longer than a day."""
    if text is None:
        return "-"
    at = datetime.fromisoformat(text)
    seconds = (now - at).total_seconds()
    if seconds >= _DAY:
        return at.astimezone().strftime("%Y-%m-%d %H:%M")
    return f"{span(max(seconds, 0))} ago"


def age(text: str, now: datetime) -> str:
    """How old a moment of the API is, in its largest unit: for lists."""
    seconds = max((now - datetime.fromisoformat(text)).total_seconds(), 0)
    for unit, size in (("d", _DAY), ("h", _HOUR), ("min", _MINUTE)):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds:.0f} s"


def count(number: int | None) -> str:
    """A number with its thousands apart; `-` for none."""
    return "-" if number is None else f"{number:,}"


def share(part: float | None) -> str:
    """A share of 1 in percent: 100 % only when all is done."""
    if part is None:
        return "-"
    return f"{100 * part:.0f} %" if part == 1 or part < _ALMOST else "99.9 %"


def progress(job: Mapping[str, Any]) -> str:
    """How far a job of the API is, in one line."""
    sealed = job["sealed"]
    total = sealed["accepted"] if sealed else job["known"]
    line = f"{count(job['finished'])} of {count(total)} finished ({share(job['share'])})"
    line += f", {job['rate_per_second']:.1f}/s"
    if job["seconds_left"]:
        line += f", about {span(job['seconds_left'])} left"
    waiting = {state: n for state, n in job["counts"].items() if n and state in _WAITING}
    if waiting:
        line += "; " + ", ".join(f"{count(n)} {state}" for state, n in waiting.items())
    return line


_WAITING = ("retrying", "parked", "dead")
