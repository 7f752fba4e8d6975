"""Gives the aligned topics more partitions, which only this does.

The partition of a number follows from how many there are. So everything about it must have
come to its end before, and no program may run that still knows the old count.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from aiokafka.errors import KafkaError, for_code
from aiokafka.structs import TopicPartition

from services.cli import database
from services.cli.exits import SETTINGS, UNAVAILABLE, CommandError
from services.cli.logs import quiet_logs
from services.cli.unread import RESULTS, committed, ends, once_coordinated, unread
from services.contracts.topics import Topics
from services.runtime.kafka import make_admin
from services.runtime.kafka_topics import partitions_on_kafka
from services.runtime.metric_table import ALL as PROGRAMS
from services.runtime.settings import ProgramSettings, SettingsError, load_settings

_SECONDS = 60
_LOOK_AGAIN_AFTER = 0.2


@dataclass(frozen=True, slots=True)
class Stakes:
    """What a change of partitions would harm."""

    #: Processes that run, by program.
    running: Mapping[str, int] = field(default_factory=dict)
    #: Requests without an end, by state.
    unfinished: Mapping[str, int] = field(default_factory=dict)
    #: Records of aligned topics that were not read to their end, by program.
    unread: Mapping[str, int] = field(default_factory=dict)


def to_grow(topics: Topics, found: Mapping[str, int], wanted: int) -> dict[str, int]:
    """The aligned topics that have fewer partitions than wanted, with how many they have.

    Raises:
        CommandError: It cannot be reached; says why.
    """
    aligned = [topic.name for topic in topics.all if topic.aligned]
    if absent := [name for name in aligned if name not in found]:
        raise CommandError(
            f"Kafka lacks the topics {', '.join(absent)}: the programs make them at their start, "
            "with KAFKA_PARTITIONS partitions."
        )
    if larger := [f"{name} has {found[name]}" for name in aligned if found[name] > wanted]:
        raise CommandError(
            f"Kafka cannot take partitions away, and {', '.join(larger)}: name at least "
            f"{max(found[name] for name in aligned)}."
        )
    return {name: found[name] for name in aligned if found[name] < wanted}


def refuse(stakes: Stakes) -> None:
    """Return if nothing is at stake.

    Raises:
        CommandError: Something is; says all of it, each with the way out.
    """
    reasons = []
    if stakes.running:
        reasons.append(
            f"programs are running ({_listed(stakes.running)}): stop all of them; one that was "
            "killed counts until KAFKA_SESSION_TIMEOUT is over"
        )
    if stakes.unfinished:
        reasons.append(
            f"contacts have no end yet ({_listed(stakes.unfinished)}): let them finish, without "
            "ingest; what is parked goes on with `bulk-lookup accounts resume` or "
            "`bulk-lookup job resume`"
        )
    if stakes.unread:
        reasons.append(
            f"records are not read yet ({_listed(stakes.unread)}): start these programs, without "
            "ingest, until lookup_consumer_lag_records is 0"
        )
    if reasons:
        raise CommandError("Nothing was changed: " + ";\n".join(reasons) + ".")


async def resize(wanted: int) -> dict[str, int]:
    """Give each aligned topic so many partitions; what they had before, of those that grew.

    Broken off half-way, it goes on when it is run again.

    Raises:
        CommandError: It is refused, or a part of it cannot be reached; says the way out.
    """
    try:
        settings = load_settings(ProgramSettings)
        with quiet_logs():
            async with asyncio.timeout(_SECONDS):
                return await _resize(settings, wanted)
    except SettingsError as error:
        raise CommandError(str(error), SETTINGS) from error
    except (KafkaError, OSError) as error:
        raise CommandError(
            f"Kafka did not do it ({type(error).__name__}: {error}). Check the KAFKA_ settings and "
            "that their user may describe topics and groups, and alter topics; then run it again. "
            "Topics that grew already stay so, and no program starts while they differ.",
            UNAVAILABLE,
        ) from error


async def _resize(settings: ProgramSettings, wanted: int) -> dict[str, int]:
    topics = settings.topics
    admin = make_admin(settings)
    await admin.start()
    try:
        found = await partitions_on_kafka(admin, topics)
        growing = to_grow(topics, found, wanted)
        if growing:
            refuse(await _stakes(settings, admin, found))
            await admin.create_partitions({name: NewPartitions(wanted) for name in growing})
        while to_grow(  # noqa: ASYNC110 - nothing tells us
            topics, await partitions_on_kafka(admin, topics), wanted
        ):
            await asyncio.sleep(_LOOK_AGAIN_AFTER)
        return growing
    finally:
        await admin.close()


async def _stakes(
    settings: ProgramSettings, admin: AIOKafkaAdminClient, partitions: Mapping[str, int]
) -> Stakes:
    # Who runs comes first, and the logs' ends last: what moves in between is seen as at stake.
    running = await _running(admin, settings)
    stored = await database.stored()
    places = await committed(admin, settings)
    places[RESULTS] = {TopicPartition(*place): offset for place, offset in stored.offsets.items()}
    aligned = (topic for topic in settings.topics.all if topic.aligned)
    logs = await ends(settings, aligned, partitions)
    behind = {
        program: unread(settings, program, known, logs).total() for program, known in places.items()
    }
    return Stakes(running, stored.unfinished, {name: n for name, n in behind.items() if n})


async def _running(admin: AIOKafkaAdminClient, settings: ProgramSettings) -> dict[str, int]:
    """Members of the programs' groups."""
    found = {
        program: await once_coordinated(partial(_members, admin, settings.group(program)))
        for program in PROGRAMS
    }
    return {program: members for program, members in found.items() if members}


async def _members(admin: AIOKafkaAdminClient, group: str) -> int:
    """How many processes a group has.

    Raises:
        KafkaError: Kafka does not tell.
    """
    # One at a time: aiokafka 0.14 reads the second of several at a wrong place.
    (answer,) = await admin.describe_consumer_groups([group])
    ((code, _group, _state, _kind, _protocol, members, *_),) = answer.groups
    if code:
        raise for_code(code)(group)
    return len(members)


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name}: {count:,}" for name, count in sorted(counts.items()))
