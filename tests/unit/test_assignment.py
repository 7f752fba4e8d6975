"""What follows from an assignment: shares, the barrier, and a refusal."""

import asyncio
import time
from types import SimpleNamespace
from typing import Any, cast

import pytest

from services.lookup.assignment import Assignment, Ends
from services.lookup.barrier import Barrier
from services.lookup.lease import Lease
from services.lookup.paid import PaidCheck
from services.lookup.throttle import Throttle
from services.runtime.health import Readiness
from services.runtime.program import FaultError

PARTITIONS = 4


class Made:
    """An assignment with everything around it at hand."""

    def __init__(self, lease: Lease | None = None) -> None:
        self.shares: list[tuple[int, float]] = []
        throttle = SimpleNamespace(resize=lambda *share: self.shares.append(share))
        self.barrier = Barrier(lambda _partition, _generation: None)
        self.readiness = Readiness("kafka", "partitions")
        self.readiness.met("kafka")
        if lease is None:
            lease = Lease(10)
            lease.renew(time.monotonic())
        self.tasks: list[asyncio.Task[None]] = []
        self.revocations = 0
        self.assignment = Assignment(
            barrier=self.barrier,
            paid=cast("PaidCheck", SimpleNamespace(revoked=self.revoked)),
            lease=lease,
            ends=self.ends,
            shares={
                "main": (
                    cast("Throttle", throttle),
                    cast("Any", SimpleNamespace(concurrency=40)),
                )
            },
            partitions=PARTITIONS,
            readiness=self.readiness,
            watch=self.watch,
        )

    def revoked(self) -> None:
        self.revocations += 1

    async def ends(self, partitions: set[int]) -> Ends:
        return {number: {("lookup.results", number): 7} for number in partitions}

    def watch(self, task: asyncio.Task[None]) -> asyncio.Task[None]:
        self.tasks.append(task)
        return task


async def test_an_assignment_sets_the_share_and_raises_the_barrier() -> None:
    """Three of four partitions bring three quarters of the limit, and wait for their ends."""
    made = Made()
    made.assignment.assigned({0, 1, 2}, 5)
    await asyncio.gather(*made.tasks)
    assert made.shares == [(30, 0.75)]
    for stored, waits in ((6, True), (7, False)):
        made.barrier.seen({("lookup.results", number): stored for number in range(3)})
        assert made.barrier.waits is waits
    assert made.readiness.missing == {}


async def test_a_revocation_drops_the_barrier_and_what_was_asked() -> None:
    """Nothing of the old assignment is released, and its replies are void."""
    made = Made()
    made.assignment.assigned({0}, 5)
    await asyncio.gather(*made.tasks)
    made.assignment.revoked()
    assert not made.barrier.waits
    assert made.revocations == 1


async def test_a_revocation_makes_it_unready_until_the_next_assignment() -> None:
    """An assignment of nothing is one too: more processes than partitions are all ready."""
    made = Made()
    assert made.readiness.missing == {"partitions": "not yet"}
    made.assignment.assigned({0}, 5)
    made.assignment.revoked()
    assert made.readiness.missing == {"partitions": "revoked"}
    made.assignment.assigned(set(), 6)
    assert made.readiness.missing == {}
    await asyncio.gather(*made.tasks, return_exceptions=True)


async def test_whoever_has_partition_0_does_what_one_does_for_all() -> None:
    """Until it is taken away; with any other partitions, not."""
    made = Made()
    seen = [made.assignment.has_first]
    for partitions in ({0, 2}, {1, 3}, {0}):
        made.assignment.assigned(set(partitions), 5)
        seen.append(made.assignment.has_first)
    made.assignment.revoked()
    assert [*seen, made.assignment.has_first] == [False, True, False, True, False]
    await asyncio.gather(*made.tasks, return_exceptions=True)


async def test_kafka_does_not_hear_of_it_while_the_lease_is_over() -> None:
    """From the first assignment on, which was heard itself; a heartbeat brings it back."""
    lease = Lease(10)
    made = Made(lease)
    assert made.assignment.why_unheard() is None
    made.assignment.assigned({0}, 5)
    assert made.assignment.why_unheard() is None
    made.assignment._assigned_at -= lease.length
    assert made.assignment.why_unheard() == "no heartbeat of late"
    lease.renew(time.monotonic())
    assert made.assignment.why_unheard() is None
    await asyncio.gather(*made.tasks)


async def test_more_partitions_than_at_the_start_are_a_fault() -> None:
    """A topic that grew while lookup ran stops it with the way out; nothing of it flows."""
    made = Made()
    made.assignment.assigned({0, PARTITIONS}, 5)
    with pytest.raises(FaultError, match="start every program again"):
        await made.tasks[0]
    assert not made.barrier.waits
