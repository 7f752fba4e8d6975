"""Watches that work ends and is committed: what hangs is ended, and a restart costs nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from services.lookup.consumer import Consumer
from services.lookup.lease import Lease
from services.runtime.program import FaultError

_LOOK_EVERY = 1.0
#: Seconds between two looks after which the process itself plainly stood still.
_STOOD_STILL = 3.0
#: Seconds that done work may stay uncommitted while heartbeats succeed.
UNCOMMITTED_LIMIT = 30.0
#: Seconds beyond the longest call after which one has plainly been lost.
CALL_GRACE = 10.0


class Watch:
    """Judges one look after the other.

    Waiting before a call, or for an outcome's acknowledgement, never counts, and neither does
    the time that the process stood still.
    """

    def __init__(self, longest_call: float) -> None:
        """Take the seconds after which a call has answered or failed by its own time-outs."""
        self._longest = longest_call + CALL_GRACE
        self._looked_at: float | None = None
        #: Since when the process has run without standing still.
        self._running_since = float("-inf")
        #: By partition, the first offset that was found uncommitted, and when.
        self._uncommitted: dict[Any, tuple[int, float]] = {}

    def look(
        self,
        now: float,
        *,
        unanswered_since: float | None,
        uncommitted: Mapping[Any, int],
        confirmed: Mapping[Any, int],
        heartbeats: bool,
    ) -> str | None:
        """What hangs, if anything does.

        Args:
            now: Seconds of a clock that does not step, as all times here.
            unanswered_since: When the oldest call was sent that has no end yet.
            uncommitted: By partition, the offset up to which work is done and not committed.
            confirmed: By partition, the offset that the broker has confirmed.
            heartbeats: Whether they succeed.
        """
        if self._looked_at is not None and now - self._looked_at > _STOOD_STILL:
            # What is read now was true before it: the loop has yet to work off what came since.
            self._running_since = now
            self._uncommitted.clear()
        self._looked_at = now
        if unanswered_since is not None:
            lasted = now - max(unanswered_since, self._running_since)
            if lasted > self._longest:
                return "a call neither answered nor failed long after its timeout"
        if not heartbeats:
            self._uncommitted.clear()  # an outage of Kafka's is not work that hangs
            return None
        self._uncommitted = {
            tp: self._uncommitted.get(tp, (offset, now)) for tp, offset in uncommitted.items()
        }
        for tp, (offset, since) in self._uncommitted.items():
            if offset <= confirmed.get(tp, -1):
                self._uncommitted[tp] = (uncommitted[tp], now)
            elif now - since > UNCOMMITTED_LIMIT:
                return f"done work of {tp.topic}/{tp.partition} stays uncommitted"
        return None


async def watchdog(consumer: Consumer, lease: Lease, longest_call: float) -> None:
    """Look every second.

    Raises:
        FaultError: A call was lost, or done work stays uncommitted.
    """
    watch = Watch(longest_call)
    while True:
        await asyncio.sleep(_LOOK_EVERY)
        hangs = watch.look(
            time.monotonic(),
            unanswered_since=consumer.intake.unanswered_since(),
            uncommitted=consumer.uncommitted(),
            confirmed=consumer.confirmed,
            heartbeats=lease.holds,
        )
        if hangs is not None:
            raise FaultError(hangs)
