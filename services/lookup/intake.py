"""Records taken off the log, worked on side by side, and done with in order.

Faust owns the group and the delivery; this owns what is safe to commit. A record is done
when Kafka has acknowledged what came of it, and only an unbroken run of done records
moves a partition's place on. When partitions are revoked, or the program is to stop, what
has not sent its call yet is cancelled, what has is awaited, and nothing else is committed:
it comes again, and its turn tells whether it was already worked on.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import UTC, datetime
from functools import partial
from typing import Any

from services.contracts.messages import LookupRequest
from services.runtime.logs import get_logger
from services.runtime.program import EXIT_FAULT, FaultError

log = get_logger(__name__)


class Taken:
    """One record taken off the log, and how far its work has come."""

    __slots__ = (
        "answered",
        "done",
        "event",
        "leaving",
        "rate_limited",
        "request",
        "sent_at",
        "task",
        "tp",
    )

    def __init__(self, event: Any) -> None:
        self.event = event
        self.tp = event.message.tp
        self.task: asyncio.Task[None] | None = None
        #: When its call's bytes were written (monotonic); None: it may be cancelled.
        self.sent_at: float | None = None
        self.answered = False
        self.done = False
        #: The intake drains: without a call out it is to end.
        self.leaving = False
        #: Calls in a row that the account's rate limit refused.
        self.rate_limited = 0
        #: The request as far as it was read, with what was answered: for a dead letter.
        self.request: LookupRequest | None = None

    @property
    def topic(self) -> str:
        """The topic it came from."""
        return str(self.tp.topic)

    @property
    def partition(self) -> int:
        """The partition it came from; what comes of it goes to the same number."""
        return int(self.tp.partition)

    @property
    def offset(self) -> int:
        """Its place in the partition."""
        return int(self.event.message.offset)

    @property
    def key(self) -> bytes | None:
        """Its key's bytes."""
        key: bytes | None = self.event.message.key
        return key

    @property
    def value(self) -> bytes | None:
        """Its value's bytes."""
        value: bytes | None = self.event.message.value
        return value

    @property
    def headers(self) -> tuple[tuple[str, bytes | None], ...]:
        """Its headers."""
        headers = self.event.message.headers or ()
        return tuple(headers.items() if isinstance(headers, dict) else headers)

    @property
    def timestamp(self) -> datetime | None:
        """The time Kafka keeps with it; None for one that no calendar has."""
        try:
            return datetime.fromtimestamp(self.event.message.timestamp, UTC)
        except (ValueError, OverflowError, OSError, TypeError):
            return None

    def mark_sent(self) -> None:
        """Its call's bytes are being written: from here it is awaited, never cancelled."""
        self.sent_at, self.answered = time.monotonic(), False

    def mark_answered(self) -> None:
        """Its call came to an end; what remains is Kafka's acknowledgement."""
        self.answered = True

    def mark_unsent(self) -> None:
        """Its call came to nothing and it waits in front of the next one, unless it is to end."""
        self.sent_at, self.answered = None, False
        if self.leaving and self.task is not None:
            self.task.cancel()


Handler = Callable[[Taken], Coroutine[Any, Any, None]]


class Intake:
    """Slots for records under work, their order, and the drain."""

    def __init__(
        self,
        handle: Handler,
        *,
        slots: int,
        drain_limit: float,
        on_fault: Callable[[BaseException], None],
        end_process: Callable[[int], None] = os._exit,
    ) -> None:
        """Work on records with `handle`, which returns when the record is done with.

        Args:
            handle: Raises only for faults that the program cannot go on from.
            slots: Records under work at once.
            drain_limit: Seconds a drain may take; over it the process ends, as if killed.
            on_fault: Told of the first thing `handle` raises.
            end_process: How the process ends when a drain overruns.
        """
        self._handle = handle
        self._slots = asyncio.Semaphore(slots)
        self._drain_limit = drain_limit
        self._on_fault = on_fault
        self._end_process = end_process
        self._order: dict[Any, deque[Taken]] = defaultdict(deque)
        self._stopping = False
        self._draining = False
        #: By partition, the offset after the last record taken.
        self._following: dict[Any, int] = {}
        #: By partition, the offset up to which everything is done: what may be committed.
        self.done_up_to: dict[Any, int] = {}

    async def take(self, events: AsyncIterator[Any], consumer: Any) -> None:
        """Take records as they come; the body of the Faust agents."""
        async for event in events:
            await self._slots.acquire()
            stale = event.message.generation_id != consumer.app.consumer_generation_id
            if self._draining or self._stopping or stale:
                self._slots.release()
                consumer.forget(event.message)  # comes again, here or elsewhere
                continue
            if (skipped := await self._skipped(event.message, consumer)) is not None:
                self._slots.release()
                self._on_fault(skipped)
                return
            taken = Taken(event)
            self._order[taken.tp].append(taken)
            taken.task = asyncio.create_task(self._handle(taken))
            # A callback, since a task cancelled before its first step runs no `finally`.
            taken.task.add_done_callback(partial(self._ended, taken, consumer))

    async def _skipped(self, message: Any, consumer: Any) -> FaultError | None:
        """Whether records between the last one and this one were never handed over.

        These topics are neither compacted nor transactional, so offsets follow one another;
        only what Kafka has deleted may be missing. Anything else would be committed over.
        """
        expected = self._following.get(message.tp)
        if expected is None:
            expected = consumer.place(message.tp) or 0
        self._following[message.tp] = message.offset + 1
        if message.offset <= expected or await consumer.first_offset(message.tp) >= message.offset:
            return None
        return FaultError(
            f"{message.tp.topic}/{message.tp.partition}: the records {expected} to "
            f"{message.offset - 1} were skipped; started again, lookup reads them"
        )

    def _ended(self, taken: Taken, consumer: Any, task: asyncio.Task[None]) -> None:
        self._slots.release()
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            self._on_fault(error)
            return
        taken.done = True
        queue = self._order.get(taken.tp)
        while queue and queue[0].done:
            head = queue.popleft()
            self.done_up_to[head.tp] = head.offset + 1
            consumer.forget(head.event.message)

    def assigned(self) -> None:
        """New partitions are about to flow; not if the program is stopping."""
        self._draining = False
        self._following.clear()
        self.done_up_to.clear()

    def stop(self) -> None:
        """Take nothing more, whatever the group assigns."""
        self._stopping = True

    async def drain(self, consumer: Any) -> None:
        """Cancel what waits, await what is out, forget the rest; ends the process over the limit."""
        self._draining = True
        held = [taken for queue in self._order.values() for taken in queue]
        for taken in held:
            taken.leaving = True
            if taken.sent_at is None and taken.task is not None:
                taken.task.cancel()
        out = [taken.task for taken in held if taken.task is not None and not taken.task.done()]
        if out:
            _, late = await asyncio.wait(out, timeout=self._drain_limit)
            if late:
                log.error("drain over its limit", calls=len(late), limit=self._drain_limit)
                self._end_process(EXIT_FAULT)
        for queue in self._order.values():
            for taken in queue:
                consumer.forget(taken.event.message)
        self._order.clear()

    def unanswered_since(self) -> float | None:
        """When the oldest call that has neither answered nor failed was sent (monotonic)."""
        sent = [
            taken.sent_at
            for queue in self._order.values()
            for taken in queue
            if taken.sent_at is not None and not taken.answered and not taken.done
        ]
        return min(sent, default=None)
