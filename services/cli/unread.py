"""How far the programs have read their topics: their places, and the logs' ends."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import TypeVar

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError, GroupLoadInProgressError
from aiokafka.structs import TopicPartition

from services.contracts.topics import Topic
from services.runtime.kafka import make_consumer
from services.runtime.settings import ProgramSettings

T = TypeVar("T")
_LOOK_AGAIN_AFTER = 0.2
#: Whose places stand in PostgreSQL; the others' stand in their groups on Kafka.
RESULTS = "results"
Places = Mapping[TopicPartition, int]
#: Start and end by partition.
Logs = Mapping[TopicPartition, tuple[int, int]]


async def committed(admin: AIOKafkaAdminClient, settings: ProgramSettings) -> dict[str, Places]:
    """The places of lookup and the scheduler, as their groups say.

    Raises:
        KafkaError: Kafka does not tell.
    """
    places: dict[str, Places] = {}
    for program in ("lookup", "scheduler"):
        group = settings.group(program)
        found = await once_coordinated(partial(admin.list_consumer_group_offsets, group))
        places[program] = {place: known.offset for place, known in found.items()}
    return places


async def once_coordinated(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask about a group; Kafka makes room for its first group, or has just started, meanwhile."""
    while True:
        try:
            return await ask()
        except (GroupCoordinatorNotAvailableError, GroupLoadInProgressError):
            await asyncio.sleep(_LOOK_AGAIN_AFTER)


async def ends(
    settings: ProgramSettings, topics: Iterable[Topic], partitions: Mapping[str, int]
) -> Logs:
    """Start and end of each partition of the topics.

    Raises:
        KafkaError: Kafka does not tell.
    """
    wanted = [
        TopicPartition(topic.name, number)
        for topic in topics
        for number in range(partitions[topic.name])
    ]
    consumer = make_consumer(settings)
    await consumer.start()
    try:
        first = await consumer.beginning_offsets(wanted)
        last = await consumer.end_offsets(wanted)
    finally:
        await consumer.stop()
    return {place: (first[place], last[place]) for place in wanted}


def unread(
    settings: ProgramSettings,
    program: str,
    known: Places,
    logs: Logs,
) -> Counter[int]:
    """Records that a program has not read, by partition; all of one where it has no place."""
    reads = {topic.name for topic in settings.topics.all if program in topic.read_by}
    counts: Counter[int] = Counter()
    for place, (start, end) in logs.items():
        if place.topic in reads:
            counts[place.partition] += max(0, end - max(known.get(place, -1), start))
    return counts
