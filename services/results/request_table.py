"""The table `requests`, with its history and counters, inside a caller's transaction."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg
from pydantic import TypeAdapter

from services.contracts.messages import Contact
from services.contracts.packages import Answers
from services.contracts.turns import Row, State
from services.results.rows import Change, Progress

Connection = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy
_ANSWERS: TypeAdapter[Answers] = TypeAdapter(Answers)

_LOCK = """
SELECT request_id, job_id, state, generation, turn, attempts, failing_since, last_error, causes,
       kept, answers::text AS answers, due_at, parked_at, ended_at
FROM requests
WHERE request_id = ANY($1::uuid[])
ORDER BY request_id
FOR UPDATE"""

_INSERT = """
INSERT INTO requests (request_id, job_id, source, account, phone, country, packages, reference,
    row_number, column_name, accepted_at, fresh_for, state, generation, turn, attempts,
    failing_since, last_error, causes, kept, answers, due_at, parked_at, ended_at, extra)
SELECT request_id, job_id, source, account, phone, country, packages::text[], reference,
    row_number, column_name, accepted_at, fresh_for::jsonb, state, generation, turn, attempts,
    failing_since, last_error, causes::text[], kept, answers::jsonb, due_at, parked_at, ended_at,
    extra::json
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
        $8::text[], $9::bigint[], $10::text[], $11::timestamptz[], $12::text[], $13::text[],
        $14::int[], $15::int[], $16::int[], $17::timestamptz[], $18::text[], $19::text[],
        $20::text[], $21::text[], $22::timestamptz[], $23::timestamptz[], $24::timestamptz[],
        $25::text[])
    AS new (request_id, job_id, source, account, phone, country, packages, reference,
        row_number, column_name, accepted_at, fresh_for, state, generation, turn, attempts,
        failing_since, last_error, causes, kept, answers, due_at, parked_at, ended_at, extra)
ON CONFLICT (request_id) DO NOTHING
RETURNING request_id"""

_UPDATE = """
UPDATE requests r
SET state = n.state, generation = n.generation, turn = n.turn, attempts = n.attempts,
    failing_since = n.failing_since, last_error = n.last_error, causes = n.causes::text[],
    kept = n.kept, answers = n.answers::jsonb, due_at = n.due_at, parked_at = n.parked_at,
    ended_at = n.ended_at, updated_at = now()
FROM unnest($1::uuid[], $2::text[], $3::int[], $4::int[], $5::int[], $6::timestamptz[],
        $7::text[], $8::text[], $9::text[], $10::text[], $11::timestamptz[], $12::timestamptz[],
        $13::timestamptz[])
    AS n (request_id, state, generation, turn, attempts, failing_since, last_error, causes, kept,
        answers, due_at, parked_at, ended_at)
WHERE r.request_id = n.request_id"""

_ADD_HISTORY = """
INSERT INTO history (request_id, topic, partition, "offset", at, from_state, to_state, generation,
    turn, attempts, last_error)
SELECT *
FROM unnest($1::uuid[], $2::text[], $3::int[], $4::bigint[], $5::timestamptz[], $6::text[],
    $7::text[], $8::int[], $9::int[], $10::int[], $11::text[])"""

_ADD_COUNTS = """
INSERT INTO job_counts (job_id, state, n)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::bigint[])
ON CONFLICT (job_id, state) DO UPDATE SET n = job_counts.n + EXCLUDED.n"""


def progress_of(record: asyncpg.Record) -> Progress:
    """What a row of the table says of a request; `answers` as text."""
    return Progress(
        job_id=record["job_id"],
        row=Row(
            state=State(record["state"]),
            generation=record["generation"],
            turn=record["turn"],
            causes=frozenset(record["causes"]),
            answers=read_answers(record["answers"]),
            kept=State(record["kept"]) if record["kept"] is not None else None,
        ),
        attempts=record["attempts"],
        failing_since=record["failing_since"],
        last_error=record["last_error"],
        due_at=record["due_at"],
        parked_at=record["parked_at"],
        ended_at=record["ended_at"],
    )


def read_answers(text: str) -> Answers:
    """A row's answers, from its JSON."""
    return _ANSWERS.validate_json(text) if text != "{}" else {}


def read_extra(text: str | None) -> dict[str, str]:
    """A row's texts of the client's own, from their JSON, in their order."""
    return {} if text is None else json.loads(text)


async def lock(connection: Connection, request_ids: Collection[UUID]) -> dict[UUID, Progress]:
    """Those of the requests that are there, locked until the transaction ends."""
    found = await connection.fetch(_LOCK, list(request_ids))
    return {record["request_id"]: progress_of(record) for record in found}


async def insert(connection: Connection, new: Mapping[UUID, tuple[Contact, Progress]]) -> set[UUID]:
    """Add requests; returns those added, and leaves alone the ones that somebody else added."""
    if not new:
        return set()
    values = [
        (
            request_id,
            contact.job_id,
            contact.source,
            contact.account,
            contact.phone,
            contact.country,
            array_text(contact.packages),
            contact.reference,
            contact.row,
            contact.column,
            contact.accepted_at,
            contact.model_dump_json(include={"fresh_for"})[len('{"fresh_for":') : -1],
            *_changing(progress),
            json.dumps(contact.extra, ensure_ascii=False) if contact.extra else None,
        )
        for request_id, (contact, progress) in sorted(new.items())
    ]
    added = await connection.fetch(_INSERT, *columns(values))
    return {record["request_id"] for record in added}


async def update(connection: Connection, changed: Mapping[UUID, Progress]) -> None:
    """Write requests that this transaction has locked."""
    if changed:
        values = [(request_id, *_changing(progress)) for request_id, progress in changed.items()]
        await connection.execute(_UPDATE, *columns(values))


async def add_history(connection: Connection, changes: Iterable[Change]) -> None:
    """Add lines to the requests' history."""
    values = [
        (
            change.request_id,
            change.place.topic if change.place else None,
            change.place.partition if change.place else None,
            change.place.offset if change.place else None,
            change.at,
            change.from_state,
            change.after.row.state,
            change.after.row.generation,
            change.after.row.turn,
            change.after.attempts,
            change.after.last_error,
        )
        for change in changes
    ]
    if values:
        await connection.execute(_ADD_HISTORY, *columns(values))


async def add_counts(connection: Connection, counts: Mapping[tuple[UUID, str], int]) -> None:
    """Move the counters; last in a transaction, since all processes meet here."""
    values = sorted((job_id, str(state), step) for (job_id, state), step in counts.items())
    if values:
        await connection.execute(_ADD_COUNTS, *columns(values))


def columns(values: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    """Rows turned into one array per column, as `unnest` takes them."""
    return [list(column) for column in zip(*values, strict=True)]


def array_text(items: Iterable[str]) -> str:
    r"""A `text[]` as PostgreSQL writes it, since `unnest` takes no arrays of arrays.

    >>> array_text(["a", 'say "b"'])
    '{"a","say \\\\"b\\\\""}'
    """
    quoted = (item.replace("\\", "\\\\").replace('"', '\\"') for item in items)
    return "{" + ",".join(f'"{item}"' for item in quoted) + "}"


def _changing(progress: Progress) -> tuple[Any, ...]:
    row = progress.row
    return (
        row.state,
        row.generation,
        row.turn,
        progress.attempts,
        progress.failing_since,
        progress.last_error,
        array_text(sorted(row.causes)),
        row.kept,
        _ANSWERS.dump_json(row.answers).decode() if row.answers else "{}",
        progress.due_at,
        progress.parked_at,
        progress.ended_at,
    )
