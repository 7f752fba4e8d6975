"""Contacts handed in at `contacts.inbound`, a few at a time, whatever happens to Kafka meanwhile."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Sequence
from types import TracebackType

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from services.runtime.kafka_mended import pause_after_failures
from tests.background import Background
from tests.faults.books import Contact

_AT_ONCE = 5
_EVERY_SECONDS = 0.2
_AGAIN_SECONDS = 0.5


class Feeder(Background):
    """Hands in one after the other until it is told to stop, so that there is always work.

    Sends each until Kafka has acknowledged it, as a careful upstream system would. One that was
    acknowledged unheard is sent again, which its id makes harmless.
    """

    def __init__(self, servers: str, topic: str, numbers: Sequence[str], packages: str) -> None:
        super().__init__()
        self._servers, self._topic = servers, topic
        self._numbers, self._packages = numbers, packages.split(",")
        self._given_up = threading.Event()
        #: Those that Kafka has acknowledged.
        self.handed_in: list[Contact] = []

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._given_up.set()
        super().__exit__(kind, error, traceback)

    async def _run(self) -> None:
        """Hand in until the end; what was begun by then is acknowledged."""
        producer = AIOKafkaProducer(bootstrap_servers=self._servers, acks="all")
        pause_after_failures(producer.client)
        await producer.start()
        contacts = [Contact(f"i{n}", phone) for n, phone in enumerate(self._numbers)]
        try:
            for first in range(0, len(contacts), _AT_ONCE):
                if self._ended.is_set():
                    break
                some = contacts[first : first + _AT_ONCE]
                await asyncio.gather(*(self._hand_in(producer, contact) for contact in some))
                self.handed_in += some
                await asyncio.sleep(_EVERY_SECONDS)
        finally:
            await producer.stop()

    async def _hand_in(self, producer: AIOKafkaProducer, contact: Contact) -> None:
        """Send one until it is acknowledged, or all is given up."""
        value = {
            "phone": contact.phone,
            "id": contact.reference,
            "reference": contact.reference,
            "packages": self._packages,
        }
        while not self._given_up.is_set():
            try:
                await producer.send_and_wait(self._topic, json.dumps(value).encode())
            except KafkaError:
                await asyncio.sleep(_AGAIN_SECONDS)
            else:
                return
