"""The topic table beside what is on Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError

from services.cli.exits import SETTINGS, UNAVAILABLE, CommandError
from services.cli.logs import quiet_logs
from services.cli.wording import span
from services.contracts.topics import Topic, Topics
from services.runtime.kafka import make_admin
from services.runtime.kafka_reach import find_trouble
from services.runtime.kafka_topics import TopicsError, judge
from services.runtime.settings import ProgramSettings, SettingsError, load_settings

_SECONDS = 15


@dataclass(frozen=True, slots=True)
class Found:
    """A topic as Kafka has it."""

    partitions: int
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Line:
    """One topic, as it should be and as it is."""

    topic: Topic
    found: Found | None
    #: What of it differs, each said in a few words.
    differs: tuple[str, ...]

    def cells(self) -> list[str]:
        """As a row for people."""
        topic = self.topic
        keeps = "the last of each key" if topic.compacted else _kept(topic.retention)
        return [
            topic.name,
            str(topic.partitions),
            "-" if self.found is None else str(self.found.partitions),
            keeps,
            ", ".join(topic.written_by),
            ", ".join(topic.read_by),
            "; ".join(self.differs) or "ok",
        ]

    def as_json(self) -> dict[str, object]:
        """As JSON's values."""
        topic = self.topic
        found = self.found
        return {
            "topic": topic.name,
            "purpose": topic.purpose,
            "key": topic.key,
            "value": topic.value,
            "written_by": list(topic.written_by),
            "read_by": list(topic.read_by),
            "partitions": topic.partitions,
            "config": topic.config,
            "on_kafka": None
            if found is None
            else {"partitions": found.partitions, "config": dict(found.config)},
            "differs": list(self.differs),
        }


@dataclass(frozen=True, slots=True)
class Report:
    """All topics, what is wrong with them, and what is merely worth knowing."""

    lines: tuple[Line, ...]
    problems: tuple[str, ...]
    remarks: tuple[str, ...]


def compare(topics: Topics, found: Mapping[str, Found]) -> Report:
    """Compare the table with what is there. Pure.

    Another number of partitions than the setting's is no problem while all aligned topics
    share it: the setting is only for topics that are made.
    """
    lines = tuple(_compare(topic, found.get(topic.name)) for topic in topics.all)
    problems = [
        f"{line.topic.name}: {what}" for line in lines for what in line.differs if line.found
    ]
    remarks = []
    try:
        aligned = judge(topics, {name: topic.partitions for name, topic in found.items()})
    except TopicsError as error:
        problems.append(str(error))
    else:
        if aligned != topics.partitions:
            remarks.append(
                f"The topics have {aligned} partitions, KAFKA_PARTITIONS says "
                f"{topics.partitions}; it counts only for topics that are made."
            )
    return Report(lines, tuple(problems), tuple(remarks))


async def read() -> Report:
    """Compare the table of the settings with the topics of their Kafka.

    Raises:
        CommandError: The settings are wrong, or Kafka does not answer.
    """
    try:
        settings = load_settings(ProgramSettings)
        with quiet_logs():
            return compare(settings.topics, await _find_in_time(settings))
    except SettingsError as error:
        raise CommandError(str(error), SETTINGS) from error


async def _find_in_time(settings: ProgramSettings) -> dict[str, Found]:
    try:
        async with asyncio.timeout(_SECONDS):
            return await find_topics(settings)
    except (KafkaError, OSError) as error:
        why = await find_trouble(settings) or type(error).__name__
        raise CommandError(
            f"Kafka does not answer: {why}. Check the KAFKA_ settings.", UNAVAILABLE
        ) from error


async def find_topics(settings: ProgramSettings) -> dict[str, Found]:
    """The topics of the table that are on Kafka, by name.

    Raises:
        KafkaError: Kafka does not answer.
    """
    admin = make_admin(settings)
    try:
        await admin.start()
        described = await admin.describe_topics([topic.name for topic in settings.topics.all])
        partitions = {
            str(topic["topic"]): len(topic["partitions"])
            for topic in described
            if topic["error_code"] == 0
        }
        configs = await _configs(admin, list(partitions))
    finally:
        await admin.close()
    return {name: Found(number, configs.get(name, {})) for name, number in partitions.items()}


async def _configs(admin: AIOKafkaAdminClient, names: Sequence[str]) -> dict[str, dict[str, str]]:
    if not names:
        return {}
    answers = await admin.describe_configs(
        [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    )
    return {
        str(name): {str(entry[0]): str(entry[1]) for entry in entries}
        for answer in answers
        for code, _, _, name, entries in answer.resources
        if code == 0
    }


def _compare(topic: Topic, found: Found | None) -> Line:
    if found is None:
        return Line(topic, None, ("is not there",))
    wrong = [
        f"{name} is {found.config[name]}, should be {wanted}"
        for name, wanted in topic.config.items()
        if name in found.config and found.config[name] != wanted
    ]
    relevant = {name: found.config[name] for name in topic.config if name in found.config}
    return Line(topic, Found(found.partitions, relevant), tuple(wrong))


def _kept(retention: timedelta | None) -> str:
    return "-" if retention is None else span(retention.total_seconds())
