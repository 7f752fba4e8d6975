"""Records are done with in order, and a drain loses and repeats nothing."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from services.lookup.intake import Intake, Taken


class Place(NamedTuple):
    topic: str
    partition: int


class FakeConsumer:
    """As much of the consumer as the intake uses."""

    def __init__(self) -> None:
        self.app = SimpleNamespace(consumer_generation_id=1)
        self.forgotten: list[int] = []

        #: Committed, and the oldest that is left.
        self.committed: int | None = 1
        self.oldest = 0

    def forget(self, message: Any) -> None:
        self.forgotten.append(message.offset)

    def place(self, _: Any) -> int | None:
        return self.committed

    async def first_offset(self, _: Any) -> int:
        return self.oldest


def event(offset: int, generation: int = 1, partition: int = 0) -> Any:
    tp = Place("contacts", partition)
    return SimpleNamespace(
        message=SimpleNamespace(
            tp=tp, offset=offset, generation_id=generation, key=b"k", value=b"v", headers=None
        )
    )


async def events(*given: Any) -> AsyncIterator[Any]:
    for one in given:
        yield one


class Work:
    """A handler whose records end when the test says so."""

    def __init__(self) -> None:
        self.ends: dict[int, asyncio.Future[None]] = {}
        self.cancelled: list[int] = []
        self.send: set[int] = set()

    async def __call__(self, taken: Taken) -> None:
        self.ends[taken.offset] = asyncio.get_running_loop().create_future()
        if taken.offset in self.send:
            taken.mark_sent()
        try:
            await self.ends[taken.offset]
        except asyncio.CancelledError:
            self.cancelled.append(taken.offset)
            raise


class Fixture(NamedTuple):
    intake: Intake
    work: Work
    consumer: FakeConsumer
    faults: list[BaseException]
    exits: list[int]


@pytest.fixture
def made() -> Fixture:
    work = Work()
    faults: list[BaseException] = []
    exits: list[int] = []
    intake = Intake(
        work, slots=4, drain_limit=0.05, on_fault=faults.append, end_process=exits.append
    )
    return Fixture(intake, work, FakeConsumer(), faults, exits)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_only_an_unbroken_run_of_done_records_may_be_committed(made: Fixture) -> None:
    """Records that end out of order move the partition's place only up to the first hole."""
    intake, work, consumer, *_ = made
    consumer.committed = 5
    await intake.take(events(event(5), event(6), event(7)), consumer)
    await settle()
    work.ends[6].set_result(None)
    work.ends[7].set_result(None)
    await settle()
    assert intake.done_up_to == {}
    work.ends[5].set_result(None)
    await settle()
    assert intake.done_up_to == {Place("contacts", 0): 8}


async def test_a_drain_cancels_what_waits_and_awaits_what_was_sent(made: Fixture) -> None:
    """A record whose call was not sent is cancelled; one whose call is out ends by itself."""
    intake, work, consumer, *_ = made
    work.send = {1}
    await intake.take(events(event(1), event(2)), consumer)
    await settle()
    drain = asyncio.create_task(intake.drain(consumer))
    await settle()
    assert work.cancelled == [2]
    assert not drain.done()
    work.ends[1].set_result(None)
    await drain
    assert intake.done_up_to == {Place("contacts", 0): 2}
    assert sorted(consumer.forgotten) == [1, 2]


async def test_a_call_that_came_to_nothing_does_not_begin_anew_in_a_drain(made: Fixture) -> None:
    """Refused or rate-limited while the intake drains, a record ends there and comes again."""
    intake, work, consumer, _, exits = made
    work.send = {1}
    await intake.take(events(event(1)), consumer)
    await settle()
    (taken,) = intake._order[Place("contacts", 0)]
    drain = asyncio.create_task(intake.drain(consumer))
    await settle()
    taken.mark_unsent()
    await drain
    assert work.cancelled == [1]
    assert exits == []
    assert intake.done_up_to == {}


async def test_a_drain_over_its_limit_ends_the_process(made: Fixture) -> None:
    """Calls that outlast the drain count as a kill: exit 70, and no commit beyond them."""
    intake, work, consumer, _, exits = made
    work.send = {1}
    await intake.take(events(event(1)), consumer)
    await settle()
    await intake.drain(consumer)
    assert exits == [70]
    assert intake.done_up_to == {}
    work.ends[1].cancel()


async def test_a_record_cancelled_before_its_first_step_frees_its_slot(made: Fixture) -> None:
    """Slots come back from tasks that never ran."""
    intake, _, consumer, *_ = made
    for _ in range(3):
        await intake.take(events(*(event(n) for n in range(4))), consumer)
        await intake.drain(consumer)
        intake.assigned()
    assert intake._slots._value == 4


async def test_records_of_another_generation_are_left_to_come_again(made: Fixture) -> None:
    """What was buffered before a rebalance is not worked on after it."""
    intake, work, consumer, *_ = made
    await intake.take(events(event(1, generation=0)), consumer)
    await settle()
    assert work.ends == {}
    assert consumer.forgotten == [1]


@pytest.mark.parametrize(
    ("committed", "oldest", "offsets", "fault"),
    [
        (5, 0, [5, 6], False),
        (5, 0, [6], True),  # 5 was never handed over
        (5, 0, [5, 7], True),
        (5, 6, [6, 7], False),  # Kafka deleted 5
        (5, 6, [7], True),
        (None, 0, [0, 1], False),  # nothing was ever committed
        (None, 3, [3], False),
        (None, 0, [1], True),
        (5, 0, [4, 5], False),  # again what was done: its turn tells
    ],
)
async def test_a_skipped_record_is_not_committed_over(
    made: Fixture, committed: int | None, oldest: int, offsets: list[int], *, fault: bool
) -> None:
    """A hole in what was handed over stops the program before anything after it is done."""
    intake, work, consumer, faults, _ = made
    consumer.committed, consumer.oldest = committed, oldest
    await intake.take(events(*map(event, offsets)), consumer)
    await settle()
    assert bool(faults) is fault
    assert len(work.ends) == len(offsets) - fault


async def test_a_stop_is_not_undone_by_an_assignment(made: Fixture) -> None:
    """A rebalance during SIGTERM does not open the intake again."""
    intake, work, consumer, *_ = made
    intake.stop()
    intake.assigned()
    await intake.take(events(event(1)), consumer)
    await settle()
    assert work.ends == {}


async def test_a_fault_is_told_and_its_record_stays_uncommitted(made: Fixture) -> None:
    """What the handler raises ends the program without a commit of that record."""
    intake, work, consumer, faults, _ = made
    await intake.take(events(event(1), event(2)), consumer)
    await settle()
    error = RuntimeError("broken")
    work.ends[1].set_exception(error)
    work.ends[2].set_result(None)
    await settle()
    assert faults == [error]
    assert intake.done_up_to == {}


async def test_only_a_call_without_an_end_counts_for_the_watchdog(made: Fixture) -> None:
    """Waiting before a call, or for the acknowledgement after its answer, never counts."""
    intake, work, consumer, *_ = made
    work.send = {2, 3}
    await intake.take(events(event(1), event(2), event(3)), consumer)
    await settle()
    first, second, third = intake._order[Place("contacts", 0)]
    assert intake.unanswered_since() == min(second.sent_at or 0, third.sent_at or 0)
    second.mark_answered()
    third.mark_unsent()
    assert first.sent_at is None
    assert intake.unanswered_since() is None
