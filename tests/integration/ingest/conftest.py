"""A running ingest on a real Kafka and PostgreSQL, and what it wrote."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from pydantic import SecretStr

from services.ingest.app import serve
from services.ingest.settings import IngestSettings
from services.local.processes import free_port
from services.results.migrate import migrate
from services.runtime.program import Stop

TOKEN = "a-token-of-the-tests"
Run = Callable[[IngestSettings], Any]
Until = Callable[[Callable[[], Awaitable[bool]]], Awaitable[None]]
Read = Callable[[str], Awaitable[list[Any]]]


@pytest.fixture
async def settings(kafka: str, postgres: str, topic_prefix: str, tmp_path: Path) -> IngestSettings:
    """Settings of an ingest with everything it needs."""
    await migrate(postgres)
    return IngestSettings(
        kafka_bootstrap_servers=kafka,
        kafka_topic_prefix=topic_prefix,
        kafka_partitions=3,
        kafka_replication_factor=1,
        database_url=SecretStr(postgres),
        api_tokens=SecretStr(f"shop:{TOKEN}"),
        http_host="127.0.0.1",
        http_port=free_port(),
        accounts=("other",),
        spool_directory=tmp_path,
        results_url="https://results.example/",
    )


@asynccontextmanager
async def _running(settings: IngestSettings) -> AsyncIterator[httpx.AsyncClient]:
    stop = Stop()
    program = asyncio.create_task(serve(settings, stop))
    client = httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{settings.http_port}",
        headers={"Authorization": f"Bearer {TOKEN}"},
        timeout=30,
    )
    async with client:
        while not program.done():
            try:
                await client.get("/livez")
                break
            except httpx.ConnectError:
                await asyncio.sleep(0.01)
        try:
            yield client
        finally:
            if not stop.asked:
                stop.ask()
            await program
            if stop.fault is not None:
                raise stop.fault


async def _until(holds: Callable[[], Awaitable[bool]]) -> None:
    while not await holds():  # noqa: ASYNC110 - what is waited for is in another program
        await asyncio.sleep(0.01)


@pytest.fixture
def until() -> Until:
    """Waits until something holds."""
    return _until


@pytest.fixture
def running() -> Run:
    """Runs an ingest with these settings; gives a client as soon as it answers at all."""
    return _running


async def _is_open(client: httpx.AsyncClient) -> bool:
    # An empty file is refused, 422, by whoever takes files at all.
    return (
        await client.post("/v1/jobs", content=b"")
    ).status_code != httpx.codes.SERVICE_UNAVAILABLE


@pytest.fixture
async def ingest(settings: IngestSettings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an ingest that is ready."""
    async with _running(settings) as client:
        await _until(lambda: _is_open(client))
        yield client


@pytest.fixture
def read_topic(kafka: str, topic_prefix: str) -> Read:
    """Reads all records of a topic, from its first to its last as of now."""

    async def read(name: str) -> list[Any]:
        consumer = AIOKafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="earliest")
        await consumer.start()
        try:
            topic = f"{topic_prefix}{name}"
            parts = [TopicPartition(topic, partition) for partition in range(3)]
            consumer.assign(parts)
            ends = await consumer.end_offsets(parts)
            records: list[Any] = []
            while len(records) < sum(ends.values()):
                for taken in (await consumer.getmany(timeout_ms=1000)).values():
                    records.extend(taken)
            return sorted(records, key=lambda r: (r.partition, r.offset))
        finally:
            await consumer.stop()

    return read


@pytest.fixture
async def database(settings: IngestSettings) -> AsyncIterator[asyncpg.Connection]:
    """A superuser's connection to ingest's database."""
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    yield connection
    await connection.close()
