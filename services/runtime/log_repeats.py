"""Says a warning that repeats itself once a minute, and how often it was meant meanwhile.

While Kafka is away its client alone warns fifty times a second, in every process, and fills
the disks of whoever waits for it to come back.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import dataclass

#: Seconds in which the same line is written once.
PERIOD = 60.0
#: So many different lines are remembered; the oldest goes first.
MOST = 1000
#: Which contact met a part that is away makes no other line; an error is about the contact itself.
_CONTEXT = frozenset({"request_id", "job_id", "partition", "http_request_id"})


@dataclass(slots=True)
class _Said:
    at: float
    left_out: int = 0


class Repeats:
    """Which lines were written of late, and how often each was left out since."""

    def __init__(self) -> None:
        self._said: OrderedDict[int, _Said] = OrderedDict()

    def admit(self, line: int, now: float) -> int | None:
        """How many of the same were left out since the last; None: leave this one out, too."""
        said = self._said.get(line)
        if said is not None and now - said.at < PERIOD:
            said.left_out += 1
            return None
        self._said.pop(line, None)
        if len(self._said) >= MOST:
            self._said.popitem(last=False)
        self._said[line] = _Said(now)
        return said.left_out if said is not None else 0


def line_of(record: logging.LogRecord) -> int | None:
    """What two records of the same line share; None for one that is always written."""
    if record.levelno < logging.WARNING:
        return None
    # The error itself, since its traceback names other lines each time it is the same.
    error = repr(record.exc_info[1]) if record.exc_info else None
    if isinstance(record.msg, dict):
        fields = {key: value for key, value in record.msg.items() if key != "timestamp"}
        if record.levelno < logging.ERROR:
            fields = {key: value for key, value in fields.items() if key not in _CONTEXT}
        return hash((record.name, record.levelno, repr(fields)))
    return hash((record.name, record.levelno, record.getMessage(), error))
