"""The rows of `jobs`: all that ingest says to PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from services.contracts.packages import Package
from services.runtime.database import UNAVAILABLE, Pool

#: Seconds a statement may take while a sender waits for it.
_WITHIN = 5.0

_STORED = """fingerprint, options->>'content_sha256' AS content_sha256, options->'found' AS found,
    created_at, state, accepted, rejected, duplicates"""
_FIND = f"SELECT {_STORED} FROM jobs WHERE job_id = $1 AND fingerprint IS NOT NULL"  # noqa: S608 - columns of ours
# Gives no row for a job that was begun before.
_BEGIN = f"""
INSERT INTO jobs (job_id, source, state, idempotency_key, fingerprint, file_name, account,
    packages, options, headings)
VALUES ($1, $2, 'receiving', $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (job_id) DO UPDATE
SET state = EXCLUDED.state, idempotency_key = EXCLUDED.idempotency_key,
    fingerprint = EXCLUDED.fingerprint, file_name = EXCLUDED.file_name,
    options = EXCLUDED.options, headings = EXCLUDED.headings
WHERE jobs.fingerprint IS NULL
RETURNING {_STORED}"""  # noqa: S608 - the same


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of a file's rows; `duplicates` are accepted ones that were there before."""

    accepted: int
    rejected: int
    duplicates: int


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job as it is asked for."""

    job_id: UUID
    source: str
    idempotency_key: str | None
    #: `ids.content_key` of content and options.
    fingerprint: str
    #: SHA-256 of the file alone.
    content_sha256: str
    file_name: str | None
    account: str
    packages: tuple[Package, ...]
    #: All that was asked for besides the content, as JSON.
    options: dict[str, Any]


@dataclass(frozen=True, slots=True)
class StoredJob:
    """A job as it is stored; `counts` are there once it is sealed."""

    fingerprint: str
    content_sha256: str
    created_at: datetime
    counts: Counts | None
    #: What was found in the file, as JSON; the first versions did not store it.
    found: dict[str, Any] | None = None


class Jobs:
    """Jobs sent over HTTP. Every method raises one of `UNAVAILABLE` without PostgreSQL."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def find(self, job_id: UUID) -> StoredJob | None:
        """The job, if it was ever begun.

        A row without a fingerprint was made by results of the job's contacts alone, after
        PostgreSQL was restored from before its beginning: then it is begun once more.
        """
        row = await self._pool.fetchrow(_FIND, job_id, timeout=_WITHIN)
        return None if row is None else _stored(row)

    @asynccontextmanager
    async def held(self, job_id: UUID) -> AsyncIterator[bool]:
        """Hold the job against other processes; yields whether nobody else holds it.

        A connection that breaks lets go of it early, which costs work and nothing else:
        whoever publishes a job makes the same records.
        """
        key = int.from_bytes(job_id.bytes[:8], "big", signed=True)
        connection = await self._pool.acquire(timeout=_WITHIN)
        try:
            yield await connection.fetchval("SELECT pg_try_advisory_lock($1)", key, timeout=_WITHIN)
        finally:
            # Resets the connection, and so lets go.
            with suppress(*UNAVAILABLE):
                await self._pool.release(connection)

    async def begin(self, job: NewJob, found: dict[str, Any], headings: list[str]) -> StoredJob:
        """Store the job as `receiving` if it is not there yet; gives what is there now.

        `found` is what was found in its file, as JSON; `headings` are those of all its columns.
        """
        begun = await self._pool.fetchrow(
            _BEGIN,
            job.job_id,
            job.source,
            job.idempotency_key,
            job.fingerprint,
            job.file_name,
            job.account,
            list(job.packages),
            {**job.options, "content_sha256": job.content_sha256, "found": found},
            headings,
            timeout=_WITHIN,
        )
        stored = await self.find(job.job_id) if begun is None else _stored(begun)
        if stored is None:
            raise LookupError(f"job {job.job_id} is gone after it was stored")
        return stored

    async def seal(self, job_id: UUID, counts: Counts) -> None:
        """Store that all of the job's records are in Kafka, and how many there are."""
        await self._pool.execute(
            "UPDATE jobs SET state = 'sealed', sealed_at = now(), accepted = $2, rejected = $3, "
            "duplicates = $4 WHERE job_id = $1 AND state = 'receiving'",
            job_id,
            counts.accepted,
            counts.rejected,
            counts.duplicates,
            timeout=_WITHIN,
        )


def _stored(row: asyncpg.Record) -> StoredJob:
    sealed = row["state"] == "sealed"
    return StoredJob(
        fingerprint=row["fingerprint"],
        content_sha256=row["content_sha256"],
        created_at=row["created_at"],
        counts=Counts(row["accepted"], row["rejected"], row["duplicates"]) if sealed else None,
        found=row["found"],
    )
