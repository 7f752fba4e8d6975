"""Reads `contacts.inbound` and publishes its contacts; needs Kafka alone.

A record's place is committed only after what came of it is acknowledged: a contact, or a
dead letter. A record that comes again makes the same ids, so it changes nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from services.contracts.codec import encode
from services.contracts.dead_letters import tool_headers
from services.contracts.messages import DeadLetter, LookupRequest
from services.contracts.topics import Topics
from services.ingest.inbound_contact import Defaults, InboundRecord, bury, judge
from services.runtime.kafka import Outgoing, Publisher, partition_of
from services.runtime.kafka_rights import reading_refused
from services.runtime.logs import get_logger
from services.runtime.metrics import (
    CONSUMER_REBALANCES,
    CONSUMER_RECORD_AGE,
    CONSUMER_RECORDS,
    DEAD_LETTERS,
    INGEST_ACCEPTED,
    INGEST_INBOUND_DURATION,
)
from services.runtime.program import Stop
from services.runtime.standing import Standing

log = get_logger(__name__)

#: Records taken, published and committed together.
_BATCH = 500
_POLL_MS = 200
_READ_AGAIN_AFTER = 0.5


class Inbound(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """The consumer's loop.

    Args:
        consumer: Started, and subscribed to nothing yet; the caller stops it.
        publisher: Where outcomes go.
        topics: The topic table.
        partitions: The number of partitions of `contacts` and `lookup.dead-letters`.
        defaults: What holds for contacts that do not say, and which accounts they may name.
    """

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        publisher: Publisher,
        topics: Topics,
        partitions: int,
        defaults: Defaults,
    ) -> None:
        self._consumer = consumer
        self._publisher = publisher
        self._topics = topics
        self._partitions = partitions
        self._defaults = defaults
        self._at_work = asyncio.Lock()
        #: The next offset of each partition that something was taken from.
        self._next: dict[TopicPartition, int] = {}

    async def run(self, stop: Stop) -> None:
        """Take records until a stop is asked for; what was taken is finished and committed.

        Raises:
            ProduceError: Kafka refuses an outcome for good; nothing of its batch is committed.
            RightsError: Kafka refuses to let us read or commit.
        """
        self._consumer.subscribe([self._topics.inbound.name], listener=self)
        while not stop.asked:
            try:
                taken = await self._consumer.getmany(timeout_ms=_POLL_MS, max_records=_BATCH)
            except KafkaError as error:
                if not error.retriable:
                    raise reading_refused(error) from error
                log.warning("cannot read yet", reason=str(error))
                await asyncio.sleep(_READ_AGAIN_AFTER)
                continue
            # No pause between taking and the lock: a revocation waits for the whole batch.
            async with self._at_work:
                if taken:
                    self._next.update((tp, part[0].offset) for tp, part in taken.items())
                    await self._finish([record for part in taken.values() for record in part])
                    await self._commit({tp: part[-1].offset + 1 for tp, part in taken.items()})

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Finish and commit what was taken before the partitions go."""
        if revoked:
            CONSUMER_REBALANCES.labels(event="revoked").inc()
        async with self._at_work:
            self._next.clear()

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Note that there was an assignment."""
        del assigned
        CONSUMER_REBALANCES.labels(event="assigned").inc()

    def standings(self) -> Iterable[Standing]:
        """Where each partition stands; at its end, if nothing was taken from it yet."""
        for tp in self._consumer.assignment():
            end = self._consumer.highwater(tp)
            yield Standing(tp.topic, tp.partition, self._next.get(tp, end), end)

    async def _finish(self, records: Sequence[InboundRecord]) -> None:
        """Publish what becomes of each record, and return when all is acknowledged."""
        started = time.perf_counter()
        outcomes = await asyncio.to_thread(self._judge_all, records)
        await self._publisher.publish_many([self._outgoing(outcome) for outcome in outcomes])
        INGEST_INBOUND_DURATION.observe(time.perf_counter() - started)
        topic = self._topics.inbound.name
        now = time.time()
        for record, outcome in zip(records, outcomes, strict=True):
            CONSUMER_RECORD_AGE.labels(topic=topic).observe(max(0.0, now - record.timestamp / 1000))
            if isinstance(outcome, DeadLetter):
                DEAD_LETTERS.labels(reason=outcome.reason).inc()
                CONSUMER_RECORDS.labels(topic=topic, outcome="dead_letter").inc()
            else:
                INGEST_ACCEPTED.labels(way="inbound").inc()
                CONSUMER_RECORDS.labels(topic=topic, outcome="ok").inc()

    def _judge_all(self, records: Sequence[InboundRecord]) -> list[LookupRequest | DeadLetter]:
        now = datetime.now(UTC)
        outcomes: list[LookupRequest | DeadLetter] = []
        for record in records:
            try:
                outcomes.append(judge(record, self._defaults, now))
            except Exception as error:
                kind = type(error).__name__
                log.exception(
                    "a record could not be judged",
                    partition=record.partition,
                    offset=record.offset,
                    error=kind,
                )
                outcomes.append(bury(record, "internal-error", f"{kind} in ingest", now))
        return outcomes

    def _outgoing(self, outcome: LookupRequest | DeadLetter) -> Outgoing:
        if isinstance(outcome, LookupRequest):
            key = outcome.phone.encode()
            partition = partition_of(key, self._partitions)
            return Outgoing(self._topics.contacts.name, encode(outcome), key, partition)
        place = outcome.original_key or outcome.original_value or b""
        return Outgoing(
            self._topics.dead_letters.name,
            encode(outcome),
            outcome.original_key,
            partition_of(place, self._partitions),
            tool_headers(outcome),
        )

    async def _commit(self, offsets: dict[TopicPartition, int]) -> None:
        self._next.update(offsets)
        try:
            await self._consumer.commit(offsets)
        except (CommitFailedError, IllegalStateError) as error:
            # The partitions went to another process; what was done comes again and is the same.
            log.warning("could not commit after a rebalance", reason=str(error))
        except KafkaError as error:
            if not error.retriable:
                raise reading_refused(error) from error
            # The next commit covers this one.
            log.warning("could not commit yet", reason=str(error))
