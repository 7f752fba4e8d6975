"""No call for a partition before results has stored all that was written for it earlier.

After an assignment the ends of every outcome topic are read, once; a partition is released
when results' stored offsets, as the paid check reports them, have reached its ends. An
empty topic has nothing to reach.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from services.lookup.memory import Offsets
from services.runtime.logs import get_logger
from services.runtime.metrics import BARRIER_DURATION, BARRIER_WAITING

log = get_logger(__name__)
_RETRY_AFTER = 0.5


async def read_ends(
    consumer: AIOKafkaConsumer, topics: Iterable[str], partitions: Iterable[int]
) -> dict[int, dict[tuple[str, int], int]]:
    """By partition, the end of each topic's log now; asks until Kafka answers."""
    numbers = sorted(partitions)
    places = [TopicPartition(topic, number) for topic in topics for number in numbers]
    while True:
        try:
            ends = await consumer.end_offsets(places) if places else {}
        except KafkaError as error:
            log.warning("log ends cannot be read, trying again", reason=type(error).__name__)
            await asyncio.sleep(_RETRY_AFTER)
        else:
            return {
                number: {(tp.topic, number): ends[tp] for tp in places if tp.partition == number}
                for number in numbers
            }


class Barrier:
    """Partitions that may not flow yet, with the offsets they wait for."""

    def __init__(self, release: Callable[[int, int], None]) -> None:
        """`release(partition, generation)` lets a partition flow."""
        self._release = release
        self._waits: dict[int, dict[tuple[str, int], int]] = {}
        self._generation = 0
        self._raised_at = 0.0
        BARRIER_WAITING.set_function(self.waited)

    def raise_for(self, generation: int, ends: dict[int, dict[tuple[str, int], int]]) -> None:
        """Hold these partitions until their ends are stored."""
        self._generation = generation
        self._waits = ends
        self._raised_at = time.monotonic()

    def drop(self) -> None:
        """The partitions were revoked."""
        self._waits = {}

    @property
    def waits(self) -> bool:
        """Whether any partition is held."""
        return bool(self._waits)

    def waited(self) -> float:
        """Seconds since partitions that are still held were assigned; 0 if none are."""
        return time.monotonic() - self._raised_at if self._waits else 0.0

    def seen(self, offsets: Offsets) -> None:
        """Release the partitions whose ends these stored offsets have reached."""
        reached = [
            partition
            for partition, ends in self._waits.items()
            if all(offsets.get(place, 0) >= end for place, end in ends.items())
        ]
        for partition in reached:
            del self._waits[partition]
            BARRIER_DURATION.observe(time.monotonic() - self._raised_at)
            self._release(partition, self._generation)
        if reached:
            log.info("partitions released", partitions=reached, held=len(self._waits))
