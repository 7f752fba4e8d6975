"""The scheduler on a real Kafka."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from services.lookup.scheduler import SchedulerSettings, serve
from services.runtime.kafka import Publisher, make_consumer
from services.runtime.kafka_topics import check_topics
from services.runtime.program import Stop

PARTITIONS = 3
FAST, SLOW = timedelta(milliseconds=200), timedelta(milliseconds=900)


@pytest.fixture
async def settings(kafka: str, topic_prefix: str) -> SchedulerSettings:
    """Settings with topics of the test's own, and short delays."""
    made = SchedulerSettings(
        kafka_bootstrap_servers=kafka,
        kafka_topic_prefix=topic_prefix,
        kafka_partitions=PARTITIONS,
        retry_delays=(FAST, SLOW),
    )
    await check_topics(made)
    return made


@asynccontextmanager
async def publishing(settings: SchedulerSettings) -> AsyncIterator[Publisher]:
    publisher = Publisher(settings)
    await publisher.start()
    try:
        yield publisher
    finally:
        await publisher.stop()


@asynccontextmanager
async def scheduling(settings: SchedulerSettings) -> AsyncIterator[None]:
    """A scheduler that runs while the context lasts, and drains after it."""
    stop = Stop()
    running = asyncio.create_task(serve(settings, stop))
    try:
        yield
    finally:
        stop.ask()
        await running
    assert stop.fault is None


async def put(settings: SchedulerSettings, publisher: Publisher, first: int, count: int) -> None:
    """Append numbered retries to both topics, over all partitions."""
    await asyncio.gather(
        *(
            publisher.publish(
                topic.name,
                f"{topic.name} {number}".encode(),
                key=f"key {number}".encode(),
                partition=number % PARTITIONS,
                headers=[("note", str(number).encode())],
            )
            for _, topic in settings.topics.retries
            for number in range(first, first + count)
        )
    )


async def read(
    settings: SchedulerSettings, topic: str, enough: Callable[[list[ConsumerRecord]], bool]
) -> list[ConsumerRecord]:
    """Read a topic from its beginning until there is enough of it."""
    consumer: AIOKafkaConsumer = make_consumer(settings)
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, number) for number in range(PARTITIONS)])
        records: list[ConsumerRecord] = []
        while not enough(records):
            for found in (await consumer.getmany(timeout_ms=100)).values():
                records += found
        return records
    finally:
        await consumer.stop()


def distinct(count: int) -> Callable[[list[ConsumerRecord]], bool]:
    return lambda records: len({record.value for record in records}) >= count


async def moved(settings: SchedulerSettings, count: int) -> list[ConsumerRecord]:
    return await read(settings, settings.topics.due.name, distinct(count))


async def test_moved_when_due(settings: SchedulerSettings) -> None:
    """Every retry is moved once, as it is, to the same partition, and never early."""
    async with publishing(settings) as publisher, scheduling(settings):
        await put(settings, publisher, 0, 60)
        due = {record.value: record for record in await moved(settings, 120)}
    again = await moved(settings, 120)
    assert len(again) == 120
    for delay, topic in settings.topics.retries:
        waited = await read(settings, topic.name, distinct(60))
        for before in waited:
            after = due[before.value]
            assert before.timestamp_type == 1  # the broker's
            assert after.timestamp >= before.timestamp + delay / timedelta(milliseconds=1)
            assert (after.key, after.partition) == (before.key, before.partition)
            assert list(after.headers) == list(before.headers)


async def test_a_stop_commits_what_was_moved(settings: SchedulerSettings) -> None:
    """After a stop in the middle the next scheduler moves the rest, and nothing twice."""
    async with publishing(settings) as publisher:
        await put(settings, publisher, 0, 30)
        async with scheduling(settings):
            early = await read(settings, settings.topics.due.name, distinct(30))
        await put(settings, publisher, 30, 30)
        assert early
        async with scheduling(settings):
            await moved(settings, 120)
    assert len(await moved(settings, 120)) == 120


async def test_two_share_the_work(settings: SchedulerSettings) -> None:
    """A second scheduler that joins and leaves in the middle loses nothing."""
    async with publishing(settings) as publisher, scheduling(settings):
        await put(settings, publisher, 0, 90)
        async with scheduling(settings):
            await put(settings, publisher, 90, 30)
            await moved(settings, 180)
        await moved(settings, 240)
    assert len(await moved(settings, 240)) == 240


async def test_killed_between_produce_and_commit(
    settings: SchedulerSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was moved and not committed is moved again: twice is possible, lost is not."""
    async with publishing(settings) as publisher:
        await put(settings, publisher, 0, 10)
        with monkeypatch.context() as patched:

            async def forgotten(*_: object) -> None: ...

            patched.setattr(AIOKafkaConsumer, "commit", forgotten)
            async with scheduling(settings):
                await moved(settings, 20)
        async with scheduling(settings):
            twice = await read(settings, settings.topics.due.name, lambda found: len(found) >= 40)
    assert len({record.value for record in twice}) == 20
