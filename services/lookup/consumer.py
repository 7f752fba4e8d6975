"""Faust's consumer, made safe: what it commits, when it drains, what it may fetch.

Six things of Faust 0.15.3 are replaced, each because it was seen to lose records:

- its book of acknowledgements, which jumps over holes: only `Intake.done_up_to` is
  committed, and only what the broker confirmed counts as committed;
- its revocation, which forgets acknowledgements before it waits: we drain first;
- its resuming of every partition after an assignment: a barred one is fetched only once
  released, and is paused before Faust makes it active for a moment;
- its fetch, whose set of partitions empties while it waits for an assignment: to aiokafka
  an empty set is all of them, and Faust drops what it did not ask for, past its place;
- its crash on a commit that fails: the next commit covers it, and the watchdog sees one
  that never succeeds;
- its patience with a Kafka that is away: each commit, and the end of its thread, which keeps
  the process alive, come to an end all the same.

It also tells the lease of each heartbeat, sent from the consumer's own thread.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import faust
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.transport.drivers import aiokafka as driver

from services.lookup.intake import Intake
from services.lookup.lease import Lease
from services.runtime.ending import end
from services.runtime.logs import get_logger
from services.runtime.metrics import CONSUMER_REBALANCES
from services.runtime.standing import Standing

log = get_logger(__name__)
#: A commit takes no longer: aiokafka's own tries for as long as Kafka is away.
_COMMIT_SECONDS = 5.0
_RETRY_AFTER = 0.5


@dataclass(frozen=True, slots=True)
class Parts:
    """What the consumer works with, and whom it tells."""

    intake: Intake
    lease: Lease
    #: These partitions, of this generation of the group, wait for their barrier.
    on_assigned: Callable[[set[int], int], None]
    #: All partitions are about to be drained.
    on_revoked: Callable[[], None]


class _Thread(driver.AIOKafkaConsumerThread):
    """The thread in which aiokafka runs."""

    async def on_start(self) -> None:
        if not await self._connect():
            return
        coordinator = self._consumer._coordinator  # noqa: SLF001 - heartbeats have no public hook
        beat, lease = coordinator._do_heartbeat, self.consumer.lease  # noqa: SLF001 - the same

        async def heartbeat() -> bool:
            sent_at = time.monotonic()
            succeeded = bool(await beat())
            if succeeded:
                lease.renew(sent_at)
            return succeeded

        coordinator._do_heartbeat = heartbeat  # noqa: SLF001 - the same

    async def _connect(self) -> bool:
        """Start aiokafka's consumer, for as long as Kafka is away; false if a stop came first."""
        while not self.should_stop:
            try:
                return not (await self.wait(super().on_start())).stopped
            except KafkaError as error:
                if not error.retriable:
                    raise
                log.warning("the group waits for kafka", reason=type(error).__name__)
                await end("consumer", self._consumer.stop())
                await self.sleep(_RETRY_AFTER)
        return False

    async def _fetch_records(self, consumer: Any, *asked: Any, **limits: Any) -> Any:
        fetched = await super()._fetch_records(consumer, *asked, **limits)
        # No await from here on: until then the places of what is dropped are put back.
        kept = {tp: records for tp, records in fetched.items() if self.consumer.flows(tp)}
        for tp in (fetched.keys() - kept.keys()) & consumer.assignment():
            consumer.seek(tp, fetched[tp][0].offset)
        return kept

    def on_crash(self, msg: str, *fmt: Any, **kwargs: Any) -> None:
        """Print nothing: the crash is logged, where numbers are masked."""

    async def on_thread_stop(self) -> None:
        # In a task of its own: cancelled in here, the thread would never say that it is done.
        await end("consumer", super().on_thread_stop())

    async def commit(self, offsets: Mapping[Any, int]) -> bool:
        # Not through Faust's queue, whose two workers would be kept by two such commits.
        committing = asyncio.run_coroutine_threadsafe(self._commit(offsets), self.thread_loop)
        try:
            async with asyncio.timeout(_COMMIT_SECONDS):
                return await asyncio.wrap_future(committing)
        except TimeoutError:
            log.warning("commit failed", reason=f"no answer within {_COMMIT_SECONDS:.0f} s")
            return False

    async def _commit(self, offsets: Mapping[Any, int]) -> bool:
        assignment = self.assignment()
        wanted = {
            TopicPartition(tp.topic, tp.partition): OffsetAndMetadata(offset, "")
            for tp, offset in offsets.items()
            if tp in assignment
        }
        try:
            if wanted:
                await self._consumer.commit(wanted)
        except KafkaError as error:
            log.warning("commit failed", reason=type(error).__name__)
            return False
        return True


class Consumer(driver.Consumer):
    """Faust's consumer with our intake, barrier and lease."""

    def __init__(self, transport: Transport, *args: Any, **kwargs: Any) -> None:
        self.intake = transport.parts.intake
        self.lease = transport.parts.lease
        self._parts = transport.parts
        super().__init__(transport, *args, **kwargs)
        self._barred: set[int] = set()
        #: Whether Faust has seeked since the assignment; nothing may be fetched before.
        self._seeked = False
        self._committed_last = False
        #: By partition, the offset that the broker confirmed.
        self.confirmed: dict[Any, int] = {}

    def _new_consumer_thread(self) -> _Thread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    def forget(self, message: Any) -> None:
        """Faust need not wait for this record any more."""
        self.unacked.discard(message)

    async def stop_taking(self) -> None:
        """For a stop of the program: drain, and do not open again."""
        self.intake.stop()
        await self.drain()
        if left := self.uncommitted():
            log.warning(
                "not committed; what was done comes again and is dropped", partitions=len(left)
            )
        # Faust commits twice more as it stops: with Kafka away they would only take time.
        self._committed_last = True

    async def drain(self) -> None:
        """Stop the flow, end or await what is under work, and commit what is done."""
        self.stop_flow()
        self.app.flow_control.suspend()
        self.app.flow_control.clear()
        await self.intake.drain(self)
        for _ in range(2):  # the first may only wait for one already under way
            await self.commit()

    async def force_commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Commit what the intake is done with, and remember only what the broker confirmed."""
        del topics, start_new_transaction
        offsets = self.uncommitted()
        if self._committed_last or not offsets or not await self._commit(offsets):
            return False
        self.confirmed.update(offsets)
        return True

    async def on_partitions_revoked(self, revoked: set[Any]) -> None:
        """Drain before Faust forgets what was done."""
        CONSUMER_REBALANCES.labels(event="revoked").inc()
        if revoked:
            log.info("partitions revoked, draining", partitions=len(revoked))
            self._parts.on_revoked()
            await self.drain()
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[Any], generation_id: int = 0) -> None:
        """Bar every partition before anything of it is fetched."""
        CONSUMER_REBALANCES.labels(event="assigned").inc()
        log.info("partitions assigned", partitions=sorted({tp.partition for tp in assigned}))
        self._barred = {tp.partition for tp in assigned}
        self._seeked = False
        self._buffered_partitions.clear()  # a late pressure callback would resume a barred one
        self._paused_partitions.update(assigned)
        self.confirmed.clear()
        self.intake.assigned()
        await super().on_partitions_assigned(assigned, generation_id)
        self._parts.on_assigned({tp.partition for tp in assigned}, generation_id)

    def resume_partitions(self, tps: Any) -> None:
        """Faust resumes all of them after it has seeked; the barred ones must wait."""
        self._seeked = True
        super().resume_partitions({tp for tp in tps if tp.partition not in self._barred})

    def flows(self, tp: Any) -> bool:
        """Whether Faust takes what is fetched of a partition, or drops it."""
        return tp in self._buffered_partitions or tp in (self._active_partitions or ())

    def release(self, partition: int, generation: int) -> None:
        """Let a partition flow, unless the group has moved on since `generation`."""
        if generation != self.app.consumer_generation_id or partition not in self._barred:
            return
        self._barred.discard(partition)
        if self._seeked:
            freed = {tp for tp in self.assignment() if tp.partition == partition}
            super().resume_partitions(freed)

    def place(self, tp: Any) -> int | None:
        """The committed offset of a partition, if one is known."""
        if tp in self.confirmed:
            return self.confirmed[tp]
        committed: int | None = self._committed_offset[tp]
        return committed

    def standings(self) -> Iterable[Standing]:
        """Where each partition stands, by what is committed."""
        found = []
        for tp in self.assignment():
            place = self.place(tp)
            try:
                end = self.highwater(tp)
            except AssertionError:
                continue  # taken away meanwhile, in the consumer's own thread
            # The library's place of a partition in which nothing was ever committed is -1.
            found.append(
                Standing(tp.topic, tp.partition, place if place is None else max(0, place), end)
            )
        return found

    async def first_offset(self, tp: Any) -> int:
        """The oldest offset that Kafka still has of a partition."""
        found = await self.earliest_offsets(tp)
        return int(next(iter(found.values())))

    def uncommitted(self) -> dict[Any, int]:
        """Partitions whose done work the broker has not confirmed, with the offset wanted."""
        return {
            tp: offset
            for tp, offset in self.intake.done_up_to.items()
            if offset > self.confirmed.get(tp, -1)
        }


class _Boot(faust.App.BootStrategy):
    """Without Faust's producer: outcomes are appended by our own."""

    enable_kafka_producer = False


class App(faust.App):
    """Faust's app without its producer, and its folder on disk: there are no tables to keep."""

    BootStrategy = _Boot

    def _create_directories(self) -> None:
        """Make none."""


class Transport(driver.Transport):
    """Faust's transport with our consumer."""

    Consumer = Consumer

    def __init__(self, url: Any, app: Any, parts: Parts) -> None:
        self.parts = parts
        super().__init__(url, app)
