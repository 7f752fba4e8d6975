"""Whether Kafka's access rules let a program do all it has to, asked before it begins.

A right that is missing shows itself otherwise only when it is needed: a lookup that may not
write `lookup.parked` would find out after a call was paid.
"""

from __future__ import annotations

from collections.abc import Mapping

from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    KafkaError,
    NoError,
    TopicAuthorizationFailedError,
    for_code,
)
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Schema, String

from services.contracts.topics import Topics
from services.runtime.kafka import client_options
from services.runtime.kafka_topics import check_topics
from services.runtime.program import FaultError
from services.runtime.settings import ProgramSettings

#: AclOperation's codes; each is the place of its bit in what Kafka says is allowed.
_RIGHTS = {"Read": 3, "Write": 4}
#: Int32's least: this Kafka does not tell what is allowed.
_NOT_TOLD = -(2**31)


class RightsError(FaultError):
    """Kafka does not let this program do what it has to."""


async def check_kafka(settings: ProgramSettings, program: str) -> int:
    """Make missing topics, check all of them, and what `program` may do with its own.

    Returns the number of aligned partitions.

    Raises:
        RightsError: The program may not read or write what the topic table says it does.
        TopicsError: Topics are missing and may not be made, or aligned ones differ.
        KafkaError: Kafka does not answer.
    """
    await check_rights(settings, program)
    partitions = await check_topics(settings)
    # Of what was just made, only now.
    await check_rights(settings, program)
    return partitions


async def check_rights(settings: ProgramSettings, program: str) -> None:
    """Ask Kafka what `program` may do with the topics that are there, and with its group.

    Raises:
        RightsError: Not all that it has to; names every right that is missing.
        KafkaError: Kafka does not answer.
    """
    group = settings.group(program)
    client = AIOKafkaClient(**client_options(settings))
    await client.bootstrap()
    try:
        allowed = await _allowed(client, [topic.name for topic in settings.topics.all])
        missing = lacking(settings.topics, program, allowed)
        if not await _may_join(client, group):
            missing.append(f"Read on the group {group}")
    finally:
        await client.close()
    if missing:
        who = settings.kafka_sasl_username
        raise RightsError(
            f"Kafka does not let {program}{f' as {who!r}' if who else ''} do all it has to. It "
            f"lacks {', '.join(missing)}. Allow it these; docs/reference/topics.md has all that "
            "each program needs"
        )


def reading_refused(error: KafkaError) -> RightsError:
    """The fault of a program whose consumer Kafka refuses for good, under way."""
    return RightsError(
        f"Kafka refuses to let this program read: {error}; it needs Read on the topic and on its "
        "group, see docs/reference/topics.md"
    )


def lacking(topics: Topics, program: str, allowed: Mapping[str, int]) -> list[str]:
    """The rights on topics that a program should have, and has not. Pure.

    Args:
        topics: The table.
        program: Whose rights.
        allowed: By topic, the operations that Kafka says are allowed, a bit for each; topics
            that are not there are left out.
    """
    return [
        f"{right} on {topic.name}"
        for topic in topics.all
        for right, programs in (("Read", topic.read_by), ("Write", topic.written_by))
        if program in programs
        and topic.name in allowed
        and allowed[topic.name] != _NOT_TOLD
        and not allowed[topic.name] >> _RIGHTS[right] & 1
    ]


async def _allowed(client: AIOKafkaClient, names: list[str]) -> dict[str, int]:
    """By topic that is there, the operations allowed on it."""
    try:
        answer = await client.send(client.get_random_node(), _TopicsRequest(names))
    except NotImplementedError:
        return {}  # a Kafka before 2.3 has no such question
    allowed = {}
    for code, name, _, _, operations in answer.topics:
        error = for_code(code)
        if error is NoError:
            allowed[name] = operations
        elif error is TopicAuthorizationFailedError:
            allowed[name] = 0
    return allowed


async def _may_join(client: AIOKafkaClient, group: str) -> bool:
    try:
        await client.coordinator_lookup(CoordinationType.GROUP, group)
    except GroupAuthorizationFailedError:
        return False
    except KafkaError:
        return True  # it has no coordinator yet
    return True


# Metadata in version 8, which says what is allowed; aiokafka itself goes up to 5.


class _TopicsResponse(Response):  # type: ignore[misc]  # aiokafka has no types
    API_KEY = 3
    API_VERSION = 8
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            Array(
                ("node_id", Int32),
                ("host", String("utf-8")),
                ("port", Int32),
                ("rack", String("utf-8")),
            ),
        ),
        ("cluster_id", String("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            Array(
                ("error_code", Int16),
                ("name", String("utf-8")),
                ("is_internal", Boolean),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", Array(Int32)),
                        ("isr", Array(Int32)),
                        ("offline_replicas", Array(Int32)),
                    ),
                ),
                ("authorized_operations", Int32),
            ),
        ),
        ("cluster_authorized_operations", Int32),
    )


class _TopicsRequestStruct(RequestStruct):  # type: ignore[misc]  # the same
    API_KEY = 3
    API_VERSION = 8
    RESPONSE_TYPE = _TopicsResponse
    SCHEMA = Schema(
        ("topics", Array(String("utf-8"))),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
    )


class _TopicsRequest(Request[_TopicsRequestStruct]):  # type: ignore[misc]  # the same
    API_KEY = 3

    def __init__(self, names: list[str]) -> None:
        self._names = names

    def build(self, request_struct_class: type[_TopicsRequestStruct]) -> _TopicsRequestStruct:
        """The request, which makes no topic."""
        return request_struct_class(self._names, False, False, True)
