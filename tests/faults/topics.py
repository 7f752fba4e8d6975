"""Reads every topic raw, from its first record to its last: one of the four sources."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import NewPartitions

from services.runtime.kafka import make_admin, make_consumer
from services.runtime.kafka_topics import partitions_on_kafka
from services.runtime.settings import ProgramSettings

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Seen:
    """A record as it stands on Kafka."""

    #: Without the installation's prefix.
    topic: str
    partition: int
    offset: int
    #: By the broker's clock on the retry topics, else by the producer's.
    at: datetime
    key: bytes | None
    value: bytes | None


async def read_all(settings: ProgramSettings) -> list[Seen]:
    """Every record of every topic, topic after topic, in the order of each partition."""
    topics, prefix = settings.topics, settings.kafka_topic_prefix
    places = await _places(settings)
    consumer = make_consumer(settings)
    await consumer.start()
    try:
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        await consumer.seek_to_beginning(*places)
        seen: list[Seen] = []
        while [place for place in places if await consumer.position(place) < ends[place]]:
            for place, records in (await consumer.getmany(timeout_ms=200)).items():
                seen += [
                    Seen(
                        topic=place.topic.removeprefix(prefix),
                        partition=record.partition,
                        offset=record.offset,
                        at=_EPOCH + timedelta(milliseconds=record.timestamp),
                        key=record.key,
                        value=record.value,
                    )
                    for record in records
                    if record.offset < ends[place]
                ]
    finally:
        await consumer.stop()
    order = {topic.name.removeprefix(prefix): n for n, topic in enumerate(topics.all)}
    return sorted(seen, key=lambda record: (order[record.topic], record.partition, record.offset))


async def ends_of(settings: ProgramSettings) -> dict[tuple[str, int], int]:
    """The end of every partition's log, topics by their whole names."""
    places = await _places(settings)
    consumer = make_consumer(settings)
    await consumer.start()
    try:
        ends = await consumer.end_offsets(places)
    finally:
        await consumer.stop()
    return {(place.topic, place.partition): end for place, end in ends.items()}


async def _places(settings: ProgramSettings) -> list[TopicPartition]:
    admin = make_admin(settings)
    await admin.start()
    try:
        found = await partitions_on_kafka(admin, settings.topics)
    finally:
        await admin.close()
    return [
        TopicPartition(name, number) for name, count in found.items() for number in range(count)
    ]


async def append(settings: ProgramSettings, records: Iterable[Seen]) -> list[Seen]:
    """Append records to their topics and partitions; gives them with their places."""
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.kafka_bootstrap_servers, acks="all", max_request_size=1 << 20
    )
    await producer.start()
    try:
        appended = []
        for record in records:
            topic = f"{settings.kafka_topic_prefix}{record.topic}"
            ack = await producer.send_and_wait(
                topic, record.value, key=record.key, partition=record.partition
            )
            appended.append(replace(record, offset=ack.offset))
    finally:
        await producer.stop()
    return appended


async def remove(settings: ProgramSettings) -> None:
    """Remove every topic: a broker that was killed goes over all it has before it serves any."""
    admin = make_admin(settings)
    await admin.start()
    try:
        await admin.delete_topics([topic.name for topic in settings.topics.all])
    finally:
        await admin.close()


async def grow(settings: ProgramSettings, partitions: int) -> None:
    """Give the aligned topics so many partitions, as somebody does who knows of no command."""
    admin = make_admin(settings)
    await admin.start()
    try:
        aligned = [topic.name for topic in settings.topics.all if topic.aligned]
        await admin.create_partitions(dict.fromkeys(aligned, NewPartitions(partitions)))
    finally:
        await admin.close()


def write_down(records: Iterable[Seen], file: Path) -> None:
    """One line of JSON for each record; a value that is no JSON is kept in base64."""
    with file.open("w", encoding="utf-8") as stream:
        for record in records:
            stream.write(
                json.dumps(
                    {
                        "topic": record.topic,
                        "partition": record.partition,
                        "offset": record.offset,
                        "at": record.at.isoformat(),
                        "key": _shown(record.key),
                        "value": _shown(record.value),
                    }
                )
                + "\n"
            )


def _shown(value: bytes | None) -> object:
    if value is None:
        return None
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return base64.b64encode(value).decode()


def of(records: Sequence[Seen], *topics: str) -> list[Seen]:
    """Those of these topics; a name that ends in a dot stands for all that begin with it."""
    return [
        record
        for record in records
        if any(
            record.topic.startswith(name) if name.endswith(".") else record.topic == name
            for name in topics
        )
    ]
