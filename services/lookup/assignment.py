"""What follows from an assignment, and what watches over it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from services.lookup.accounts import Account
from services.lookup.barrier import Barrier
from services.lookup.consumer import Consumer
from services.lookup.lease import Lease
from services.lookup.pace import Limiter, share
from services.lookup.paid import PaidCheck
from services.runtime.health import Readiness
from services.runtime.logs import get_logger
from services.runtime.metrics import TWILIO_LIMIT
from services.runtime.program import FaultError

log = get_logger(__name__)

#: By partition, the end of each outcome topic's log.
Ends = dict[int, dict[tuple[str, int], int]]
_WATCH_EVERY = 1.0
#: Seconds that done work may stay uncommitted while heartbeats succeed.
_UNCOMMITTED_LIMIT = 30.0
#: Seconds beyond the longest call after which one has plainly been lost.
_CALL_GRACE = 10.0


class Assignment:
    """Raises the barrier for new partitions and sets this process's share of each limit.

    `readiness` has `partitions` met from an assignment until a revocation.
    """

    def __init__(
        self,
        *,
        barrier: Barrier,
        paid: PaidCheck,
        lease: Lease,
        ends: Callable[[set[int]], Awaitable[Ends]],
        shares: Mapping[str, tuple[Limiter, Account]],
        partitions: int,
        readiness: Readiness,
        watch: Callable[[asyncio.Task[None]], asyncio.Task[None]],
    ) -> None:
        self._watch = watch
        self._barrier = barrier
        self._paid = paid
        self._lease = lease
        self._ends = ends
        self._shares = shares
        self._partitions = partitions
        self._readiness = readiness
        self._raising: asyncio.Task[None] | None = None
        self._assigned_at = float("inf")

    def assigned(self, partitions: set[int], generation: int) -> None:
        """These partitions are this process's now; the barrier's ends are read from here on."""
        self._cancel()
        for name, (limiter, account) in self._shares.items():
            mine = share(account.concurrency, len(partitions), self._partitions)
            limiter.resize(mine)
            TWILIO_LIMIT.labels(account=name).set(mine)
            if account.concurrency < self._partitions / max(1, len(partitions)):
                log.warning(
                    "the account's limit is smaller than the number of processes", account=name
                )
        self._raising = self._watch(asyncio.create_task(self._raise(partitions, generation)))
        self._readiness.met("partitions")
        self._assigned_at = time.monotonic()

    def revoked(self) -> None:
        """All partitions go; replies to what was asked before are void."""
        self._readiness.unmet("partitions", "revoked")
        self._cancel()
        self._barrier.drop()
        self._paid.revoked()

    def why_unheard(self) -> str | None:
        """Why Kafka does not count on this process, from its first assignment on; None if it does."""
        if self._lease.holds or time.monotonic() - self._assigned_at <= self._lease.length:
            return None  # an assignment was heard as well as a heartbeat is
        return "no heartbeat of late"

    def _cancel(self) -> None:
        if self._raising is not None:
            self._raising.cancel()
            self._raising = None

    async def _raise(self, partitions: set[int], generation: int) -> None:
        if any(number >= self._partitions for number in partitions):
            # A key would no longer meet its equals; the barred partitions stay so.
            raise FaultError(
                f"topics have more than the {self._partitions} partitions they had at the start: "
                "outcomes would not follow their requests; stop every program, run "
                "`bulk-lookup topics resize` if `bulk-lookup topics` finds numbers that differ, "
                "and start every program again"
            )
        self._barrier.raise_for(generation, await self._ends(partitions))


async def watchdog(consumer: Consumer, lease: Lease, longest_call: float) -> None:
    """Watch that work ends and is committed.

    Waiting before a call, or for an outcome's acknowledgement, never counts.

    Raises:
        FaultError: A call was lost, or done work stays uncommitted.
    """
    uncommitted_since: dict[Any, tuple[int, float]] = {}
    last = time.monotonic()
    while True:
        await asyncio.sleep(_WATCH_EVERY)
        now, woke_late = time.monotonic(), time.monotonic() - last > 3 * _WATCH_EVERY
        last = now
        if woke_late:
            continue  # the process itself stood still: what it reads now is not yet true
        sent_at = consumer.intake.unanswered_since()
        if sent_at is not None and now - sent_at > longest_call + _CALL_GRACE:
            raise FaultError("a call neither answered nor failed long after its timeout")
        if not lease.holds:
            uncommitted_since.clear()  # an outage of Kafka's is not work that hangs
            continue
        waiting = consumer.uncommitted()
        uncommitted_since = {
            tp: uncommitted_since.get(tp, (offset, now)) for tp, offset in waiting.items()
        }
        for tp, (offset, since) in uncommitted_since.items():
            if offset <= consumer.confirmed.get(tp, -1):
                uncommitted_since[tp] = (waiting[tp], now)
            elif now - since > _UNCOMMITTED_LIMIT:
                raise FaultError(f"done work of {tp.topic}/{tp.partition} stays uncommitted")
