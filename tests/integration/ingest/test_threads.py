"""Files that take long to read keep nothing else waiting."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaProducer

from services.ingest import submissions
from services.ingest.parse import open_contacts
from services.ingest.settings import IngestSettings


@pytest.fixture
def two_threads() -> Iterator[ThreadPoolExecutor]:
    """As few threads as a machine of few cores gives a program that asks for no number."""
    with ThreadPoolExecutor(2) as executor:
        yield executor


async def test_contacts_from_kafka_go_on_while_files_are_read(
    settings: IngestSettings,
    running: Any,
    until: Any,
    read_topic: Any,
    two_threads: ThreadPoolExecutor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The threads that files are read in are not the ones that everything else needs."""
    asyncio.get_running_loop().set_default_executor(two_threads)
    may_go_on, begun = threading.Event(), threading.Semaphore(0)

    def slowly(*args: Any, **named: Any) -> Any:
        begun.release()
        may_go_on.wait()
        return open_contacts(*args, **named)

    async def is_open() -> bool:
        return bool((await client.post("/v1/jobs", content=b"")).status_code == 422)

    async def has_begun() -> bool:
        return begun.acquire(blocking=False)

    async def is_there() -> bool:
        return len(await read_topic("contacts")) == 1

    async with running(settings) as client:
        await until(is_open)
        monkeypatch.setattr(submissions, "open_contacts", slowly)
        async with AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap_servers) as producer:
            sent = [asyncio.create_task(_send(client, number)) for number in range(4)]
            try:
                for _ in range(2):
                    await until(has_begun)
                await producer.send_and_wait(
                    settings.topics.inbound.name, b'{"phone": "+12025550199"}'
                )
                await until(is_there)
            finally:
                may_go_on.set()
            assert {answer.status_code for answer in await asyncio.gather(*sent)} == {201}


async def _send(client: httpx.AsyncClient, number: int) -> httpx.Response:
    return await client.post("/v1/jobs", content=b"Phone\r\n+1202555010%d\r\n" % number)
