"""`bulk-lookup reconcile` between a real Kafka and a real PostgreSQL, without the programs."""

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from services.contracts.codec import decode
from services.contracts.messages import LookupRequest
from services.results.migrate import migrate
from services.runtime.kafka import partition_of
from services.runtime.kafka_topics import check_topics
from services.runtime.settings import ProgramSettings

PARTITIONS = 2
PHONE = "+14155550100"
JOB = UUID(int=5)
ADD = """
INSERT INTO requests (request_id, job_id, source, account, phone, packages, accepted_at, state,
    generation, turn, due_at, updated_at)
VALUES ($1, $2, 'tests', 'main', $3, '{line_type_intelligence}', now() - interval '1 hour', $4,
    0, 2, now() - interval '1 hour', now() - interval '1 hour')"""
SEALED = """
INSERT INTO jobs (job_id, source, state, file_name, account, packages, accepted, rejected)
VALUES ($1, 'tests', 'sealed', 'list.csv', 'main', '{line_type_intelligence}', $2, 0)"""


class Installation:
    """Topics and a schema; what the programs would write is written by hand."""

    def __init__(self, settings: ProgramSettings, database: asyncpg.Connection, run: Any) -> None:
        self.settings = settings
        self.topics = settings.topics
        self.database = database
        self._run = run

    async def run(self, *words: str) -> tuple[int, dict[str, Any]]:
        ended = await self._run("reconcile", "--json", *words)
        assert ended.err == ""
        return ended.code, json.loads(ended.out)

    async def hold(self, state: str, *, sealed: int = 1) -> UUID:
        """A job with one contact, in a state; its counters agree."""
        request_id = UUID(int=11)
        await self.database.execute(SEALED, JOB, sealed)
        await self.database.execute(ADD, request_id, JOB, PHONE, state)
        await self.database.execute("INSERT INTO job_counts VALUES ($1, $2, 1)", JOB, state)
        return request_id

    async def append(self, topic: str) -> None:
        """A record where those of the number stand."""
        producer = AIOKafkaProducer(
            bootstrap_servers=self.settings.kafka_bootstrap_servers,
        )
        await producer.start()
        try:
            partition = partition_of(PHONE.encode(), PARTITIONS)
            await producer.send_and_wait(topic, b"{}", partition=partition)
        finally:
            await producer.stop()

    async def due(self) -> list[LookupRequest]:
        """What stands in `lookup.due`."""
        consumer = AIOKafkaConsumer(
            self.topics.due.name,
            bootstrap_servers=self.settings.kafka_bootstrap_servers,
            auto_offset_reset="earliest",
        )
        await consumer.start()
        try:
            ends = await consumer.end_offsets(consumer.assignment())
            records: list[Any] = []
            while len(records) < sum(ends.values()):
                records.append(await consumer.getone())
            return [decode(record.value, LookupRequest) for record in records]
        finally:
            await consumer.stop()


@pytest.fixture
async def installation(
    command: Any, kafka: str, topic_prefix: str, postgres: str
) -> AsyncIterator[Installation]:
    settings = ProgramSettings(
        kafka_bootstrap_servers=kafka, kafka_topic_prefix=topic_prefix, kafka_partitions=PARTITIONS
    )
    await check_topics(settings)
    await migrate(postgres)

    async def run(*words: str) -> Any:
        return await command(
            *words,
            KAFKA_BOOTSTRAP_SERVERS=kafka,
            KAFKA_TOPIC_PREFIX=topic_prefix,
            DATABASE_URL=postgres,
        )

    connection = await asyncpg.connect(postgres)
    yield Installation(settings, connection, run)
    await connection.close()


@pytest.mark.parametrize(("state", "turn"), [("pending", 2), ("retrying", 3)])
async def test_what_no_topic_holds_is_put_again(
    installation: Installation, state: str, turn: int
) -> None:
    """Named as missing, with 1; put before lookup in the turn of the rule; then it is under way."""
    request_id = await installation.hold(state)
    code, report = await installation.run()
    assert (code, report["unfinished"]) == (1, {"missing": 1})
    assert report["named"] == {"missing": [str(request_id)]}
    assert await installation.due() == []

    code, report = await installation.run(str(JOB), "--republish")
    assert (code, report["republished"]) == (0, 1)
    (put,) = await installation.due()
    assert (put.request_id, put.phone, put.generation, put.turn) == (request_id, PHONE, 0, turn)
    # The number's partition has a record that lookup and results have not read.
    code, report = await installation.run("--republish")
    assert (code, report["unfinished"], report["republished"]) == (0, {"under way": 1}, 0)


async def test_what_a_program_has_yet_to_read_is_not_missing(installation: Installation) -> None:
    """Nothing is put again while its partition has unread records."""
    await installation.hold("pending")
    await installation.append(installation.topics.contacts.name)
    code, report = await installation.run("--republish")
    assert (code, report["unfinished"]) == (0, {"under way": 1})
    assert report["unread"] == {"lookup": 1, "results": 1, "scheduler": 0}
    assert await installation.due() == []


async def test_books_that_do_not_add_up(installation: Installation) -> None:
    """A job that was sealed with more than ever came, and a counter that is wrong: both, with 1."""
    await installation.hold("completed", sealed=3)
    await installation.database.execute("UPDATE job_counts SET n = 2")
    code, report = await installation.run(str(JOB))
    assert code == 1
    assert report["faults"] == {
        str(JOB): [
            "its counter says 2 completed, its rows are 1",
            "2 of its 3 contacts never reached results",
        ]
    }


async def test_a_job_that_is_not_there(installation: Installation, command: Any) -> None:
    """One line that says where jobs are listed."""
    del installation
    ended = await command("reconcile", str(JOB), KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")
    assert ended.code == 69
