"""What follows from an assignment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from services.lookup.accounts import Account
from services.lookup.barrier import Barrier
from services.lookup.lease import Lease
from services.lookup.pace import share
from services.lookup.paid import PaidCheck
from services.lookup.throttle import Throttle
from services.runtime.health import Readiness
from services.runtime.logs import get_logger
from services.runtime.program import FaultError
from services.runtime.twilio_metrics import TWILIO_LIMIT

log = get_logger(__name__)

#: By partition, the end of each outcome topic's log.
Ends = dict[int, dict[tuple[str, int], int]]


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
        shares: Mapping[str, tuple[Throttle, Account]],
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
        #: Whether partition 0 is this process's: then it does what one does for all.
        self.has_first = False
        self._assigned_at = float("inf")

    def assigned(self, partitions: set[int], generation: int) -> None:
        """These partitions are this process's now; the barrier's ends are read from here on."""
        self._cancel()
        self.has_first = 0 in partitions
        for name, (throttle, account) in self._shares.items():
            mine = share(account.concurrency, len(partitions), self._partitions)
            throttle.resize(mine, len(partitions) / self._partitions)
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
        self.has_first = False
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
