"""More partitions on a real Kafka, and each thing that forbids it."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from services.results.migrate import migrate
from services.runtime.kafka import make_admin
from services.runtime.kafka_topics import check_topics, partitions_on_kafka
from services.runtime.settings import ProgramSettings

BEFORE, AFTER = 2, 3
REQUEST = """
INSERT INTO requests (request_id, job_id, source, account, phone, packages, accepted_at, state,
    generation, turn)
VALUES (gen_random_uuid(), gen_random_uuid(), 'tests', 'main', '+14155550100', '{basic}', now(),
    $1, 0, 1)"""


class Installation:
    """Topics on Kafka and a schema in PostgreSQL, with the command beside them."""

    def __init__(self, settings: ProgramSettings, database: asyncpg.Connection, run: Any) -> None:
        self.settings = settings
        self.topics = settings.topics
        self.prefix = settings.kafka_topic_prefix
        self.database = database
        self.run = run

    async def partitions(self) -> dict[str, int]:
        """Of the aligned topics, as they are on Kafka."""
        admin = make_admin(self.settings)
        await admin.start()
        try:
            found = await partitions_on_kafka(admin, self.topics)
        finally:
            await admin.close()
        return {topic.name: found[topic.name] for topic in self.topics.all if topic.aligned}

    async def append(self, topic: str) -> None:
        """A record in partition 1."""
        producer = AIOKafkaProducer(bootstrap_servers=self.settings.kafka_bootstrap_servers)
        await producer.start()
        try:
            await producer.send_and_wait(topic, b"{}", partition=1)
        finally:
            await producer.stop()

    def consumer(self, program: str, topic: str) -> AIOKafkaConsumer:
        """A member of a program's group."""
        return AIOKafkaConsumer(
            topic,
            bootstrap_servers=self.settings.kafka_bootstrap_servers,
            group_id=f"{self.prefix}{program}",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )

    async def store(self, topic: str, offset: int) -> None:
        """Results is so far in partition 1."""
        await self.database.execute("INSERT INTO stored_offsets VALUES ($1, 1, $2)", topic, offset)


@pytest.fixture
async def installation(
    command: Any, kafka: str, topic_prefix: str, postgres: str
) -> AsyncIterator[Installation]:
    settings = ProgramSettings(
        kafka_bootstrap_servers=kafka, kafka_topic_prefix=topic_prefix, kafka_partitions=BEFORE
    )
    await check_topics(settings)
    await migrate(postgres)
    environ = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "KAFKA_TOPIC_PREFIX": topic_prefix,
        "DATABASE_URL": postgres,
    }

    async def run(number: int) -> Any:
        return await command("topics", "resize", str(number), **environ)

    connection = await asyncpg.connect(postgres)
    yield Installation(settings, connection, run)
    await connection.close()


def all_have(installation: Installation, number: int) -> dict[str, int]:
    return {topic.name: number for topic in installation.topics.all if topic.aligned}


async def test_all_aligned_topics_grow_together(installation: Installation) -> None:
    """With everything read to its end they all get the number; a second run changes nothing."""
    contacts = installation.topics.contacts.name
    await installation.append(contacts)
    await installation.store(contacts, 1)
    async with installation.consumer("lookup", contacts) as consumer:
        await consumer.getone()
        await consumer.commit()

    done = await installation.run(AFTER)
    assert (done.code, f"{contacts}: {BEFORE} -> {AFTER}" in done.out) == (0, True), done.err
    assert await installation.partitions() == all_have(installation, AFTER)
    assert await check_topics(installation.settings) == AFTER
    again = await installation.run(AFTER)
    assert (again.code, again.out) == (0, f"They all have {AFTER} partitions already.\n")


async def test_what_was_broken_off_goes_on(installation: Installation) -> None:
    """With some topics grown and some not, no program starts; the same command ends it."""
    admin: AIOKafkaAdminClient = make_admin(installation.settings)
    await admin.start()
    await admin.create_partitions({installation.topics.contacts.name: NewPartitions(AFTER)})
    await admin.close()

    done = await installation.run(AFTER)
    assert done.code == 0, done.err
    assert await installation.partitions() == all_have(installation, AFTER)


async def test_a_program_that_runs(installation: Installation) -> None:
    """A member of any program's group forbids it, though everything is read."""
    inbound = installation.topics.inbound.name
    async with installation.consumer("ingest", inbound) as consumer:
        await consumer.getmany(timeout_ms=0)
        refused = await installation.run(AFTER)
    assert refused.code == 1
    assert "programs are running (ingest: 1)" in refused.err
    assert await installation.partitions() == all_have(installation, BEFORE)


@pytest.mark.parametrize("state", ["pending", "retrying", "parked", "releasing"])
async def test_a_contact_without_an_end(installation: Installation, state: str) -> None:
    """Any of these states forbids it; one with its end does not."""
    await installation.database.execute(REQUEST, "completed")
    await installation.database.execute(REQUEST, state)
    refused = await installation.run(AFTER)
    assert refused.code == 1
    assert f"contacts have no end yet ({state}: 1)" in refused.err
    assert await installation.partitions() == all_have(installation, BEFORE)


async def test_records_that_are_not_read(installation: Installation) -> None:
    """A record before any program that reads its topic forbids it, and each is named."""
    topics = installation.topics
    await installation.append(topics.contacts.name)
    await installation.append(topics.retries[0][1].name)
    refused = await installation.run(AFTER)
    assert refused.code == 1
    assert "records are not read yet (lookup: 1, results: 2, scheduler: 1)" in refused.err
    assert await installation.partitions() == all_have(installation, BEFORE)


async def test_what_waits_for_ingest_is_not_at_stake(installation: Installation) -> None:
    """Upstream need not stop: its records get their partition when ingest takes them."""
    await installation.append(installation.topics.inbound.name)
    done = await installation.run(AFTER)
    assert done.code == 0, done.err


async def test_a_database_that_does_not_answer(
    installation: Installation, command: Any, kafka: str
) -> None:
    """Without PostgreSQL nobody knows what is at stake: refused, without its password."""
    refused = await command(
        *("topics", "resize", str(AFTER)),
        KAFKA_BOOTSTRAP_SERVERS=kafka,
        KAFKA_TOPIC_PREFIX=installation.prefix,
        DATABASE_URL="postgresql://user:hidden@127.0.0.1:1/none",
    )
    assert refused.code == 69
    assert "DATABASE_URL" in refused.err
    assert "hidden" not in refused.err
    assert await installation.partitions() == all_have(installation, BEFORE)


async def test_without_kafka(command: Any) -> None:
    """A Kafka that does not answer ends with 69 and one message."""
    ended = await command("topics", "resize", "4", "--json", KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")
    assert (ended.code, ended.out) == (69, "")
    assert ended.err.startswith("Kafka did not do it")
