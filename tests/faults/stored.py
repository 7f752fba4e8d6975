"""What PostgreSQL holds: one of the four sources, read whole at the end and sampled in mid-run."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg

from services.contracts.packages import Answers
from services.contracts.turns import UNFINISHED
from services.results.request_table import read_answers
from services.runtime.database import UNAVAILABLE
from tests.background import Background

#: By job and state.
Counts = Mapping[tuple[UUID, str], int]

_EVERY = 0.2
#: What a connection raises that cannot be had, ends, or is refused something for now.
_AWAY = (*UNAVAILABLE, asyncpg.PostgresError)
_SNAPSHOT = """
SELECT 'rows' AS source, job_id, state, count(*) AS n FROM requests GROUP BY job_id, state
UNION ALL
SELECT 'counters', job_id, state, n FROM job_counts WHERE n <> 0 AND state <> 'rejected'"""


@dataclass(frozen=True, slots=True)
class Request:
    """A row of `requests`, as far as it is compared."""

    request_id: UUID
    job_id: UUID
    phone: str
    reference: str | None
    state: str
    generation: int
    turn: int
    answers: Answers


@dataclass(frozen=True, slots=True)
class Stored:
    """Everything of a run, as PostgreSQL has it in one snapshot."""

    requests: tuple[Request, ...] = ()
    counters: Counts = field(default_factory=dict)
    #: Rows that a sealed job has by its own account; None for one that is not sealed.
    accepted: Mapping[UUID, int | None] = field(default_factory=dict)
    #: The records that changed a request, as topic with prefix, partition and offset.
    history: tuple[tuple[str, int, int], ...] = ()
    #: Of each dead letter: the original's topic, partition and offset, and the reason.
    letters: tuple[tuple[str | None, int | None, int | None, str], ...] = ()
    #: The next offset to store, by topic with prefix and partition.
    offsets: Mapping[tuple[str, int], int] = field(default_factory=dict)


async def read_stored(url: str) -> Stored:
    """Read all of it in one snapshot."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            requests = await connection.fetch(
                "SELECT request_id, job_id, phone, reference, state, generation, turn,"
                " answers::text AS answers FROM requests"
            )
            counters = await connection.fetch(
                "SELECT job_id, state, n FROM job_counts WHERE n <> 0 AND state <> 'rejected'"
            )
            jobs = await connection.fetch("SELECT job_id, accepted FROM jobs")
            history = await connection.fetch(
                'SELECT topic, partition, "offset" FROM history WHERE topic IS NOT NULL'
            )
            letters = await connection.fetch(
                "SELECT original_topic, original_partition, original_offset, reason"
                " FROM dead_letters"
            )
            offsets = await read_offsets(connection)
    finally:
        await connection.close()
    return Stored(
        requests=tuple(
            Request(**{**dict(row), "answers": read_answers(row["answers"])}) for row in requests
        ),
        counters={(row["job_id"], row["state"]): row["n"] for row in counters},
        accepted={row["job_id"]: row["accepted"] for row in jobs},
        history=tuple((row["topic"], row["partition"], row["offset"]) for row in history),
        letters=tuple(tuple(row.values()) for row in letters),
        offsets=offsets,
    )


async def read_offsets(connection: asyncpg.Connection) -> dict[tuple[str, int], int]:
    """The next offset to store, by topic with prefix and partition."""
    rows = await connection.fetch("SELECT * FROM stored_offsets")
    return {(row["topic"], row["partition"]): row["next_offset"] for row in rows}


class Sampler(Background):
    """Reads totals and rows in one snapshot, over and over, while the context lasts.

    It goes on over every outage of PostgreSQL. `wrong` has what did not add up.
    """

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        #: Readings taken.
        self.readings = 0
        #: As last read.
        self.finished = 0
        self.by_state: Mapping[str, int] = {}
        self.wrong: list[str] = []

    async def _run(self) -> None:
        """Read again and again, over a new connection whenever one is lost."""
        while not self._ended.is_set():
            try:
                connection = await asyncpg.connect(self._url, timeout=2, command_timeout=5)
            except _AWAY:
                await asyncio.sleep(_EVERY)
                continue
            try:
                while not self._ended.is_set():
                    self._note(await connection.fetch(_SNAPSHOT))
                    await asyncio.sleep(_EVERY)
            except _AWAY:
                continue
            finally:
                connection.terminate()

    def _note(self, found: list[Any]) -> None:
        """Compare and keep one reading."""
        sources: dict[str, dict[tuple[UUID, str], int]] = {"rows": {}, "counters": {}}
        for row in found:
            sources[row["source"]][row["job_id"], row["state"]] = row["n"]
        if sources["rows"] != sources["counters"]:
            self.wrong.append(f"rows {sources['rows']}, counters {sources['counters']}")
        states: Counter[str] = Counter()
        for (_, state), n in sources["rows"].items():
            states[state] += n
        self.by_state = states
        self.finished = sum(n for state, n in states.items() if state not in UNFINISHED)
        self.readings += 1
