"""Contacts that keep coming through both doors, whatever happens to the pipeline meanwhile."""

from __future__ import annotations

import asyncio
import itertools
import json
import uuid
from collections.abc import Iterator, Sequence

import httpx
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from tests.background import Background
from tests.pipeline.harness import TOKEN, Pipeline

_BEAT_SECONDS = 1.0
_HTTP_SECONDS = 30.0


class Traffic(Background):
    """A file, and records on `contacts.inbound`, about every second while the context lasts.

    Every number is asked for anew; the numbers come round again. What is refused is not sent
    again: refusals are what some faults are about.

    Args:
        pipeline: Where it goes.
        numbers: What is asked for, from the first on.
        rows: Contacts in each file.
        records: Records each time.
        packages: What is asked for each of the rows.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        numbers: Sequence[str],
        *,
        rows: int,
        records: int,
        packages: str,
    ) -> None:
        super().__init__()
        self._ingest = pipeline["ingest"].url
        self._servers = pipeline.settings["KAFKA_BOOTSTRAP_SERVERS"]
        self._topic = f"{pipeline.settings.get('KAFKA_TOPIC_PREFIX', '')}contacts.inbound"
        self._numbers: Iterator[str] = itertools.cycle(numbers)
        self._rows, self._records, self._packages = rows, records, packages

    async def _run(self) -> None:
        """Send by both doors, beat after beat."""
        async with (
            AIOKafkaProducer(bootstrap_servers=self._servers) as producer,
            httpx.AsyncClient(timeout=_HTTP_SECONDS, trust_env=False) as http,
        ):
            while not self._ended.is_set():
                await self._submit(http)
                await self._produce(producer)
                await asyncio.to_thread(self._ended.wait, _BEAT_SECONDS)

    async def _submit(self, http: httpx.AsyncClient) -> None:
        lines = ["phone", *itertools.islice(self._numbers, self._rows)]
        try:
            await http.post(
                f"{self._ingest}/v1/jobs",
                content="\n".join(lines).encode(),
                params={"packages": self._packages, "fresh_for": "0s"},
                headers={
                    "Authorization": f"Bearer {TOKEN}",
                    "Content-Type": "text/csv",
                    "Idempotency-Key": uuid.uuid4().hex,
                },
            )
        except httpx.HTTPError:
            return

    async def _produce(self, producer: AIOKafkaProducer) -> None:
        for number in itertools.islice(self._numbers, self._records):
            try:
                await producer.send_and_wait(self._topic, json.dumps({"phone": number}).encode())
            except KafkaError:
                return
