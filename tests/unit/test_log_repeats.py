"""A warning that repeats itself is written once a minute."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from services.runtime.log_repeats import MOST, PERIOD, Repeats, line_of

ERROR, WARNING, INFO = logging.ERROR, logging.WARNING, logging.INFO


def of_a_library(level: int = ERROR, error: Exception | None = None, **changed: Any) -> Any:
    record = {"name": "aiokafka", "levelno": level, "msg": "node %s", "args": (1,)}
    if error is not None:
        record["exc_info"] = (type(error), error, None)
    return logging.makeLogRecord(record | changed)


def of_ours(level: int = WARNING, **fields: Any) -> Any:
    event = {"event": "away", "reason": "refused", "timestamp": "now"} | fields
    return logging.makeLogRecord({"name": "services.a", "levelno": level, "msg": event})


def test_the_same_line_is_left_out_and_counted() -> None:
    """Once a period it is written, with how often it was not since."""
    repeats = Repeats()
    times = (0.0, 1.0, PERIOD - 1, PERIOD, PERIOD + 1, 2 * PERIOD, 3 * PERIOD)
    assert [repeats.admit(7, now) for now in times] == [0, None, None, 2, None, 1, 0]


def test_other_lines_are_written() -> None:
    """One line holds back no other."""
    repeats = Repeats()
    assert [repeats.admit(line, 0.0) for line in (1, 2, 1, 3)] == [0, 0, None, 0]


def test_so_many_are_remembered() -> None:
    """With one more the oldest is forgotten, and written again: nothing grows without end."""
    repeats = Repeats()
    for line in range(MOST + 1):
        repeats.admit(line, 0.0)
    assert repeats.admit(MOST, 1.0) is None
    assert repeats.admit(0, 1.0) == 0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (of_a_library(), of_a_library()),
        (of_a_library(error=OSError("away")), of_a_library(error=OSError("away"))),
        (of_ours(timestamp="now"), of_ours(timestamp="later")),
        (of_ours(request_id="a", partition=1), of_ours(request_id="b", partition=2)),
    ],
    ids=["a library's", "its exception", "another time", "a warning met by another contact"],
)
def test_the_same(one: logging.LogRecord, other: logging.LogRecord) -> None:
    """What says nothing new makes no other line."""
    assert line_of(one) is not None
    assert line_of(one) == line_of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (of_a_library(), of_a_library(args=(2,))),
        (of_a_library(), of_a_library(WARNING)),
        (of_a_library(), of_a_library(name="aiokafka.consumer")),
        (of_a_library(error=OSError("away")), of_a_library(error=OSError("full"))),
        (of_ours(), of_ours(reason="timed out")),
        (of_ours(ERROR, request_id="a"), of_ours(ERROR, request_id="b")),
    ],
    ids=["arguments", "level", "logger", "exception", "field", "an error of another contact"],
)
def test_not_the_same(one: logging.LogRecord, other: logging.LogRecord) -> None:
    """Whatever differs is said; an error is about the contact itself."""
    assert line_of(one) != line_of(other)


@pytest.mark.parametrize("record", [of_a_library(INFO), of_ours(INFO)])
def test_what_is_no_warning_is_always_written(record: logging.LogRecord) -> None:
    """What happens twice happened twice."""
    assert line_of(record) is None
