"""Stores a batch of records and the consumer's own place in one transaction (exactly once).

The place moves by compare-and-set: whoever started from another one stores nothing. So a
batch that is read twice, by one process or two, counts once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from uuid import UUID, uuid5

import asyncpg

from services.contracts.messages import Contact, RejectedContact
from services.results import request_table as table
from services.results.records import Letter, Taken
from services.results.rows import AnswerKey, Folded, Place, Progress, Sighting, fold
from services.runtime.database import Pool

#: A topic and a partition's number; aiokafka's TopicPartition is one.
Partition = tuple[str, int]
_UNDECODABLE = "undecodable"
_NAMESPACE = UUID("7d0a6a54-1c7e-5c52-8f0b-52f1f8a0c3d9")
#: What a value raises that PostgreSQL, or the way to it, does not take. Trouble with the
#: connection is never among these: no record may be blamed for that.
_OF_THE_RECORDS = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    ValueError,
    ArithmeticError,
)

_PLACES = """
SELECT topic, partition, next_offset
FROM stored_offsets
JOIN unnest($1::text[], $2::int[]) AS mine (topic, partition) USING (topic, partition)"""

_BEGIN = """
INSERT INTO stored_offsets (topic, partition, next_offset)
SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[])
ON CONFLICT (topic, partition) DO NOTHING"""

_MOVE = """
UPDATE stored_offsets s
SET next_offset = m.next
FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[])
    AS m (topic, partition, expected, next)
WHERE s.topic = m.topic AND s.partition = m.partition AND s.next_offset = m.expected
RETURNING 1"""

_ADD_JOBS = """
INSERT INTO jobs (job_id, source, state, account, packages)
SELECT job_id, source, 'standing', account, packages::text[]
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[])
    AS new (job_id, source, account, packages)
ON CONFLICT (job_id) DO NOTHING"""

_ADD_ANSWERS = """
INSERT INTO answers (account, phone, package, looked_up_at, answer, request_id)
SELECT account, phone, package, looked_up_at, answer::jsonb, request_id
FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::uuid[])
    AS new (account, phone, package, looked_up_at, answer, request_id)
ON CONFLICT (account, phone, package) DO UPDATE
SET looked_up_at = EXCLUDED.looked_up_at, answer = EXCLUDED.answer,
    request_id = EXCLUDED.request_id
WHERE answers.looked_up_at < EXCLUDED.looked_up_at
RETURNING looked_up_at"""

_ADD_REJECTED = """
INSERT INTO rejected (rejection_id, job_id, row_number, column_name, reason, masked_text,
    rejected_at, cells, cut)
SELECT rejection_id, job_id, row_number, column_name, reason, masked_text, rejected_at,
    cells::text[], cut
FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::text[],
    $7::timestamptz[], $8::text[], $9::boolean[])
    AS new (rejection_id, job_id, row_number, column_name, reason, masked_text, rejected_at,
        cells, cut)
ON CONFLICT (rejection_id) DO NOTHING
RETURNING job_id"""

_ADD_LETTERS = """
INSERT INTO dead_letters (topic, partition, "offset", dead_letter_id, reason, detail,
    original_topic, original_partition, original_offset, job_id, request_id, account, attempts,
    first_failed_at, last_failed_at, recorded_at, value)
SELECT *
FROM unnest($1::text[], $2::int[], $3::bigint[], $4::uuid[], $5::text[], $6::text[], $7::text[],
    $8::int[], $9::bigint[], $10::uuid[], $11::uuid[], $12::text[], $13::int[],
    $14::timestamptz[], $15::timestamptz[], $16::timestamptz[], $17::bytea[])
ON CONFLICT (dead_letter_id) DO NOTHING"""


class StalePlaceError(Exception):
    """Somebody else has stored records of these partitions; nothing was stored now."""


class UnstorableError(Exception):
    """A record of the batch is at fault, or our own code is on it; its cause says how."""


@dataclass(frozen=True, slots=True)
class Move:
    """A partition's place before and after a batch."""

    expected: int
    next: int


class Store:
    """The one place where results writes what it has read."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def places(self, starts: Mapping[Partition, int]) -> dict[Partition, int]:
        """The next offset to read of each partition, stored now where none was.

        Args:
            starts: The log's start, by partition: where one begins that was never read. It is
                stored so that whoever waits for results sees it has nothing to wait for.
        """
        order = sorted(starts)
        topics = [topic for topic, _ in order]
        partitions = [partition for _, partition in order]
        async with self._pool.acquire() as connection:
            await connection.execute(_BEGIN, topics, partitions, [starts[tp] for tp in order])
            found = await connection.fetch(_PLACES, topics, partitions)
        return {(row["topic"], row["partition"]): row["next_offset"] for row in found}

    async def write(self, taken: Sequence[Taken], moves: Mapping[Partition, Move]) -> Folded:
        """Store a batch; returns what it changed.

        Two processes may hold different topics of one partition, and so meet at a request.
        One that is there is locked before it is read. One that is new to both is inserted
        by one of them; the other waits in its insert, finds that it added nothing, locks
        the row that is there now, and decides again from it.

        Args:
            taken: The records in the order read.
            moves: How far they go in each of their partitions.

        Raises:
            StalePlaceError: A partition is not where `moves` expects it.
            UnstorableError: One of the records cannot be stored, whenever it is tried.
        """
        sightings = _sightings(taken)
        ids = {seen.contact.request_id for _, seen in sightings}
        try:
            async with (
                self._pool.acquire() as connection,
                connection.transaction(isolation="read_committed"),
            ):
                await _move(connection, moves)
                stored = await table.lock(connection, ids) if ids else {}
                folded = _fold(stored, sightings)
                added = await table.insert(connection, folded.new)
                if met := folded.new.keys() - added:
                    # What was added above stays new: it was not among the stored ones.
                    stored |= await table.lock(connection, met)
                    folded = _fold(stored, sightings)
                await table.update(connection, folded.changed)
                await table.add_history(connection, folded.history)
                await _add_jobs(connection, [contact for contact, _ in folded.new.values()])
                folded.answered = await _add_answers(connection, folded)
                await _add_letters(connection, taken)
                for job_id in await _add_rejected(connection, taken):
                    folded.counts[job_id, "rejected"] += 1
                await table.add_counts(connection, folded.counts)
        except _OF_THE_RECORDS as error:
            raise UnstorableError from error
        return folded


def _sightings(taken: Sequence[Taken]) -> list[tuple[Place, Sighting]]:
    try:
        return [(t.place, seen) for t in taken if (seen := t.sighting) is not None]
    except Exception as error:
        raise UnstorableError from error


def _fold(stored: Mapping[UUID, Progress], sightings: Sequence[tuple[Place, Sighting]]) -> Folded:
    try:
        return fold(stored, sightings)
    except Exception as error:
        raise UnstorableError from error


async def _move(connection: table.Connection, moves: Mapping[Partition, Move]) -> None:
    values = [
        (topic, partition, move.expected, move.next)
        for (topic, partition), move in sorted(moves.items())
    ]
    moved = await connection.fetch(_MOVE, *table.columns(values))
    if len(moved) != len(values):
        raise StalePlaceError


async def _add_jobs(connection: table.Connection, contacts: list[Contact]) -> None:
    """Jobs of uploads are there before their contacts: what is missing has no upload."""
    jobs: dict[UUID, tuple[UUID, str, str, str]] = {
        c.job_id: (c.job_id, c.source, c.account, table.array_text(c.packages)) for c in contacts
    }
    if jobs:
        await connection.execute(_ADD_JOBS, *table.columns([jobs[key] for key in sorted(jobs)]))


async def _add_answers(connection: table.Connection, folded: Folded) -> list[datetime]:
    """Returns when those were looked up that are new."""

    def key(item: AnswerKey) -> tuple[str, str, str]:
        return item

    values = [
        (*found, answer.looked_up_at, answer.model_dump_json(), request_id)
        for found in sorted(folded.answers, key=key)
        for answer, request_id in (folded.answers[found],)
    ]
    if not values:
        return []
    added = await connection.fetch(_ADD_ANSWERS, *table.columns(values))
    return [row["looked_up_at"] for row in added]


async def _add_rejected(connection: table.Connection, taken: Sequence[Taken]) -> list[UUID]:
    """Returns the job of each row that was not there."""
    found = {t.said.rejection_id: t.said for t in taken if isinstance(t.said, RejectedContact)}
    if not found:
        return []
    values = [
        (
            r.rejection_id,
            r.job_id,
            r.row,
            r.column,
            r.reason,
            r.text,
            r.rejected_at,
            None if r.cells is None else table.array_text(r.cells),
            r.cut,
        )
        for _, r in sorted(found.items())
    ]
    added = await connection.fetch(_ADD_REJECTED, *table.columns(values))
    return [row["job_id"] for row in added]


async def _add_letters(connection: table.Connection, taken: Sequence[Taken]) -> None:
    values = [
        (p.topic, p.partition, p.offset, *_letter(p, said), p.at, said.value)
        for t in taken
        if isinstance(said := t.said, Letter)
        for p in (t.place,)
    ]
    if values:
        await connection.execute(_ADD_LETTERS, *table.columns(values))


def _letter(place: Place, said: Letter) -> tuple[object, ...]:
    letter = said.letter
    if letter is None:
        return (_id_of_unreadable(place, said.value), _UNDECODABLE, said.detail, *([None] * 9))
    request = letter.request
    return (
        letter.dead_letter_id,
        letter.reason,
        letter.detail,
        letter.original_topic,
        letter.original_partition,
        letter.original_offset,
        request.job_id if request else None,
        request.request_id if request else None,
        request.account if request else None,
        letter.attempts,
        letter.first_failed_at,
        letter.last_failed_at,
    )


def _id_of_unreadable(place: Place, value: bytes | None) -> UUID:
    """The place alone would not do: a topic that is made anew has it again."""
    where = f"{place.topic}/{place.partition}/{place.offset}/{place.at}"
    return uuid5(_NAMESPACE, f"{where}/{sha256(value or b'').hexdigest()}")
