"""Kafka clients with our defaults, and a producer that is sure before it says so.

aiokafka's own defaults are not ours: it starts at the newest record, commits by itself,
and gives a batch up after 40 seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, KafkaTimeoutError, RecordTooLargeError
from aiokafka.partitioner import murmur2
from aiokafka.structs import RecordMetadata
from prometheus_client import Counter, Histogram

from services.runtime.ending import end
from services.runtime.kafka_mended import Consumer, pause_after_failures
from services.runtime.kafka_reach import say_trouble
from services.runtime.kafka_security import security_options
from services.runtime.logs import get_logger
from services.runtime.metrics import PRODUCE_DURATION, PRODUCE_RECORDS
from services.runtime.program import FaultError
from services.runtime.settings import ProgramSettings

log = get_logger(__name__)

Headers = list[tuple[str, bytes]]
#: One record may be this large, keys, headers and all: the broker's own default limit.
MAX_RECORD_BYTES = 1_000_000
_RETRY_AFTER = 0.5
LINGER_MS = 5


# Not frozen: one is made for every row of a file, and freezing doubles what that costs.
@dataclass(slots=True)
class Outgoing:
    """A record to append."""

    topic: str
    value: bytes = field(repr=False)
    key: bytes | None = field(repr=False)
    #: Follows from the key if it is not given.
    partition: int | None = None
    headers: Headers = field(default_factory=list, repr=False)


@dataclass(slots=True)
class _Batch:
    """Records of one partition that are sent together."""

    topic: str
    partition: int
    builder: Any
    records: list[Outgoing] = field(default_factory=list)

    def add(self, record: Outgoing) -> bool:
        """Add a record, if there is room: for the first there always is."""
        added = self.builder.append(
            timestamp=None, key=record.key, value=record.value, headers=record.headers
        )
        if added is not None:
            self.records.append(record)
        return added is not None


class ProduceError(FaultError):
    """Kafka finally refused a record: its rights, the topic or the record are wrong."""


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key, as Kafka's Java client chooses it."""
    return int(murmur2(key) & 0x7FFFFFFF) % partitions


def client_options(settings: ProgramSettings) -> dict[str, Any]:
    """What every Kafka client needs to connect.

    Raises:
        SettingsError: A file of the KAFKA_ settings is not what it should be.
    """
    return {
        "bootstrap_servers": settings.kafka_bootstrap_servers,
        "client_id": "bulk-lookup",
        **security_options(settings),
    }


def make_consumer(settings: ProgramSettings, *topics: str, **options: Any) -> Consumer:
    """A consumer that starts at the oldest record and commits only when told to."""
    return Consumer(
        *topics,
        **client_options(settings),
        **{"auto_offset_reset": "earliest", "enable_auto_commit": False} | options,
    )


def make_member(settings: ProgramSettings, program: str, **options: Any) -> Consumer:
    """A consumer in the program's group, which misses it a session timeout after its death."""
    session_ms = int(settings.kafka_session_timeout.total_seconds() * 1000)
    return make_consumer(
        settings,
        group_id=settings.group(program),
        session_timeout_ms=session_ms,
        heartbeat_interval_ms=session_ms // 10,
        **options,
    )


async def close_consumer(consumer: Consumer) -> None:
    """Leave the group and disconnect, also if Kafka does not answer."""
    await end("consumer", consumer.stop())


def make_admin(settings: ProgramSettings) -> AIOKafkaAdminClient:
    """A client that makes and describes topics."""
    return AIOKafkaAdminClient(**client_options(settings))


@dataclass(frozen=True, slots=True)
class _Measures:
    """What is counted of one topic."""

    ok: Counter
    again: Counter
    refused: Counter
    duration: Histogram


@cache
def _measures(topic: str) -> _Measures:
    """Kept at hand, since every record is counted; all begin at 0, so that a rate sees a first."""
    ok, again, refused = (PRODUCE_RECORDS.labels(topic, o) for o in ("ok", "again", "refused"))
    return _Measures(ok, again, refused, PRODUCE_DURATION.labels(topic))


def _refused(topic: str, error: KafkaError) -> ProduceError:
    return ProduceError(
        f"Kafka refuses a record for {topic}: {error}; check the topic and this program's rights"
    )


class Publisher:
    """Produces records and returns only when every in-sync replica has them.

    A failure that may pass is tried again for as long as the process lives, so a caller
    that waits for its acknowledgement slows down with Kafka and loses nothing.
    """

    def __init__(self, settings: ProgramSettings) -> None:
        self._settings = settings
        self._producer = AIOKafkaProducer(
            **client_options(settings),
            acks="all",
            linger_ms=LINGER_MS,
            max_request_size=MAX_RECORD_BYTES,
            max_batch_size=128 * 1024,
        )
        pause_after_failures(self._producer.client)

    async def start(self) -> None:
        """Connect."""
        await self._producer.start()

    async def stop(self) -> None:
        """Flush and disconnect; what Kafka does not acknowledge soon is given up."""
        await end("producer", self._producer.stop())

    async def publish(
        self,
        topic: str,
        value: bytes,
        *,
        key: bytes | None,
        partition: int | None = None,
        headers: Headers | None = None,
    ) -> RecordMetadata:
        """Append one record and wait for its acknowledgement.

        Without `partition`, it follows from the key.

        Raises:
            ProduceError: Kafka refuses it for good.
        """
        started = asyncio.get_running_loop().time()
        measures = _measures(topic)
        while True:
            try:
                ack = await self._producer.send_and_wait(
                    topic, value, key=key, partition=partition, headers=headers
                )
            except RecordTooLargeError as error:
                raise ProduceError(f"a record for {topic} is larger than Kafka takes") from error
            except KafkaError as error:
                # The library calls its own buffer, full while Kafka is away, not retriable.
                if not error.retriable and not isinstance(error, KafkaTimeoutError):
                    measures.refused.inc()
                    raise _refused(topic, error) from error
                measures.again.inc()
                log.warning("produce failed, trying again", topic=topic, reason=str(error))
                await asyncio.sleep(_RETRY_AFTER)
            else:
                measures.ok.inc()
                measures.duration.observe(asyncio.get_running_loop().time() - started)
                return ack

    async def publish_many(self, records: Sequence[Outgoing]) -> None:
        """Append records, all on their way at once, and wait until each is acknowledged.

        Costs a fraction of `publish` per record. The caller bounds how many there are.

        Raises:
            ProduceError: Kafka refuses one of them for good.
        """
        started = asyncio.get_running_loop().time()
        batches: list[_Batch] = []
        failed: list[Outgoing] = []
        try:
            batches = await self._in_batches(records)
        except KafkaError:
            # Nobody says how many partitions there are; nothing was sent yet.
            failed += records
        outcomes = await asyncio.gather(*map(self._deliver, batches), return_exceptions=True)
        for batch, outcome in zip(batches, outcomes, strict=True):
            if isinstance(outcome, KafkaError):
                failed += batch.records
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                _measures(batch.topic).ok.inc(len(batch.records))
        elapsed = asyncio.get_running_loop().time() - started
        for topic in {batch.topic for batch in batches}:
            _measures(topic).duration.observe(elapsed)
        # `publish` knows which failures pass, and waits for those.
        await asyncio.gather(
            *(
                self.publish(
                    record.topic,
                    record.value,
                    key=record.key,
                    partition=record.partition,
                    headers=record.headers,
                )
                for record in failed
            )
        )

    async def _in_batches(self, records: Sequence[Outgoing]) -> list[_Batch]:
        """Put records into batches, each of one partition: a future for each costs most of a send."""
        full: list[_Batch] = []
        open_ones: dict[tuple[str, int], _Batch] = {}
        partitions: dict[str, int] = {}
        for record in records:
            topic, partition = record.topic, record.partition
            if partition is None:
                if topic not in partitions:
                    partitions[topic] = await self._partitions_of(topic)
                partition = partition_of(record.key or b"", partitions[topic])
            batch = open_ones.get((topic, partition))
            if batch is None or not batch.add(record):
                if batch is not None:
                    full.append(batch)
                batch = _Batch(topic, partition, self._producer.create_batch())
                batch.add(record)
                open_ones[topic, partition] = batch
        return [*full, *open_ones.values()]

    async def _partitions_of(self, topic: str) -> int:
        """The number of a topic's partitions, asked until Kafka tells."""
        while True:
            try:
                return len(await self._producer.partitions_for(topic))
            except KafkaError as error:
                if not error.retriable:
                    raise _refused(topic, error) from error
                log.warning("partitions not told, asking again", topic=topic, reason=str(error))
                await asyncio.sleep(_RETRY_AFTER)

    async def _deliver(self, batch: _Batch) -> None:
        await (
            await self._producer.send_batch(batch.builder, batch.topic, partition=batch.partition)
        )

    async def trouble(self, within: float) -> str | None:
        """Why Kafka does not answer within so many seconds, said for people; None if it does."""
        try:
            async with asyncio.timeout(within):
                if await self._producer.client.force_metadata_update():
                    return None
                # Also a refusal is only said: what is refused now may be just being replaced.
                return await say_trouble(self._settings)
        except TimeoutError:
            return f"no answer within {within:.0f} s"
