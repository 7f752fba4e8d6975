"""Memory, barrier, single flight and lease: the small mechanisms of lookup."""

import asyncio
import time
from datetime import UTC, datetime
from uuid import UUID

import pytest

from services.contracts.packages import Answer, Package
from services.contracts.turns import Record, Row, State
from services.lookup.barrier import Barrier
from services.lookup.flights import Flights
from services.lookup.lease import Lease, LeaseOverError
from services.lookup.memory import Memory, Remembered

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ONE, TWO = UUID(int=1), UUID(int=2)


def outcome(request_id: UUID, state: State, turn: int = 1, status: str = "ok") -> Remembered:
    answer = Answer.model_validate({"status": status, "looked_up_at": NOW, "turn": turn})
    answers = {Package.CALLER_NAME: answer}
    return Remembered(
        request_id, "default", "+14155550100", Record(state, 0, turn, answers=answers)
    )


async def test_the_memory_knows_what_postgresql_does_not_yet() -> None:
    """A remembered outcome is merged into the stored row until its offset is stored."""
    memory = Memory(10)
    await memory.reserve()
    memory.remember("lookup.results", 3, 7, outcome(ONE, State.COMPLETED))
    stored = Row(State.PENDING)
    assert memory.row(ONE, stored) == Row(
        State.COMPLETED, answers=outcome(ONE, State.COMPLETED).record.answers
    )
    memory.forget_stored({("lookup.results", 3): 7})
    assert len(memory) == 1
    memory.forget_stored({("lookup.results", 3): 8})
    assert memory.row(ONE, stored) == stored


async def test_the_memory_answers_for_other_requests_of_a_number() -> None:
    """A second request for a number finds the first one's answer, but no exhausted one."""
    memory = Memory(10)
    for offset, (request, status) in enumerate([(ONE, "exhausted"), (TWO, "ok")]):
        await memory.reserve()
        found = outcome(request, State.COMPLETED, status=status)
        memory.remember("lookup.results", 0, offset, found)
        expected = {} if status == "exhausted" else found.record.answers
        assert memory.answers("default", "+14155550100") == expected
    assert memory.answers("other", "+14155550100") == {}


async def test_a_full_memory_makes_callers_wait() -> None:
    """Without room nothing more is asked; stored outcomes give it back."""
    memory = Memory(1)
    await memory.reserve()
    memory.remember("lookup.results", 0, 0, outcome(ONE, State.COMPLETED))
    waiting = asyncio.create_task(memory.reserve())
    await asyncio.sleep(0)
    assert not waiting.done()
    memory.forget_stored({("lookup.results", 0): 1})
    await waiting


ENDS = {0: {("lookup.results", 0): 5, ("lookup.parked", 0): 0}, 1: {("lookup.results", 1): 9}}


@pytest.mark.parametrize(
    ("offsets", "released"),
    [
        ({}, []),
        ({("lookup.results", 0): 4}, []),
        ({("lookup.results", 0): 5}, [0]),  # an empty log has nothing to reach
        ({("lookup.results", 0): 6, ("lookup.results", 1): 9}, [0, 1]),
    ],
)
def test_the_barrier_lets_a_partition_go_when_its_ends_are_stored(
    offsets: dict[tuple[str, int], int], released: list[int]
) -> None:
    """Each partition waits for its own ends, of every outcome topic."""
    let_go: list[tuple[int, int]] = []
    barrier = Barrier(lambda partition, generation: let_go.append((partition, generation)))
    assert barrier.waited() == 0
    barrier.raise_for(7, {number: dict(ends) for number, ends in ENDS.items()})
    assert barrier.waited() > 0
    barrier.seen(offsets)
    assert let_go == [(number, 7) for number in released]
    assert barrier.waits == (len(released) < 2)
    assert (barrier.waited() > 0) == barrier.waits


async def test_a_number_is_worked_on_by_one_record_at_a_time() -> None:
    """The second record of a number enters after the first has left; others are free."""
    flights, seen = Flights(), []

    async def work(name: str, phone: str, leave: asyncio.Event) -> None:
        async with flights.of("default", phone):
            seen.append(name)
            await leave.wait()

    leave = asyncio.Event()
    tasks = [
        asyncio.create_task(work(name, phone, leave))
        for name, phone in [("first", "+1"), ("second", "+1"), ("other", "+2")]
    ]
    for _ in range(3):
        await asyncio.sleep(0)
    assert seen == ["first", "other"]
    leave.set()
    await asyncio.gather(*tasks)
    assert seen == ["first", "other", "second"]
    assert len(flights) == 0


async def test_a_cancelled_wait_leaves_no_lock_behind() -> None:
    """Records cancelled while they wait for a number do not keep it."""
    flights = Flights()
    async with flights.of("default", "+1"):

        async def want() -> None:
            async with flights.of("default", "+1"):
                pass

        waiting = asyncio.create_task(want())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    assert len(flights) == 0


def test_the_lease_starts_at_nothing_and_follows_the_sending_of_heartbeats() -> None:
    """Nothing is sent before the first heartbeat, nor long after the sending of the last."""
    lease = Lease(session_timeout=10)
    with pytest.raises(LeaseOverError):
        lease.check()
    lease.renew(time.monotonic() - 7)
    lease.check()
    lease.renew(time.monotonic() - 9)  # an older one takes nothing away
    lease.check()
    late = Lease(session_timeout=10)
    late.renew(time.monotonic() - 9)
    with pytest.raises(LeaseOverError):
        late.check()
