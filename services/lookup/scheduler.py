"""Puts retries before lookup again when they are due: a program of its own.

It takes records ahead of their time, bounded for each partition, and never stands on one:
polls go on, a partition with enough records waiting is paused, and what waits is simply
forgotten when its partition goes to somebody else. A record is committed after its copy on
`lookup.due` is acknowledged; killed in between, it is moved twice, which the turns of a
request make harmless. Records are moved as they are, unread.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError
from fastapi import FastAPI

from services.lookup.due import Due, Waiting
from services.runtime.health import Readiness, health_router
from services.runtime.http import LOOPBACK, serve_http
from services.runtime.kafka import Publisher, close_consumer, make_member
from services.runtime.kafka_rights import check_kafka, reading_refused
from services.runtime.kafka_watch import wait_for_kafka, watch_kafka
from services.runtime.logs import get_logger
from services.runtime.metrics import (
    CONSUMER_REBALANCES,
    CONSUMER_RECORDS,
    SCHEDULER_LATENESS,
    SCHEDULER_MOVED,
    SCHEDULER_OVERDUE,
    registry_for,
)
from services.runtime.program import FaultError, Stop, run_program
from services.runtime.settings import ProgramSettings
from services.runtime.standing import Standing, show_standing

log = get_logger(__name__)

#: With so many records of a partition waiting, no more are fetched.
_ENOUGH = 200
#: Bytes fetched of a partition at once: with `_ENOUGH` it bounds what waits in memory.
_FETCH_BYTES = 128 * 1024
#: Most records moved at once, so that a stop or a rebalance soon gets its turn.
_BATCH = 1000
#: Seconds after which a stop is heard at the latest.
_POLL = 0.2


class SchedulerSettings(ProgramSettings):
    """What the scheduler needs: Kafka alone."""


class Scheduler(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka has no types
    """Moves due records of the partitions it has been given.

    Args:
        settings: Topics and delays.
        consumer: Of the retry topics, not subscribed yet.
        publisher: For `lookup.due`.
        readiness: Has `partitions` met from an assignment until a revocation.
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        settings: ProgramSettings,
        consumer: AIOKafkaConsumer,
        publisher: Publisher,
        readiness: Readiness,
        clock: Callable[[], float] = time.time,
    ) -> None:
        topics = settings.topics
        self._delays = {topic.name: delay for delay, topic in topics.retries}
        self._due_topic = topics.due.name
        self._consumer = consumer
        self._publisher = publisher
        self._readiness = readiness
        self._clock = clock
        self._waiting: Waiting[TopicPartition, ConsumerRecord] = Waiting(self._delays, _ENOUGH)
        self._moved: dict[TopicPartition, int] = {}
        self._fetched: dict[TopicPartition, int] = {}
        #: When the oldest of those being moved was due, milliseconds since 1970.
        self._moving_since: int | None = None
        #: Held while records are moved and committed, so that a revocation comes after.
        self._moving = asyncio.Lock()
        SCHEDULER_OVERDUE.set_function(self.overdue)

    async def run(self, stop: Stop) -> None:
        """Move records until a stop is asked for; what is then being moved is finished."""
        self._consumer.subscribe(list(self._delays), listener=self)
        while not stop.asked:
            async with self._moving:
                await self._move()
                await self._commit()
            self._set_paused()
            try:
                found = await self._consumer.getmany(timeout_ms=self._patience())
            except KafkaError as error:
                if not error.retriable:
                    raise reading_refused(error) from error
                log.warning("cannot read yet", reason=str(error))
                await asyncio.sleep(_POLL)
                continue
            for partition, records in found.items():
                self._waiting.add(partition, records)
                self._fetched[partition] = records[-1].offset + 1

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Let a move under way end, then forget what waits: its next owner takes it again."""
        self._readiness.unmet("partitions", "revoked")
        async with self._moving:
            await self._commit()
            self._waiting.drop(revoked)
            self._moved.clear()
            self._fetched.clear()
        CONSUMER_REBALANCES.labels(event="revoked").inc()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Begin with what was not committed; an empty assignment is one too."""
        CONSUMER_REBALANCES.labels(event="assigned").inc()
        self._readiness.met("partitions")
        log.info("partitions assigned", count=len(list(assigned)))

    def standings(self) -> Iterable[Standing]:
        """Where each partition stands; at its end, if nothing was taken from it yet."""
        for tp in self._consumer.assignment():
            end = self._consumer.highwater(tp)
            fetched = self._fetched.get(tp, end)
            position = None if fetched is None else fetched - self._waiting.waiting(tp)
            yield Standing(tp.topic, tp.partition, position, end)

    def overdue(self) -> float:
        """Seconds since the oldest record that waits here was due; 0 if none is."""
        times = [t for t in (self._moving_since, self._waiting.next_due()) if t is not None]
        return max(0.0, self._clock() - min(times) / 1000) if times else 0.0

    async def _move(self) -> None:
        """Append what is due to `lookup.due`, and wait until all of it is acknowledged."""
        due = self._waiting.take_due(int(self._clock() * 1000), _BATCH)
        if not due:
            return
        self._moving_since = min(one.since for one in due)
        await asyncio.gather(*(self._move_one(one) for one in due))
        self._moving_since = None
        for one in due:
            self._moved[one.partition] = one.record.offset + 1

    async def _move_one(self, due: Due[TopicPartition, ConsumerRecord]) -> None:
        record = due.record
        await self._publisher.publish(
            self._due_topic,
            record.value or b"",  # a record of nobody's; lookup buries it
            key=record.key,
            partition=record.partition,
            headers=list(record.headers),
        )
        SCHEDULER_LATENESS.observe(max(0.0, self._clock() - due.since / 1000))
        SCHEDULER_MOVED.labels(topic=record.topic).inc()
        CONSUMER_RECORDS.labels(topic=record.topic, outcome="ok").inc()

    async def _commit(self) -> None:
        """Commit what was moved; should it fail, it is tried with what is moved next."""
        if not self._moved:
            return
        try:
            await self._consumer.commit(dict(self._moved))
        except KafkaError as error:
            log.warning("commit failed, these may be moved twice", reason=str(error))
        else:
            self._moved.clear()

    def _set_paused(self) -> None:
        full = self._waiting.full() & self._consumer.assignment()
        paused = self._consumer.paused()
        self._consumer.pause(*(full - paused))
        self._consumer.resume(*(paused - full))

    def _patience(self) -> int:
        """Milliseconds to wait for records: until the next is due, or a stop should be heard."""
        next_due = self._waiting.next_due()
        if next_due is None:
            return int(_POLL * 1000)
        # One more, since the clock is cut to whole milliseconds.
        until = next_due - int(self._clock() * 1000) + 1
        return max(0, min(until, int(_POLL * 1000)))


async def serve(settings: SchedulerSettings, stop: Stop) -> None:
    """Start the scheduler, wait for the stop, finish what is being moved."""
    readiness = Readiness("kafka", "partitions")
    web = FastAPI(title="Bulk Lookup: scheduler")
    web.include_router(health_router("scheduler", readiness, registry_for("scheduler")))
    async with AsyncExitStack() as stack:
        host = settings.http_host or LOOPBACK
        await stack.enter_async_context(serve_http(web, host, settings.http_port, grace=1))
        await wait_for_kafka(settings, lambda: check_kafka(settings, "scheduler"), readiness, stop)
        publisher = Publisher(settings)
        consumer = make_member(
            settings,
            "scheduler",
            # An idle fetch keeps the next one of its broker waiting.
            fetch_max_wait_ms=100,
            max_partition_fetch_bytes=_FETCH_BYTES,
        )
        stack.push_async_callback(publisher.stop)
        stack.push_async_callback(close_consumer, consumer)
        for client in (publisher, consumer):
            await wait_for_kafka(settings, client.start, readiness, stop)
        scheduler = Scheduler(settings, consumer, publisher, readiness)
        retries = [topic.name for _, topic in settings.topics.retries]
        show_standing(settings.group("scheduler"), retries, scheduler.standings)
        moving = asyncio.create_task(scheduler.run(stop))
        watching = stop.watch(asyncio.create_task(watch_kafka(publisher, readiness)))
        stack.callback(watching.cancel)
        await _until_stopped(stop.watch(moving), stop, settings.drain_limit.total_seconds())


async def _until_stopped(moving: asyncio.Task[None], stop: Stop, limit: float) -> None:
    await stop.wait()
    log.info("stopping", fault=stop.fault is not None)
    done, _ = await asyncio.wait({moving}, timeout=limit)
    if not done:
        moving.cancel()
        stop.fail(FaultError("what was being moved was not acknowledged within DRAIN_LIMIT"))
        await asyncio.wait({moving})


def main() -> int:
    """Run the scheduler."""
    return run_program("scheduler", SchedulerSettings, serve)


if __name__ == "__main__":
    sys.exit(main())
