"""Checks Kafka's topics against the table at start, and makes the missing ones."""

from __future__ import annotations

import asyncio

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    NoError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    for_code,
)

from services.contracts.topics import Topic, Topics
from services.runtime.kafka import make_admin
from services.runtime.logs import get_logger
from services.runtime.program import FaultError
from services.runtime.settings import ProgramSettings

log = get_logger(__name__)

#: How often, and how many seconds apart, to look for topics that were just made.
_LOOKS = 50
_LOOK_AGAIN_AFTER = 0.2


class TopicsError(FaultError):
    """The topics on Kafka are not as they must be."""


async def check_topics(settings: ProgramSettings) -> int:
    """Make what is missing, check what is there; returns the number of aligned partitions.

    Raises:
        TopicsError: Topics are missing and may not be made, or aligned ones differ.
        KafkaError: Kafka does not answer.
    """
    admin = make_admin(settings)
    await admin.start()
    try:
        found, hidden = await _partitions(admin, settings.topics)
        missing = [
            topic for topic in settings.topics.all if topic.name not in found.keys() | hidden
        ]
        if missing:
            await _make(admin, settings, missing, found)
            # A broker that has just started, or is one of many, may tell a moment later.
            for _ in range(_LOOKS):
                found, hidden = await _partitions(admin, settings.topics)
                seen = len(found) + len(hidden)
                if not settings.kafka_create_topics or seen == len(settings.topics.all):
                    break
                await asyncio.sleep(_LOOK_AGAIN_AFTER)
    finally:
        await admin.close()
    return judge(settings.topics, found, hidden)


def judge(topics: Topics, found: dict[str, int], hidden: frozenset[str] = frozenset()) -> int:
    """The number of partitions that all aligned topics share.

    Args:
        topics: The table.
        found: Partitions on the broker, by topic.
        hidden: Topics that we may not see: others' own, whatever they are like.

    Raises:
        TopicsError: A topic is missing, or the aligned ones do not all have one number.
    """
    absent = [topic.name for topic in topics.all if topic.name not in found.keys() | hidden]
    if absent:
        raise TopicsError(
            f"Kafka lacks the topics {', '.join(absent)}; make them as docs/reference/topics.md "
            "says, or set KAFKA_CREATE_TOPICS=true"
        )
    aligned = {t.name: found[t.name] for t in topics.all if t.aligned and t.name in found}
    if len(set(aligned.values())) != 1:
        listed = ", ".join(f"{name} has {count}" for name, count in sorted(aligned.items()))
        raise TopicsError(
            "these topics must have one number of partitions, since an outcome goes to the "
            f"partition of its request: {listed}; add partitions to the smaller ones with "
            "`bulk-lookup topics resize`"
        )
    if found.get(topics.control.name, 1) != 1:
        raise TopicsError(
            f"{topics.control.name} has {found[topics.control.name]} partitions, it must have 1: "
            "make it anew while every program is stopped"
        )
    return next(iter(aligned.values()))


async def partitions_on_kafka(admin: AIOKafkaAdminClient, topics: Topics) -> dict[str, int]:
    """How many partitions the topics of the table have, those that are not there left out.

    Raises:
        KafkaError: Kafka does not answer.
    """
    found, _ = await _partitions(admin, topics)
    return found


async def _partitions(
    admin: AIOKafkaAdminClient, topics: Topics
) -> tuple[dict[str, int], frozenset[str]]:
    """The number of partitions of each topic that is there, and the topics we may not see."""
    described = await admin.describe_topics([topic.name for topic in topics.all])
    found: dict[str, int] = {}
    hidden = set()
    for topic in described:
        error = for_code(topic["error_code"])
        if error is NoError:
            found[str(topic["topic"])] = len(topic["partitions"])
        elif error is TopicAuthorizationFailedError:
            hidden.add(str(topic["topic"]))
    return found, frozenset(hidden)


async def _make(
    admin: AIOKafkaAdminClient,
    settings: ProgramSettings,
    missing: list[Topic],
    found: dict[str, int],
) -> None:
    if not settings.kafka_create_topics:
        return
    shared = {found[t.name] for t in settings.topics.all if t.aligned and t.name in found}
    # A topic that joins existing ones takes their number, whatever the setting says.
    aligned = shared.pop() if len(shared) == 1 else settings.kafka_partitions
    response = await admin.create_topics(
        [
            NewTopic(
                topic.name,
                num_partitions=aligned if topic.aligned else topic.partitions,
                replication_factor=settings.kafka_replication_factor,
                # The client takes -1, the broker's default, only beside an assignment.
                replica_assignments={} if settings.kafka_replication_factor == -1 else None,
                topic_configs=topic.config,
            )
            for topic in missing
        ]
    )
    errors = {name: (for_code(code), detail) for name, code, detail in response.topic_errors}
    denied = {TopicAuthorizationFailedError, ClusterAuthorizationFailedError}
    # Kafka answers in any order.
    if refused := [topic.name for topic in missing if errors[topic.name][0] in denied]:
        raise TopicsError(
            f"Kafka does not let this program make {', '.join(refused)}: allow it Create on them, "
            "or make them as docs/reference/topics.md says"
        )
    for name, (error, detail) in errors.items():
        if error not in {NoError, TopicAlreadyExistsError}:
            raise TopicsError(f"Kafka did not make {name}: {error.__name__} {detail or ''}")
    log.info("made topics", topics=[topic.name for topic in missing])
