"""Which retries are due."""

from dataclasses import dataclass
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.lookup.due import Waiting

DELAYS = {"fast": timedelta(milliseconds=100), "slow": timedelta(seconds=5)}


@dataclass(frozen=True)
class Stamp:
    topic: str
    timestamp: int


def waiting(enough: int = 3) -> Waiting[str, Stamp]:
    return Waiting(DELAYS, enough)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (1099, []),
        (1100, [1000]),  # at the very millisecond, never before
        (1149, [1000]),
        (1150, [1000, 1050]),
        (99_999, [1000, 1050, 1200]),
    ],
)
def test_due_by_the_brokers_stamp(now: int, expected: list[int]) -> None:
    """A record is due when its stamp is as old as its topic's delay, and not before."""
    found = waiting()
    found.add("p", [Stamp("fast", at) for at in (1000, 1050, 1200)])
    due = found.take_due(now, 10)
    assert [one.record.timestamp for one in due] == expected
    assert [one.since for one in due] == [at + 100 for at in expected]
    assert found.waiting("p") == 3 - len(expected)


def test_partitions_wait_for_themselves() -> None:
    """A partition whose head is not due holds up no other one."""
    found = waiting()
    found.add("a", [Stamp("slow", 1000)])
    found.add("b", [Stamp("fast", 1000)])
    assert found.next_due() == 1100
    assert [one.partition for one in found.take_due(1100, 10)] == ["b"]
    assert found.next_due() == 6000
    assert [one.partition for one in found.take_due(6000, 10)] == ["a"]
    assert found.next_due() is None


def test_enough_is_enough() -> None:
    """A partition with enough records waiting is full until some are taken."""
    found = waiting(enough=2)
    found.add("a", [Stamp("fast", 1), Stamp("fast", 2)])
    found.add("b", [Stamp("fast", 1)])
    assert found.full() == {"a"}
    assert len(found.take_due(9999, 1)) == 1
    assert found.full() == set()


def test_what_was_taken_away_is_forgotten() -> None:
    """A partition that went to another process is not moved here any more."""
    found = waiting()
    found.add("a", [Stamp("fast", 1)])
    found.add("b", [Stamp("fast", 1)])
    found.drop(["a", "never seen"])
    assert [one.partition for one in found.take_due(9999, 10)] == ["b"]


@given(
    stamps=st.lists(st.integers(0, 50).map(lambda step: step * 20), max_size=30),
    ticks=st.lists(st.integers(0, 1500), max_size=20),
    most=st.integers(1, 5),
)
def test_everything_goes_once_in_order_and_never_early(
    stamps: list[int], ticks: list[int], most: int
) -> None:
    """Whenever it is asked, what it hands over is due, in the log's order, each once."""
    found, log = waiting(), [Stamp("fast", at) for at in sorted(stamps)]
    found.add("p", log)
    gone: list[Stamp] = []
    for now in [*sorted(ticks), *[9999] * len(stamps)]:
        due = found.take_due(now, most)
        assert len(due) <= most
        assert all(one.record.timestamp + 100 <= now for one in due)
        gone += [one.record for one in due]
    assert gone == log
