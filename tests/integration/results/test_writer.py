from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager
from itertools import repeat
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from aiokafka.structs import TopicPartition

from services.contracts.codec import encode
from services.contracts.messages import Contact, DeadLetter, Message
from services.contracts.turns import State
from services.results.places import PlaceOutsideLogError, Places
from services.results.records import Taken
from services.results.rows import Folded
from services.results.store import Move, Partition, StalePlaceError, Store, UnstorableError
from services.results.writer import Writer
from services.runtime.database import Pool, open_pool
from services.runtime.health import Readiness
from services.runtime.kafka import Publisher, make_consumer, partition_of
from services.runtime.kafka_topics import check_topics
from services.runtime.program import FaultError, Stop
from services.runtime.settings import DatabaseSettings, ProgramSettings
from tests.integration.results.made import AT, JOB, letter, rejected, request, result

PARTITIONS = 3
Running = Callable[..., Any]


@pytest.fixture
async def settings(kafka: str, topic_prefix: str) -> ProgramSettings:
    made = ProgramSettings(
        kafka_bootstrap_servers=kafka, kafka_topic_prefix=topic_prefix, kafka_partitions=PARTITIONS
    )
    await check_topics(made)
    return made


@pytest.fixture
async def publisher(settings: ProgramSettings) -> AsyncIterator[Publisher]:
    made = Publisher(settings)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def look(postgres: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection of the test's own, as superuser."""
    connection = await asyncpg.connect(postgres)
    yield connection
    await connection.close()


class Log:
    """Appends to the topics of the test."""

    def __init__(self, settings: ProgramSettings, publisher: Publisher) -> None:
        self._prefix = settings.kafka_topic_prefix
        self._publisher = publisher

    async def append(self, topic: str, *values: Message | bytes) -> None:
        """Append records, each where its key belongs."""
        for value in values:
            key = value.phone.encode() if isinstance(value, Contact) else b"key"
            await self._publisher.publish(
                self._prefix + topic,
                encode(value) if isinstance(value, Message) else value,
                key=key,
                partition=partition_of(key, PARTITIONS),
            )


@pytest.fixture
def log(settings: ProgramSettings, publisher: Publisher) -> Log:
    return Log(settings, publisher)


@pytest.fixture
def writing(database: DatabaseSettings, settings: ProgramSettings, publisher: Publisher) -> Running:
    """Runs a writer of its own while the context lasts; yields its task."""

    @asynccontextmanager
    async def run(make_store: Callable[[Pool], Store] = Store) -> AsyncIterator[asyncio.Task[None]]:
        opened = await open_pool(database, "results", Readiness(), Stop())
        consumer = make_consumer(
            settings, group_id=f"{settings.kafka_topic_prefix}results", heartbeat_interval_ms=300
        )
        await consumer.start()
        store, readiness = make_store(opened), Readiness()
        writer = Writer(
            consumer=consumer,
            places=Places(consumer, store, readiness),
            store=store,
            publisher=publisher,
            topics=settings.topics,
            readiness=readiness,
            on_parked=lambda _: None,
        )
        task = asyncio.create_task(writer.run())
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await consumer.stop()
            await opened.close()

    return run


async def until(holds: Callable[[], Awaitable[bool]], *tasks: asyncio.Task[None]) -> None:
    """Wait until it holds, while the tasks run."""
    while not await holds():
        for task in tasks:
            if task.done():
                task.result()
        await asyncio.sleep(0.05)  # between two looks


def counters_are(look: asyncpg.Connection, **wanted: int) -> Callable[[], Awaitable[bool]]:
    async def holds() -> bool:
        rows = await look.fetch("SELECT state, n FROM job_counts WHERE job_id = $1 AND n != 0", JOB)
        return {row["state"]: row["n"] for row in rows} == wanted

    return holds


async def unread(look: asyncpg.Connection, settings: ProgramSettings, topics: Iterable[str]) -> int:
    """Records of the topics that are not stored yet."""
    consumer = make_consumer(settings)
    await consumer.start()
    try:
        names = [settings.kafka_topic_prefix + topic for topic in topics]
        rows = await look.fetch("SELECT * FROM stored_offsets WHERE topic = ANY($1)", names)
        places = {(row["topic"], row["partition"]): row["next_offset"] for row in rows}
        ends = await consumer.end_offsets([TopicPartition(*place) for place in places])
        return sum(end - places[partition] for partition, end in ends.items())
    finally:
        await consumer.stop()


async def test_every_topic_is_stored(log: Log, writing: Running, look: asyncpg.Connection) -> None:
    """Whatever lookup and ingest say of a contact ends in PostgreSQL, once."""
    await log.append("contacts", *(request(n) for n in range(1, 6)))
    await log.append("lookup.retry.15s", request(1, turn=2, attempts=1, failing_since=AT))
    await log.append("lookup.parked", request(2, waits_for=("account:main:person",)))
    await log.append("lookup.results", result(3), result(4, state="invalid"))
    await log.append("lookup.dead-letters", letter(5))
    await log.append("contacts.rejected", rejected(1), rejected(1), rejected(2))
    wanted = {
        "retrying": 1,
        "parked": 1,
        "completed": 1,
        "invalid": 1,
        "dead": 1,
        "rejected": 2,
    }
    async with writing() as task:
        await until(counters_are(look, **wanted), task)
    retrying = await look.fetchrow("SELECT * FROM requests WHERE state = 'retrying'")
    assert retrying is not None
    # The broker stamps retries: due counts from its time, not from the record's own.
    assert retrying["due_at"] > AT
    # What was appended before the stop is not stored again after it; what came after is.
    await log.append("lookup.results", result(1, turn=2))
    async with writing() as task:
        del wanted["retrying"]
        await until(counters_are(look, **(wanted | {"completed": 2})), task)
    steps = await look.fetch("SELECT request_id, to_state FROM history")
    assert len({tuple(step) for step in steps}) == len(steps)
    assert [step["to_state"] for step in steps].count("completed") == 2


async def test_partitions_that_were_never_written_have_a_place(
    writing: Running, look: asyncpg.Connection, settings: ProgramSettings
) -> None:
    """An assignment stores the start of every partition, so that nobody waits for empty ones."""
    wanted = sum(t.partitions for t in settings.topics.all if "results" in t.read_by) - 1

    async def stored() -> bool:
        return bool(await look.fetchval("SELECT count(*) FROM stored_offsets") == wanted)

    async with writing() as task:
        await until(stored, task)
    assert await look.fetchval("SELECT max(next_offset) FROM stored_offsets") == 0


async def test_garbage_goes_to_the_dead_letters_and_the_rest_is_stored(
    log: Log, writing: Running, look: asyncpg.Connection
) -> None:
    """Only what results alone reads is buried by it; a dead letter that is garbage is kept."""
    await log.append("lookup.results", b"garbage 1", result(1))
    await log.append("contacts", b"garbage 2", request(2))
    await log.append("lookup.dead-letters", b"garbage 3")

    async def stored() -> bool:
        return bool(await look.fetchval("SELECT count(*) FROM dead_letters") == 2)

    async with writing() as task:
        await until(counters_are(look, completed=1, pending=1), task)
        await until(stored, task)
    rows = await look.fetch("SELECT reason, value, original_topic FROM dead_letters")
    kept = {row["original_topic"]: row for row in rows}
    assert kept[None]["value"] == b"garbage 3"
    (topic,) = kept.keys() - {None}
    buried = DeadLetter.model_validate_json(kept[topic]["value"])
    assert (buried.reason, buried.original_value) == ("undecodable", b"garbage 1")
    assert topic.endswith("lookup.results")


async def test_a_record_that_postgresql_refuses_is_a_dead_letter(
    log: Log, writing: Running, look: asyncpg.Connection
) -> None:
    """One record that cannot be stored does not hold up those around it."""
    good = [request(n) for n in range(1, 40)]
    # Valid JSON and a valid time, but before PostgreSQL's and Python's first.
    poison = encode(request(99)).replace(b'"2026-03-01T12:00:00Z"', b'"0001-01-01T00:00:00+14:00"')
    assert b"+14:00" in poison
    await log.append("contacts", *good[:20], poison, *good[20:])

    async def buried() -> bool:
        return bool(await look.fetchval("SELECT count(*) FROM dead_letters") == 1)

    async with writing() as task:
        await until(counters_are(look, pending=39), task)
        await until(buried, task)
    row = await look.fetchrow("SELECT reason, value FROM dead_letters")
    assert row is not None
    assert row["reason"] == "internal-error"
    assert DeadLetter.model_validate_json(row["value"]).original_value == poison


class Refusing(Store):
    """Cannot store what makes a request this, nor a dead letter that brings answers, if told so."""

    def __init__(self, pool: Pool, *, refuses_answers: bool) -> None:
        super().__init__(pool)
        self._refuses_answers = refuses_answers

    async def write(self, taken: Sequence[Taken], moves: Mapping[Partition, Move]) -> Folded:
        for record in taken:
            seen = record.sighting
            if seen is None:
                continue
            refused = self._refuses_answers and seen.record.answers
            if seen.record.state is State.COMPLETED or refused:
                raise UnstorableError
        return await super().write(taken, moves)


@pytest.mark.parametrize("refuses_answers", [False, True])
async def test_the_contact_of_a_record_that_cannot_be_stored_does_not_wait(
    log: Log, writing: Running, look: asyncpg.Connection, refuses_answers: bool
) -> None:
    """Its dead letter ends the contact, and keeps what was paid: in the row, or as bytes."""
    await log.append("contacts", request(1), request(2))
    await log.append("lookup.results", result(1, turn=2, attempts=1))
    async with writing(lambda pool: Refusing(pool, refuses_answers=refuses_answers)) as task:
        await until(counters_are(look, dead=1, pending=1), task)
    row = await look.fetchrow("SELECT * FROM requests WHERE state = 'dead'")
    assert row is not None
    assert (row["request_id"], row["turn"], row["attempts"]) == (UUID(int=1), 2, 1)
    assert row["last_error"] == "internal-error"
    assert ("basic" in row["answers"]) != refuses_answers
    kept = await look.fetchrow("SELECT reason, request_id, value FROM dead_letters")
    assert kept is not None
    assert (kept["reason"], kept["request_id"]) == ("internal-error", UUID(int=1))
    buried = DeadLetter.model_validate_json(kept["value"])
    assert buried.request is not None
    assert buried.request.answers == result(1).answers


async def test_a_newer_version_stops_it(
    log: Log, writing: Running, look: asyncpg.Connection
) -> None:
    """A record of a later release is not passed over: the program ends and says so."""
    newer = encode(result(1)).replace(b"lookup-result/1", b"lookup-result/2")
    await log.append("lookup.results", newer)
    async with writing() as task:
        with pytest.raises(FaultError, match=r"upgrade it first"):
            await task
    assert await look.fetchval("SELECT max(next_offset) FROM stored_offsets") == 0


async def test_a_place_outside_the_log_stops_it(
    log: Log, writing: Running, look: asyncpg.Connection
) -> None:
    """A stored place beyond the log's end is a fault with a name, not a silent jump."""
    await log.append("contacts", request())
    async with writing() as task:
        await until(counters_are(look, pending=1), task)
    await look.execute("UPDATE stored_offsets SET next_offset = 99 WHERE next_offset = 1")
    async with writing() as task:
        with pytest.raises(PlaceOutsideLogError, match="log ends at 1"):
            await task


async def test_two_processes_share_the_work_exactly(
    log: Log, writing: Running, look: asyncpg.Connection, settings: ProgramSettings
) -> None:
    """While processes come and go in mid-run, rows, history and counters stay exact."""
    count = 400
    numbers = range(1, count + 1)

    async def produce() -> None:
        for start in range(0, count, 50):
            part = numbers[start : start + 50]
            await log.append("lookup.results", *(result(n) for n in part))
            await log.append("contacts", *(request(n) for n in part))

    producing = asyncio.create_task(produce())
    async with writing() as first:
        async with writing() as second:
            await until(counters_at_least(look, 100), first, second)
        async with writing() as third:
            await producing
            await until(counters_are(look, completed=count), first, third)

            async def read() -> bool:
                return await unread(look, settings, ["contacts", "lookup.results"]) == 0

            await until(read, first, third)
    assert await look.fetchval("SELECT count(*) FROM requests WHERE state = 'completed'") == count
    steps = await look.fetch("SELECT request_id, from_state, to_state FROM history")
    last = {row["request_id"] for row in steps if row["to_state"] == "completed"}
    assert last == {UUID(int=n) for n in numbers}
    assert len(steps) == len({(row["request_id"], row["to_state"]) for row in steps})


async def test_a_standstill_of_postgresql_skips_nothing(
    log: Log, writing: Running, look: asyncpg.Connection
) -> None:
    """Sessions that PostgreSQL ends in mid-run cost a transaction, never a record."""
    count = 300
    kill = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid != pg_backend_pid()"
    )
    async with writing() as task:
        for n in range(1, count + 1):
            await log.append("contacts", request(n))
            if n % 60 == 0:
                await look.execute(kill)
        await until(counters_are(look, pending=count), task)
    assert await look.fetchval("SELECT count(*) FROM history") == count


class Troubled(Store):
    """Fails as it is told to, before it stores what a record says."""

    def __init__(self, pool: Pool, troubles: Iterator[Exception]) -> None:
        super().__init__(pool)
        self._troubles = troubles

    async def write(self, taken: Sequence[Taken], moves: Mapping[Partition, Move]) -> Folded:
        if any(record.said is not None for record in taken):
            for trouble in self._troubles:
                raise trouble
        return await super().write(taken, moves)


@pytest.mark.parametrize(
    "trouble",
    [
        asyncpg.InternalClientError("cannot switch to state 15"),
        asyncpg.InterfaceError("connection is closed"),
        asyncpg.ConnectionDoesNotExistError("connection was closed"),
        asyncpg.DeadlockDetectedError("deadlock detected"),
        OSError("network is unreachable"),
        TimeoutError(),
        StalePlaceError(),
    ],
    ids=lambda trouble: type(trouble).__name__,
)
async def test_no_record_is_blamed_for_the_connection(
    log: Log, writing: Running, look: asyncpg.Connection, trouble: Exception
) -> None:
    """Trouble with PostgreSQL is waited out: everything is stored, nothing is a dead letter."""
    await log.append("contacts", request(1), request(2))
    async with writing(lambda pool: Troubled(pool, iter([trouble]))) as task:
        await until(counters_are(look, pending=2), task)
    assert await look.fetchval("SELECT count(*) FROM dead_letters") == 0
    assert await look.fetchval("SELECT count(*) FROM history") == 2


async def test_a_fault_on_every_record_stops_it(
    log: Log, writing: Running, look: asyncpg.Connection
) -> None:
    """When no record can be stored the release is at fault: it ends, with few dead letters."""
    await log.append("contacts", *(request(n) for n in range(1, 100)))
    async with writing(lambda pool: Troubled(pool, repeat(UnstorableError()))) as task:
        with pytest.raises(FaultError, match="this release is at fault"):
            await task
    assert await look.fetchval("SELECT count(*) FROM requests") == 0


async def test_a_schema_that_is_missing_is_said(writing: Running, look: asyncpg.Connection) -> None:
    """What PostgreSQL refuses for good ends the program with the way out."""
    await look.execute("ALTER TABLE stored_offsets RENAME TO elsewhere")
    async with writing() as task:
        with pytest.raises(FaultError, match="bulk-lookup migrate"):
            await task


def counters_at_least(look: asyncpg.Connection, wanted: int) -> Callable[[], Awaitable[bool]]:
    async def holds() -> bool:
        return int(await look.fetchval("SELECT coalesce(sum(n), 0) FROM job_counts")) >= wanted

    return holds
