"""Kafka clients with our defaults, and a producer that is sure before it says so.

aiokafka's own defaults are not ours: it starts at the newest record, commits by itself,
and gives a batch up after 40 seconds.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, KafkaTimeoutError, RecordTooLargeError
from aiokafka.partitioner import murmur2
from aiokafka.structs import RecordMetadata
from prometheus_client import Counter, Histogram

from services.runtime.health import Readiness
from services.runtime.logs import get_logger
from services.runtime.metrics import PRODUCE_DURATION, PRODUCE_RECORDS
from services.runtime.program import FaultError, Stop
from services.runtime.settings import ProgramSettings, read_secret

log = get_logger(__name__)
T = TypeVar("T")

Headers = list[tuple[str, bytes]]
#: One record may be this large, keys, headers and all: the broker's own default limit.
MAX_RECORD_BYTES = 1_000_000
_RETRY_AFTER = 0.5
LINGER_MS = 5


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record to append."""

    topic: str
    value: bytes = field(repr=False)
    key: bytes | None = field(repr=False)
    #: Follows from the key if it is not given.
    partition: int | None = None
    headers: Headers = field(default_factory=list, repr=False)


class ProduceError(FaultError):
    """Kafka finally refused a record: its rights, the topic or the record are wrong."""


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key, as Kafka's Java client chooses it."""
    return int(murmur2(key) & 0x7FFFFFFF) % partitions


def client_options(settings: ProgramSettings) -> dict[str, Any]:
    """What every Kafka client needs to connect."""
    options: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap_servers,
        "security_protocol": settings.kafka_security_protocol,
        "client_id": "bulk-lookup",
    }
    if settings.kafka_security_protocol.startswith("SASL"):
        options |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": settings.kafka_sasl_username,
            "sasl_plain_password": read_secret(
                settings.kafka_sasl_password, settings.kafka_sasl_password_file
            ),
        }
    if settings.kafka_security_protocol.endswith("SSL"):
        context = ssl.create_default_context(cafile=settings.kafka_ssl_ca_file)
        if settings.kafka_ssl_certificate_file is not None:
            context.load_cert_chain(
                settings.kafka_ssl_certificate_file, settings.kafka_ssl_key_file
            )
        options["ssl_context"] = context
    return options


def make_consumer(settings: ProgramSettings, *topics: str, **options: Any) -> AIOKafkaConsumer:
    """A consumer that starts at the oldest record and commits only when told to."""
    return AIOKafkaConsumer(
        *topics,
        **client_options(settings),
        **{"auto_offset_reset": "earliest", "enable_auto_commit": False} | options,
    )


def make_admin(settings: ProgramSettings) -> AIOKafkaAdminClient:
    """A client that makes and describes topics."""
    return AIOKafkaAdminClient(**client_options(settings))


async def wait_for_kafka(start: Callable[[], Awaitable[T]], readiness: Readiness, stop: Stop) -> T:
    """Call `start()` until Kafka answers; `readiness` loses and regains `kafka`.

    Raises:
        asyncio.CancelledError: A stop was asked for while waiting.
    """
    while True:
        try:
            result = await start()
        except (KafkaError, OSError) as error:
            readiness.unmet("kafka", type(error).__name__)
            log.warning("waiting for kafka", reason=str(error) or type(error).__name__)
            await stop.pause(_RETRY_AFTER)
        else:
            readiness.met("kafka")
            return result


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


class Publisher:
    """Produces records and returns only when every in-sync replica has them.

    A failure that may pass is tried again for as long as the process lives, so a caller
    that waits for its acknowledgement slows down with Kafka and loses nothing.
    """

    def __init__(self, settings: ProgramSettings) -> None:
        self._producer = AIOKafkaProducer(
            **client_options(settings),
            acks="all",
            linger_ms=LINGER_MS,
            max_request_size=MAX_RECORD_BYTES,
            max_batch_size=128 * 1024,
        )

    async def start(self) -> None:
        """Connect."""
        await self._producer.start()

    async def stop(self) -> None:
        """Flush and disconnect."""
        await self._producer.stop()

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
                    raise ProduceError(
                        f"Kafka refuses a record for {topic}: {error}; check the topic and "
                        "this program's rights"
                    ) from error
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
        sent: list[asyncio.Future[Any]] = []
        failed: list[Outgoing] = []
        for record in records:
            try:
                sent.append(
                    await self._producer.send(
                        record.topic,
                        record.value,
                        key=record.key,
                        partition=record.partition,
                        headers=record.headers,
                    )
                )
            except KafkaError as error:
                sent.append(asyncio.get_running_loop().create_future())
                sent[-1].set_exception(error)
        for record, outcome in zip(
            records, await asyncio.gather(*sent, return_exceptions=True), strict=True
        ):
            if isinstance(outcome, KafkaError):
                failed.append(record)
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                _measures(record.topic).ok.inc()
        elapsed = asyncio.get_running_loop().time() - started
        for topic in {record.topic for record in records}:
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

    async def answers(self, within: float) -> bool:
        """Whether Kafka answers now, within so many seconds."""
        try:
            async with asyncio.timeout(within):
                return bool(await self._producer.client.force_metadata_update())
        except TimeoutError:
            return False
