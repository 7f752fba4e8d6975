import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import NewTopic
from aiokafka.errors import GroupCoordinatorNotAvailableError
from pydantic import SecretStr

from services.contracts.codec import decode
from services.contracts.messages import DeadLetter, LookupRequest
from services.ingest import ids
from services.ingest.app import serve
from services.ingest.inbound_contact import judge
from services.ingest.settings import IngestSettings
from services.local.processes import free_port
from services.runtime.kafka import (
    MAX_RECORD_BYTES,
    Outgoing,
    ProduceError,
    Publisher,
    make_admin,
    make_consumer,
    partition_of,
)
from services.runtime.kafka_topics import check_topics
from services.runtime.program import Stop

Until = Callable[[Callable[[], Awaitable[bool]]], Awaitable[None]]
Read = Callable[[str], Awaitable[list[Any]]]


@pytest.fixture
def alone(kafka: str, topic_prefix: str) -> IngestSettings:
    """Settings of an ingest that finds Kafka, and no PostgreSQL."""
    return IngestSettings(
        kafka_bootstrap_servers=kafka,
        kafka_topic_prefix=topic_prefix,
        kafka_partitions=3,
        kafka_replication_factor=1,
        accounts=("second",),
        database_url=SecretStr(f"postgresql://u@127.0.0.1:{free_port()}/d"),
        http_port=free_port(),
    )


@pytest.fixture
async def produce(alone: IngestSettings) -> AsyncIterator[Callable[..., Awaitable[Any]]]:
    """Appends a record to `contacts.inbound`."""
    await check_topics(alone)
    producer = AIOKafkaProducer(bootstrap_servers=alone.kafka_bootstrap_servers)
    await producer.start()

    async def send(value: bytes | None, key: bytes | None = None, **more: Any) -> Any:
        return await producer.send_and_wait(alone.topics.inbound.name, value, key=key, **more)

    yield send
    await producer.stop()


async def _run_until(
    settings: IngestSettings, until: Until, done: Callable[[], Awaitable[bool]]
) -> None:
    stop = Stop()
    program = asyncio.create_task(serve(settings, stop))

    async def ended_or_done() -> bool:
        return program.done() or await done()

    try:
        await until(ended_or_done)
    finally:
        if not stop.asked:
            stop.ask()
        await program
    if stop.fault is not None:
        raise stop.fault


async def _committed(settings: IngestSettings) -> int:
    admin = make_admin(settings)
    await admin.start()
    try:
        offsets = await admin.list_consumer_group_offsets(f"{settings.kafka_topic_prefix}ingest")
    except GroupCoordinatorNotAvailableError:  # nobody has joined a group on this broker yet
        return 0
    finally:
        await admin.close()
    return sum(place.offset for place in offsets.values())


def _committed_all(settings: IngestSettings, count: int) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        return await _committed(settings) == count

    return check


async def test_a_contact_without_postgresql_reaches_lookup(
    alone: IngestSettings, produce: Any, until: Until, read_topic: Read
) -> None:
    """Kafka alone is enough; number or text, with what is not said taken from the settings."""
    topic = alone.topics.inbound.name
    place = await produce(b'{"phone": "+1 202-555-0123", "unknown": [1]}')
    await produce(b'{"phone": 12025550124, "country": "us", "id": 7, "source": "crm"}')
    await produce(
        json.dumps(
            {
                "phone": "030 901820",
                "country": "DE",
                "account": "second",
                "packages": ["caller_name"],
                "reference": "r1",
            }
        ).encode()
    )
    await _run_until(alone, until, _committed_all(alone, 3))

    records = await read_topic("contacts")
    contacts = {c.phone: c for c in (decode(r.value, LookupRequest) for r in records)}
    assert {r.partition for r in records} == {partition_of(r.key, 3) for r in records}
    plain, crm, rich = (contacts[p] for p in ("+12025550123", "+12025550124", "+4930901820"))
    assert (plain.source, plain.account, plain.packages) == (topic, "default", ("basic",))
    assert plain.job_id == ids.inbound_job_id(topic)
    assert plain.request_id == ids.inbound_record_id(
        topic,
        place.partition,
        place.offset,
        place.timestamp,
        b'{"phone": "+1 202-555-0123", "unknown": [1]}',
    )
    assert crm.request_id == ids.inbound_request_id("crm", "7", "+12025550124", ["basic"])
    assert (rich.account, rich.packages, rich.reference) == (
        "second",
        ("basic", "caller_name"),
        "r1",
    )


GARBAGE: list[tuple[bytes | None, str, str]] = [
    (b"", "undecodable", "JSON"),
    (b"no json", "undecodable", "JSON"),
    (b'{"phone": "\xff"}', "undecodable", "JSON"),
    (b"[" * 100_000, "undecodable", "JSON"),
    (b"x" * 900_000, "undecodable", "JSON"),
    (b"null", "bad-inbound", "record"),
    (b"{}", "bad-inbound", "phone"),
    (b'{"phone": null}', "bad-inbound", "phone"),
    (b'{"phone": {"a": 1}}', "bad-inbound", "phone"),
    (b'{"phone": "+12025550123", "packages": ["horoscope"]}', "bad-inbound", "packages"),
    (b'{"phone": "+12025550123", "packages": "basic"}', "bad-inbound", "packages"),
    (b'{"phone": "+12025550123", "account": "No Such"}', "bad-inbound", "account"),
    (b'{"phone": "+12025550123", "account": "third"}', "bad-inbound", "'third' is neither"),
    (b'{"phone": "+12025550123", "account": "4930901820"}', "bad-inbound", "among ACCOUNTS"),
    (b'{"phone": "+12025550123", "reference": "a\\u0000"}', "bad-inbound", "reference"),
    (b'{"phone": "hello"}', "not-a-number", "phone"),
    (b'{"phone": "030 901820"}', "not-a-number", "no-country"),
]


async def test_garbage_goes_to_the_dead_letters_and_nothing_stops(
    alone: IngestSettings, produce: Any, until: Until, read_topic: Read
) -> None:
    """Each bad record becomes a dead letter that names what is wrong, and can be put back."""
    for value, _, _ in GARBAGE:
        await produce(value)
    await produce(None, key=b"tombstone")
    await produce(b"keyed", key=b"k" * 200_000, headers=[("trace", b"1"), ("big", b"h" * 90_000)])
    await produce(b'{"phone": "+12025550123"}')
    await _run_until(alone, until, _committed_all(alone, len(GARBAGE) + 3))

    assert len(await read_topic("contacts")) == 1
    records = await read_topic("lookup.dead-letters")
    letters = {
        (letter.original_partition, letter.original_offset): letter
        for letter in (decode(record.value, DeadLetter) for record in records)
    }
    assert len(letters) == len(GARBAGE) + 2
    by_value = {letter.original_value or b"": letter for letter in letters.values()}
    for value, reason, named in GARBAGE:
        if value:
            letter = by_value[value[:450_000]]
            assert (letter.reason, named in letter.detail) == (reason, True), letter.detail
            assert letter.truncated == (len(value) > 450_000)
            assert "901820" not in letter.detail
    keyed = by_value[b"keyed"]
    assert keyed.truncated
    assert keyed.original_headers == (("trace", b"1"),)
    for record in records:
        letter = decode(record.value, DeadLetter)
        place = letter.original_key or letter.original_value or b""
        assert record.partition == partition_of(place, 3)
        assert dict(record.headers)["kafka_dlt-original-topic"] == letter.original_topic.encode()


async def test_a_record_over_the_size_limit(
    alone: IngestSettings, until: Until, read_topic: Read
) -> None:
    """Where a topic takes larger records than ours: a contact is taken, garbage is cut and buried."""
    inbound, largest = alone.topics.inbound.name, 4 * MAX_RECORD_BYTES
    admin = make_admin(alone)
    await admin.start()
    config = {"max.message.bytes": str(largest)}
    await admin.create_topics([NewTopic(inbound, 3, 1, topic_configs=config)])
    await admin.close()
    await check_topics(alone)
    padding = b"x" * (2 * MAX_RECORD_BYTES)
    async with AIOKafkaProducer(
        bootstrap_servers=alone.kafka_bootstrap_servers, max_request_size=largest
    ) as producer:
        await producer.send_and_wait(inbound, b'{"phone": "+12025550123", "note": "%s"}' % padding)
        await producer.send_and_wait(inbound, padding, key=padding[:400_000])
        await producer.send_and_wait(inbound, b'{"phone": "+12025550124"}')
    await _run_until(alone, until, _committed_all(alone, 3))

    contacts = [decode(r.value, LookupRequest) for r in await read_topic("contacts")]
    assert {contact.phone for contact in contacts} == {"+12025550123", "+12025550124"}
    (letter,) = [decode(r.value, DeadLetter) for r in await read_topic("lookup.dead-letters")]
    assert (letter.reason, letter.truncated) == ("undecodable", True)
    assert padding.startswith(letter.original_value or b"no value")


async def test_a_record_that_comes_again_makes_the_same_ids(
    alone: IngestSettings, produce: Any, until: Until, read_topic: Read
) -> None:
    """A group that starts from the beginning again changes no id, of contacts or dead letters."""
    await produce(b'{"phone": "+12025550123"}')
    await produce(b"garbage")
    await _run_until(alone, until, _committed_all(alone, 2))
    parts = [TopicPartition(alone.topics.inbound.name, partition) for partition in range(3)]
    group = make_consumer(alone, group_id=f"{alone.kafka_topic_prefix}ingest")
    await group.start()
    group.assign(parts)
    await group.commit(dict.fromkeys(parts, 0))
    await group.stop()
    await _run_until(alone, until, _committed_all(alone, 2))
    contacts = [decode(r.value, LookupRequest) for r in await read_topic("contacts")]
    letters = [decode(r.value, DeadLetter) for r in await read_topic("lookup.dead-letters")]
    assert (len(contacts), len({c.request_id for c in contacts})) == (2, 1)
    assert (len(letters), len({d.dead_letter_id for d in letters})) == (2, 1)


async def test_a_fault_of_our_own_is_a_dead_letter(
    alone: IngestSettings,
    produce: Any,
    until: Until,
    read_topic: Read,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A record on which our code fails goes to the dead letters, and the next one on."""

    def fail(record: Any, *_: Any) -> Any:
        if b"bad" in record.value:
            raise ZeroDivisionError
        return judge(record, *_)

    monkeypatch.setattr("services.ingest.inbound.judge", fail)
    await produce(b'{"phone": "+12025550123", "reference": "bad"}')
    await produce(b'{"phone": "+12025550123", "reference": "good"}')
    await _run_until(alone, until, _committed_all(alone, 2))
    (letter,) = [decode(r.value, DeadLetter) for r in await read_topic("lookup.dead-letters")]
    assert (letter.reason, letter.detail) == ("internal-error", "ZeroDivisionError in ingest")
    assert len(await read_topic("contacts")) == 1


async def test_nothing_is_committed_before_its_outcome_is_acknowledged(
    alone: IngestSettings, produce: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When Kafka finally refuses an outcome the program ends with the fault, and no commit."""

    async def refuse(_: Publisher, records: Sequence[Outgoing]) -> None:
        raise ProduceError(f"{len(records)} refused")

    monkeypatch.setattr(Publisher, "publish_many", refuse)
    await produce(b'{"phone": "+12025550123"}')
    stop = Stop()
    await serve(alone, stop)
    assert isinstance(stop.fault, ProduceError)
    assert await _committed(alone) == 0
