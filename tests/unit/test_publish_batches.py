"""Many records go out in batches of one partition each, and none is lost on the way there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaError, TopicAuthorizationFailedError

from services.runtime import kafka
from services.runtime.kafka import Outgoing, Publisher, partition_of
from services.runtime.settings import ProgramSettings


class Broker:
    """Stands behind a publisher: takes batches and single records, or fails as told."""

    def __init__(self) -> None:
        self.batches: list[tuple[str, int, int]] = []
        self.singles: list[bytes] = []
        self.fault: KafkaError | None = None
        #: What asking for the partitions brings, before it brings them.
        self.blind: list[KafkaError] = []

    async def send_batch(self, batch: Any, topic: str, *, partition: int) -> asyncio.Future[None]:
        self.batches.append((topic, partition, batch.record_count()))
        outcome = asyncio.get_running_loop().create_future()
        if self.fault is None:
            outcome.set_result(None)
        else:
            outcome.set_exception(self.fault)
        return outcome

    async def send_and_wait(self, topic: str, value: bytes, **_: Any) -> None:
        del topic
        if self.fault is not None and not self.fault.retriable:
            raise self.fault
        self.singles.append(value)

    async def partitions_for(self, topic: str) -> set[int]:
        del topic
        if self.blind:
            raise self.blind.pop()
        return {0, 1, 2}


@pytest.fixture
def broker() -> Broker:
    """A broker that takes everything."""
    return Broker()


@pytest.fixture
async def publisher(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Publisher]:
    """A publisher that was never connected."""
    publisher = Publisher(ProgramSettings())
    for name in ("send_batch", "send_and_wait", "partitions_for"):
        monkeypatch.setattr(publisher._producer, name, getattr(broker, name))
    yield publisher
    await publisher.stop()


def records(count: int, size: int = 10) -> list[Outgoing]:
    keys = [b"k%d" % number for number in range(count)]
    return [Outgoing("contacts", b"x" * size, key, partition_of(key, 3)) for key in keys]


async def test_records_of_a_partition_go_together(publisher: Publisher, broker: Broker) -> None:
    """A batch for each partition, and every record in one of them."""
    await publisher.publish_many(records(100))
    assert sorted(partition for _, partition, _ in broker.batches) == [0, 1, 2]
    assert sum(count for _, _, count in broker.batches) == 100


async def test_a_full_batch_is_followed_by_another(publisher: Publisher, broker: Broker) -> None:
    """What does not fit into one batch goes into the next; a record larger than any goes alone."""
    await publisher.publish_many(records(300, size=2_000) + records(2, size=500_000))
    assert sum(count for _, _, count in broker.batches) == 302
    assert len(broker.batches) > 5


async def test_the_partition_follows_from_the_key(publisher: Publisher, broker: Broker) -> None:
    """A record without a partition goes where its key's records always go."""
    await publisher.publish_many([Outgoing("contacts.rejected", b"x", b"job")] * 3)
    assert broker.batches == [("contacts.rejected", partition_of(b"job", 3), 3)]


async def test_what_fails_together_is_tried_one_by_one(
    publisher: Publisher, broker: Broker
) -> None:
    """A failure that may pass loses no record of a batch."""
    broker.fault = KafkaConnectionError()
    await publisher.publish_many(records(10))
    assert len(broker.singles) == 10


async def test_a_topic_that_is_not_told_yet_is_asked_for_again(
    publisher: Publisher, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until Kafka says how many partitions there are nothing goes anywhere, and nothing is lost."""
    monkeypatch.setattr(kafka, "_RETRY_AFTER", 0.0)
    broker.blind = [KafkaConnectionError(), KafkaConnectionError()]
    await publisher.publish_many([Outgoing("contacts.rejected", b"x", b"job"), *records(3)])
    assert broker.blind == []
    assert sum(count for _, _, count in broker.batches) == 4


async def test_a_final_refusal_is_told(publisher: Publisher, broker: Broker) -> None:
    """What no trying again mends is the caller's to know."""
    broker.fault = TopicAuthorizationFailedError()
    with pytest.raises(Exception, match="refuses a record"):
        await publisher.publish_many(records(1))
