"""Gives held requests back to lookup once nothing holds them any more.

In three steps, so that a kill between any two loses nothing: the row goes from parked to
releasing, which fixes its next turn; the record is appended to `lookup.due`; the row goes
to pending, if nothing has changed it meanwhile. A releasing row that nobody is at work on
is appended again with the same turn, and lookup drops the one that comes second.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
from pydantic import TypeAdapter

from services.contracts.codec import encode
from services.contracts.messages import LookupRequest
from services.contracts.packages import Package
from services.contracts.turns import State, released
from services.results import request_table as table
from services.results.control import held_accounts
from services.results.rows import Change, Progress, moved
from services.runtime.database import UNAVAILABLE, Pool
from services.runtime.kafka import Publisher, partition_of
from services.runtime.logs import get_logger
from services.runtime.metrics import RESULTS_RELEASED, RESULTS_WRITE_ERRORS

log = get_logger(__name__)

PAGE = 500
#: A sweep happens at least this often, whatever woke nobody.
_PERIOD = 30.0
#: Changes that come together are swept together.
_GATHER = 0.2
_RETRY_AFTER = 0.5
#: Seconds after which a releasing row is nobody's: its process was killed.
_ABANDONED_AFTER = 60.0
_FIRST = UUID(int=0)
_FRESH_FOR: TypeAdapter[dict[Package, float]] = TypeAdapter(dict[Package, float])

COLUMNS = """request_id, job_id, source, account, phone, country, packages, reference, row_number,
       column_name, accepted_at, fresh_for::text AS fresh_for, state, generation, turn, attempts,
       failing_since, last_error, causes, kept, answers::text AS answers, due_at, parked_at,
       ended_at, extra"""

# What another process has locked is being changed: the next sweep sees what became of it.
_PARKED = f"""
SELECT {COLUMNS}
FROM requests
WHERE state = 'parked' AND request_id > $1 AND NOT causes && $2::text[]
  AND NOT account = ANY($3::text[])
  AND NOT ARRAY['job:' || job_id || ':person', 'job:' || job_id || ':configuration'] && $2::text[]
ORDER BY request_id
LIMIT $4
FOR UPDATE SKIP LOCKED"""  # noqa: S608 - the columns are this file's own

_RELEASING = f"""
SELECT {COLUMNS}
FROM requests
WHERE state = 'releasing' AND request_id > $1 AND updated_at <= now() - $2 * interval '1 second'
ORDER BY request_id
LIMIT $3"""  # noqa: S608 - the columns are this file's own

_PUT = """
UPDATE requests r
SET state = 'pending', updated_at = now()
FROM unnest($1::uuid[], $2::int[], $3::int[]) AS put (request_id, generation, turn)
WHERE r.request_id = put.request_id AND r.state = 'releasing'
  AND r.generation = put.generation AND r.turn = put.turn
RETURNING r.request_id"""


@dataclass(frozen=True, slots=True)
class Release:
    """A request on its way back to lookup, and its row."""

    request: LookupRequest
    progress: Progress


class Releaser:
    """Sweeps over the parked rows whenever something that held any is gone."""

    def __init__(
        self,
        *,
        pool: Pool,
        publisher: Publisher,
        topic: str,
        partitions: int,
        held: Callable[[], frozenset[str]],
    ) -> None:
        """Take what is held now from `held()`; append to `topic`, by key over `partitions`."""
        self._pool = pool
        self._publisher = publisher
        self._topic = topic
        self._partitions = partitions
        self._held = held
        self._wanted = asyncio.Event()

    def wake(self) -> None:
        """Something may be released: sweep soon."""
        self._wanted.set()

    def on_parked(self, waits: Collection[frozenset[str]]) -> None:
        """Requests were parked; sweep if what one of them waits for is gone already."""
        held = self._held()
        if any(not causes & held for causes in waits):
            self.wake()

    async def run(self) -> None:
        """Release until cancelled.

        Raises:
            ProduceError: Kafka finally refuses a record.
        """
        abandoned_after = 0.0
        while True:
            try:
                await self.append_again(abandoned_after)
                abandoned_after = _ABANDONED_AFTER
                await self.sweep()
            except UNAVAILABLE as error:
                RESULTS_WRITE_ERRORS.inc()
                log.warning("release waits for postgresql", reason=type(error).__name__)
                await asyncio.sleep(_RETRY_AFTER)
                continue
            try:
                async with asyncio.timeout(_PERIOD):
                    await self._wanted.wait()
            except TimeoutError:
                continue
            await asyncio.sleep(_GATHER)
            self._wanted.clear()

    async def sweep(self) -> int:
        """Release everything that nothing holds; returns how many requests."""
        count, after = 0, _FIRST
        while True:
            page = await self.begin(after)
            if not page:
                break
            await self.append(page)
            await self.finish(page)
            count += len(page)
            after = page[-1].request.request_id
        if count:
            log.info("released", requests=count)
        return count

    async def append_again(self, abandoned_after: float) -> int:
        """Append releasing rows left behind by a kill, with their same turn.

        Args:
            abandoned_after: Only rows untouched for so many seconds.
        """
        count, after = 0, _FIRST
        while True:
            found = await self._pool.fetch(_RELEASING, after, abandoned_after, PAGE)
            page = [_release(record) for record in found]
            if not page:
                break
            await self.append(page)
            await self.finish(page)
            count += len(page)
            after = page[-1].request.request_id
        if count:
            log.info("released again after a stop between two steps", requests=count)
        return count

    async def begin(self, after: UUID = _FIRST) -> list[Release]:
        """The first step, for a page of parked rows: they are releasing, in their next turn."""
        held = self._held()
        now = datetime.now(UTC)
        async with self._pool.acquire() as connection, connection.transaction():
            found = await connection.fetch(
                _PARKED, after, sorted(held), sorted(held_accounts(held)), PAGE
            )
            page = []
            changed: dict[UUID, Progress] = {}
            history: list[Change] = []
            counts: Counter[tuple[UUID, str]] = Counter()
            for record in found:
                request_id = record["request_id"]
                before = table.progress_of(record)
                progress = release(before, now)
                changed[request_id] = progress
                history.append(Change(request_id, None, now, before.row.state, progress))
                moved(counts, progress.job_id, before.row.state, progress.row.state)
                page.append(Release(request_of(record, progress), progress))
            await table.update(connection, changed)
            await table.add_history(connection, history)
            await table.add_counts(connection, counts)
        return page

    async def append(self, page: Sequence[Release]) -> None:
        """The second step: put them before lookup, acknowledged.

        Raises:
            ProduceError: Kafka finally refuses one.
        """
        await asyncio.gather(*(self._append(item.request) for item in page))
        RESULTS_RELEASED.inc(len(page))

    async def finish(self, page: Sequence[Release]) -> None:
        """The third step: they are pending, but for those that something changed since."""
        now = datetime.now(UTC)
        steps = {item.request.request_id: item.progress for item in page}
        values = sorted((key, p.row.generation, p.row.turn) for key, p in steps.items())
        async with self._pool.acquire() as connection, connection.transaction():
            put = await connection.fetch(_PUT, *table.columns(values))
            history: list[Change] = []
            counts: Counter[tuple[UUID, str]] = Counter()
            for record in put:
                before = steps[record["request_id"]]
                after = replace(before, row=replace(before.row, state=State.PENDING))
                history.append(Change(record["request_id"], None, now, before.row.state, after))
                moved(counts, after.job_id, before.row.state, after.row.state)
            await table.add_history(connection, history)
            await table.add_counts(connection, counts)

    async def _append(self, request: LookupRequest) -> None:
        key = request.phone.encode()
        await self._publisher.publish(
            self._topic, encode(request), key=key, partition=partition_of(key, self._partitions)
        )


def release(parked: Progress, now: datetime) -> Progress:
    """A parked request on its way back; the age of its failures leaves out the time parked.

    Raises:
        ValueError: It is not parked.
    """
    row = released(parked.row)
    if row is None:
        raise ValueError(f"a request that is {parked.row.state} cannot be released")
    since = parked.failing_since
    if since is not None and parked.parked_at is not None:
        since += max(now - parked.parked_at, timedelta())
    return replace(parked, row=row, failing_since=since, parked_at=None)


def request_of(record: asyncpg.Record, progress: Progress) -> LookupRequest:
    """The request as it stands before lookup, from its row."""
    return LookupRequest(
        request_id=record["request_id"],
        job_id=record["job_id"],
        source=record["source"],
        account=record["account"],
        phone=record["phone"],
        country=record["country"],
        packages=tuple(Package(package) for package in record["packages"]),
        reference=record["reference"],
        row=record["row_number"],
        column=record["column_name"],
        accepted_at=record["accepted_at"],
        fresh_for=_FRESH_FOR.validate_json(record["fresh_for"]),
        extra=table.read_extra(record["extra"]),
        generation=progress.row.generation,
        turn=progress.row.turn,
        attempts=progress.attempts,
        failing_since=progress.failing_since,
        last_error=progress.last_error,
        answers=progress.row.answers,
    )


def _release(record: asyncpg.Record) -> Release:
    progress = table.progress_of(record)
    return Release(request_of(record, progress), progress)
