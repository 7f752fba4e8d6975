"""The topics on a real Kafka against the table."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from services.contracts.topics import Topic
from services.runtime.kafka import make_admin
from services.runtime.kafka_topics import TopicsError, check_topics
from services.runtime.settings import ProgramSettings


@pytest.fixture
def settings(kafka: str, topic_prefix: str) -> ProgramSettings:
    return ProgramSettings(
        kafka_bootstrap_servers=kafka, kafka_topic_prefix=topic_prefix, kafka_partitions=2
    )


@pytest.fixture
async def admin(settings: ProgramSettings) -> AsyncIterator[AIOKafkaAdminClient]:
    client = make_admin(settings)
    await client.start()
    yield client
    await client.close()


async def partitions(admin: AIOKafkaAdminClient, topics: tuple[Topic, ...]) -> dict[str, int]:
    described = await admin.describe_topics([topic.name for topic in topics])
    return {found["topic"]: len(found["partitions"]) for found in described}


async def make(admin: AIOKafkaAdminClient, *topics: Topic) -> None:
    await admin.create_topics(
        [NewTopic(topic.name, topic.partitions, 1, topic_configs=topic.config) for topic in topics]
    )
    # A broker tells of topics a moment after they were made.
    async with asyncio.timeout(30):
        while 0 in (await partitions(admin, topics)).values():  # noqa: ASYNC110 - nothing tells us
            await asyncio.sleep(0.05)


async def test_missing_topics_are_made(
    settings: ProgramSettings, admin: AIOKafkaAdminClient
) -> None:
    """All of the table, with its partitions and configuration; a second check finds them."""
    assert await check_topics(settings) == 2
    topics = settings.topics.all
    assert await partitions(admin, topics) == {topic.name: topic.partitions for topic in topics}
    answers = await admin.describe_configs(
        [ConfigResource(ConfigResourceType.TOPIC, topic.name) for topic in topics]
    )
    found = {
        resource[3]: {entry[0]: entry[1] for entry in resource[4]}
        for answer in answers
        for resource in answer.resources
    }
    for topic in topics:
        assert found[topic.name].items() >= topic.config.items()
    assert await check_topics(settings) == 2


async def test_programs_that_start_together(settings: ProgramSettings) -> None:
    """Several make the same topics at once, and all of them are content."""
    assert await asyncio.gather(*(check_topics(settings) for _ in range(4))) == [2] * 4


async def test_a_topic_that_joins_others(
    settings: ProgramSettings, admin: AIOKafkaAdminClient
) -> None:
    """It takes the partitions that the aligned ones have, whatever the setting says."""
    await make(admin, replace(settings.topics.contacts, partitions=3))
    assert await check_topics(settings) == 3


async def test_topics_that_differ_are_refused(
    settings: ProgramSettings, admin: AIOKafkaAdminClient
) -> None:
    """An outcome would go to another partition than its request: the error names both."""
    topics = settings.topics
    await make(admin, topics.contacts, replace(topics.results, partitions=5))
    with pytest.raises(TopicsError) as caught:
        await check_topics(settings)
    assert f"{topics.results.name} has 5" in str(caught.value)
    assert f"{topics.contacts.name} has 2" in str(caught.value)
    assert "add partitions to the smaller ones" in str(caught.value)


async def test_a_control_topic_with_many_partitions_is_refused(
    settings: ProgramSettings, admin: AIOKafkaAdminClient
) -> None:
    """What is held must have one order."""
    control = settings.topics.control
    await make(admin, replace(control, partitions=2))
    with pytest.raises(TopicsError, match=f"{control.name} has 2 partitions, it must have 1"):
        await check_topics(settings)


async def test_missing_topics_that_may_not_be_made(
    settings: ProgramSettings, admin: AIOKafkaAdminClient
) -> None:
    """Where an operator owns the topics, the error lists them and nothing is made."""
    topics = settings.topics
    await make(admin, *(topic for topic in topics.all if topic != topics.parked))
    owned = settings.model_copy(update={"kafka_create_topics": False})
    with pytest.raises(TopicsError, match=f"lacks the topics {topics.parked.name}; make them"):
        await check_topics(owned)
    (described,) = await admin.describe_topics([topics.parked.name])
    assert described["error_code"] == 3  # no such topic
