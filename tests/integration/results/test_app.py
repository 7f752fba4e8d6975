from __future__ import annotations

import asyncio
from contextlib import suppress

import httpx
from pydantic import SecretStr

from services.contracts.codec import decode, encode
from services.contracts.messages import LookupRequest
from services.local.processes import free_port
from services.results.app import serve
from services.results.settings import ResultsSettings
from services.runtime.kafka import Publisher, make_consumer
from services.runtime.program import Stop
from services.runtime.settings import DatabaseSettings
from tests.integration.results.made import request


async def test_a_person_stops_an_account_and_lets_it_go_on(
    database: DatabaseSettings, kafka: str, topic_prefix: str
) -> None:
    """The whole program: held requests stay while a person holds them, and go when let go."""
    settings = ResultsSettings(
        database_url=SecretStr(database.database_url.get_secret_value()),
        kafka_bootstrap_servers=kafka,
        kafka_topic_prefix=topic_prefix,
        kafka_partitions=2,
        http_port=free_port(),
    )
    stop = Stop()
    running = asyncio.create_task(serve(settings, stop))
    publisher = Publisher(settings)
    due = make_consumer(settings, settings.topics.due.name)
    base = f"http://127.0.0.1:{settings.http_port}"
    try:
        async with httpx.AsyncClient(base_url=base, timeout=20) as client:
            await until_ready(client, running)
            await publisher.start()
            await due.start()
            stopped = await client.post("/v1/accounts/main/stop", json={"why": "test"})
            assert stopped.status_code == 200, stopped.text
            held = request(waits_for=("account:main:person",))
            await publisher.publish(
                settings.topics.parked.name, encode(held), key=held.phone.encode()
            )
            await until_counted(client, "parked")
            account = (await client.get("/v1/accounts")).json()["accounts"][0]
            assert (account["name"], account["running"], account["parked"]) == ("main", False, 1)

            resumed = await client.post("/v1/accounts/main/resume", json={"why": "mended"})
            assert resumed.status_code == 200, resumed.text
            record = await due.getone()
            assert decode(record.value, LookupRequest).turn == 2
            await until_counted(client, "pending")
            metrics = (await client.get("/metrics")).text
            assert 'twilio_account_held{account="main",cause="person"} 0.0' in metrics
    finally:
        stop.ask()
        await running
        await due.stop()
        await publisher.stop()
    assert stop.fault is None


async def until_ready(client: httpx.AsyncClient, running: asyncio.Task[None]) -> None:
    while True:
        if running.done():
            running.result()
        with suppress(httpx.TransportError):
            if (await client.get("/readyz")).status_code == 200:
                return
        await asyncio.sleep(0.05)  # between two looks


async def until_counted(client: httpx.AsyncClient, state: str) -> None:
    while True:
        summary = (await client.get("/v1/summary")).json()
        if summary["counts"][state] == 1:
            return
        await asyncio.sleep(0.05)  # between two looks
