"""Reads what `services.cli.books` judges by, and puts before lookup again what is missing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

import asyncpg
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from services.cli import database
from services.cli.books import Flow, JobBooks, Request, Unfinished, Where, by_partition, judge
from services.cli.exits import SETTINGS, UNAVAILABLE, CommandError
from services.cli.logs import quiet_logs
from services.cli.unread import RESULTS, Logs, Places, committed, ends, unread
from services.contracts.codec import encode
from services.contracts.messages import LookupRequest
from services.contracts.turns import UNFINISHED, State
from services.results import request_table
from services.results.release import COLUMNS, request_of
from services.runtime.kafka import Publisher, make_admin, partition_of
from services.runtime.kafka_topics import partitions_on_kafka
from services.runtime.settings import ProgramSettings, SettingsError, load_settings

_PAGE = 500
#: For Kafka to say how far everything is.
_SECONDS = 60

_JOBS = """
SELECT j.job_id, coalesce(j.file_name, j.source) AS name, j.state, j.accepted, j.rejected,
    (SELECT coalesce(jsonb_object_agg(state, n), '{}') FROM job_counts c
        WHERE c.job_id = j.job_id AND n <> 0) AS counters,
    (SELECT coalesce(jsonb_object_agg(state, n), '{}') FROM
        (SELECT state, count(*) AS n FROM requests r WHERE r.job_id = j.job_id GROUP BY state
         UNION ALL
         SELECT 'rejected', count(*) FROM rejected r WHERE r.job_id = j.job_id HAVING count(*) > 0)
        AS by_state) AS rows
FROM jobs j
WHERE $1::uuid IS NULL OR j.job_id = $1
ORDER BY j.created_at"""

_UNFINISHED = """
SELECT request_id, phone, state, causes, due_at, updated_at
FROM requests
WHERE state = ANY($1) AND ($2::uuid IS NULL OR job_id = $2)"""

_WHOLE = f"SELECT {COLUMNS} FROM requests WHERE request_id = ANY($1)"  # noqa: S608 - columns of ours


@dataclass(slots=True)
class Report:
    """What was found."""

    jobs: list[JobBooks] = field(default_factory=list)
    unfinished: Unfinished = field(default_factory=Unfinished)
    #: By program, over all topics it reads.
    unread: Mapping[str, int] = field(default_factory=dict)
    republished: int = 0

    @property
    def read_whole(self) -> bool:
        """Whether results has read everything there is."""
        return not self.unread.get(RESULTS)

    def faults(self) -> dict[UUID, list[str]]:
        """What does not add up, by job."""
        found = {job.job_id: job.faults(read_whole=self.read_whole) for job in self.jobs}
        return {job_id: faults for job_id, faults in found.items() if faults}

    @property
    def well(self) -> bool:
        """Whether nobody has to act, on what was left as it is."""
        return not self.faults() and self.unfinished.wrong <= self.republished


async def reconcile(job_id: UUID | None, *, republish: bool) -> Report:
    """Add up one job or all, and find what carries on each request without an end.

    Args:
        job_id: One job, or all.
        republish: Put before lookup again, in the same turn, what nothing carries on.

    Raises:
        CommandError: A part cannot be reached, or there is no such job; says the way out.
    """
    try:
        settings = load_settings(ProgramSettings)
        with quiet_logs():
            return await _reconcile(settings, job_id, republish=republish)
    except SettingsError as error:
        raise CommandError(str(error), SETTINGS) from error
    except (KafkaError, TimeoutError) as error:
        raise CommandError(
            f"Kafka does not answer ({type(error).__name__}: {error}). Check the KAFKA_ settings, "
            "that their user may describe topics and groups and, with --republish, write to "
            "lookup.due; then run it again: what is put before lookup twice is looked up once.",
            UNAVAILABLE,
        ) from error


async def _reconcile(settings: ProgramSettings, job_id: UUID | None, *, republish: bool) -> Report:
    # In this order, so that what a program has finished stands in the logs, and what stood in
    # the logs is in PostgreSQL, or known to be unread.
    async with database.snapshot() as connection:
        since: datetime = await connection.fetchval("SELECT now()")
    async with asyncio.timeout(_SECONDS):
        partitions, places, logs = await _read_kafka(settings)
    async with database.snapshot() as connection:
        stored = await database.offsets_of(connection)
        places[RESULTS] = {TopicPartition(*place): offset for place, offset in stored.items()}
        behind = {name: unread(settings, name, known, logs) for name, known in places.items()}
        held = await connection.fetch("SELECT key FROM holds WHERE held")
        flow = Flow(by_partition(behind), frozenset(row["key"] for row in held), since)
        report = Report(
            jobs=[_books(row) for row in await connection.fetch(_JOBS, job_id)],
            unread={name: counts.total() for name, counts in behind.items()},
        )
        if job_id is not None and not report.jobs:
            raise CommandError(f"There is no job {job_id}; `bulk-lookup jobs` lists them.")
        count = partitions[settings.topics.contacts.name]
        missing: list[UUID] = []
        async for request in _requests(connection, job_id, count):
            where = judge(request, flow)
            report.unfinished.add(request, where, flow.held)
            if where is Where.MISSING and republish:
                missing.append(request.request_id)
        if missing:
            report.republished = await _put_again(settings, connection, missing, count)
    return report


async def _read_kafka(
    settings: ProgramSettings,
) -> tuple[dict[str, int], dict[str, Places], Logs]:
    """Partitions by topic, then the programs' places, then the logs' ends."""
    admin = make_admin(settings)
    await admin.start()
    try:
        partitions = await partitions_on_kafka(admin, settings.topics)
        places = await committed(admin, settings)
    finally:
        await admin.close()
    topics = [t for t in settings.topics.all if t.aligned or t is settings.topics.rejected]
    if absent := [topic.name for topic in topics if topic.name not in partitions]:
        raise CommandError(f"Kafka lacks the topics {', '.join(absent)}: is it the right one?")
    return partitions, places, await ends(settings, topics, partitions)


def _books(row: asyncpg.Record) -> JobBooks:
    sealed = (row["accepted"], row["rejected"]) if row["state"] == "sealed" else None
    counters, rows = json.loads(row["counters"]), json.loads(row["rows"])
    return JobBooks(row["job_id"], row["name"], sealed, counters, rows)


async def _requests(
    connection: asyncpg.Connection, job_id: UUID | None, partitions: int
) -> AsyncIterator[Request]:
    async for row in connection.cursor(_UNFINISHED, list(UNFINISHED), job_id, prefetch=_PAGE):
        yield Request(
            row["request_id"],
            partition_of(row["phone"].encode(), partitions),
            State(row["state"]),
            frozenset(row["causes"]),
            row["due_at"],
            row["updated_at"],
        )


async def _put_again(
    settings: ProgramSettings,
    connection: asyncpg.Connection,
    missing: list[UUID],
    partitions: int,
) -> int:
    """Append to `lookup.due`: what was pending in its turn, what was retrying in its next."""
    publisher = Publisher(settings)

    async def append(request: LookupRequest) -> None:
        key = request.phone.encode()
        await publisher.publish(
            settings.topics.due.name,
            encode(request),
            key=key,
            partition=partition_of(key, partitions),
        )

    await publisher.start()
    try:
        for start in range(0, len(missing), _PAGE):
            page = await connection.fetch(_WHOLE, missing[start : start + _PAGE])
            await asyncio.gather(*(append(_request(record)) for record in page))
    finally:
        await publisher.stop()
    return len(missing)


def _request(record: asyncpg.Record) -> LookupRequest:
    progress = request_table.progress_of(record)
    if progress.row.state is State.RETRYING:
        progress = replace(progress, row=replace(progress.row, turn=progress.row.turn + 1))
    return request_of(record, progress)
