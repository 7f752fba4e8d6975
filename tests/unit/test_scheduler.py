"""Which retries are due."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import ConsumerRecord, TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from services.lookup.due import Waiting
from services.lookup.scheduler import Scheduler, SchedulerSettings
from services.runtime.health import Readiness

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


class Appended:
    """Takes what the scheduler appends."""

    def __init__(self) -> None:
        self.values: list[bytes] = []

    async def publish(self, _: str, value: bytes, **__: Any) -> None:
        self.values.append(value)


@pytest.mark.parametrize("steps", [(3600.0,), (-3600.0, 0.0), (3600.0, -3600.0, 0.0)])
async def test_a_clock_that_steps_by_an_hour_moves_each_retry_once(
    steps: tuple[float, ...],
) -> None:
    """It may move it early or late, never twice or not at all, and a stop is heard all the same."""
    place, now = TopicPartition("lookup.retry.15s", 0), 1000.0
    shown = [now]
    appended: Any = Appended()
    nothing: Any = None
    scheduler = Scheduler(
        SchedulerSettings(), nothing, appended, Readiness(), clock=lambda: shown[0]
    )
    stamps = [int((now - age) * 1000) for age in (20, 1)]  # one is due, one is not
    scheduler._waiting.add(
        place,
        [
            ConsumerRecord(
                *(place.topic, 0, offset, stamp, 1, b"key", str(offset).encode()),
                *(None, 0, 0, ()),
            )
            for offset, stamp in enumerate(stamps)
        ],
    )
    for step in steps:
        shown[0] = now + step
        await scheduler._move()
        assert 0 <= scheduler._patience() <= 200
    assert appended.values[:1] == [b"0"]
    shown[0] = now + 30
    await scheduler._move()
    assert appended.values == [b"0", b"1"]


async def test_nothing_is_committed_before_its_copy_is_acknowledged() -> None:
    """Killed in between, it is moved twice; the other way round it would be lost."""
    place = TopicPartition("lookup.retry.15s", 0)
    stop: Any = SimpleNamespace(asked=False)
    acknowledged = asyncio.Event()
    committed: list[dict[TopicPartition, int]] = []

    async def publish(*_: Any, **__: Any) -> None:
        await acknowledged.wait()

    async def commit(offsets: dict[TopicPartition, int]) -> None:
        committed.append(offsets)

    async def getmany(**_: Any) -> dict[TopicPartition, Any]:
        stop.asked = True
        return {}

    consumer: Any = SimpleNamespace(
        subscribe=lambda *_, **__: None,
        commit=commit,
        getmany=getmany,
        assignment=set,
        paused=set,
        pause=lambda *_: None,
        resume=lambda *_: None,
    )
    publisher: Any = SimpleNamespace(publish=publish)
    scheduler = Scheduler(SchedulerSettings(), consumer, publisher, Readiness(), lambda: 1000.0)
    record = ConsumerRecord(*(place.topic, 0, 7, 0, 1, b"key", b"value"), *(None, 0, 0, ()))
    scheduler._waiting.add(place, [record])
    running = asyncio.create_task(scheduler.run(stop))
    for _ in range(10):
        await asyncio.sleep(0)
    assert committed == []
    acknowledged.set()
    await running
    assert committed == [{place: 8}]
