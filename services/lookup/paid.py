"""What PostgreSQL knows before a call is paid, and how far behind Kafka it is.

One statement is out at a time, for all records that wait: their rows, the fresh answers
for their numbers, and, from the same snapshot, results' stored offsets. By those very
offsets the barrier and the memory are judged. Without PostgreSQL everything waits: no call
is ever made blindly. This is the only file of lookup that touches the database.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter, ValidationError

from services.contracts.messages import LookupRequest
from services.contracts.packages import Answer, Answers, Package
from services.contracts.turns import Row, State
from services.lookup.memory import Offsets
from services.runtime.database import UNAVAILABLE, Pool
from services.runtime.health import Readiness
from services.runtime.logs import get_logger
from services.runtime.metrics import PAID_CHECK_DURATION

log = get_logger(__name__)

_PACKAGES = frozenset(Package)
_ANSWERS: TypeAdapter[Answers] = TypeAdapter(dict[Package, Answer])
#: Records asked about in one statement.
MAX_BATCH = 500
#: How often offsets are asked for when no record waits, but a barrier or the memory does.
POLL_SECONDS = 0.1
#: Before each statement, so that it asks for many: a call takes far longer than this.
_GATHER_SECONDS = 0.01
_RETRY_AFTER = 0.5
_NOBODY = (UUID(int=0), "", "")

_STATEMENT = """
SELECT r.state, r.generation, r.turn, r.causes, r.kept, r.answers::text AS answers,
    (SELECT json_object_agg(k.package, k.answer)::text FROM answers k
        WHERE k.account = a.account AND k.phone = a.phone) AS known,
    CASE WHEN a.n = 1 THEN
        (SELECT json_agg(json_build_array(s.topic, s.partition, s.next_offset))::text
            FROM stored_offsets s WHERE s.topic = ANY($4))
    END AS offsets
FROM unnest($1::uuid[], $2::text[], $3::text[]) WITH ORDINALITY
    AS a(request_id, account, phone, n)
LEFT JOIN requests r ON r.request_id = a.request_id
ORDER BY a.n
"""


class UnreadableRowError(Exception):
    """What PostgreSQL holds of one request cannot be read by this release."""


@dataclass(frozen=True, slots=True)
class Known:
    """What PostgreSQL knew of a request and its number."""

    row: Row | None
    #: The newest final answers of the number for the account.
    answers: Answers


@dataclass(slots=True)
class _Asked:
    request: LookupRequest
    future: asyncio.Future[Known]


class PaidCheck:
    """The one question to PostgreSQL, asked for everyone who waits."""

    def __init__(
        self,
        pool: Pool,
        outcome_topics: list[str],
        *,
        readiness: Readiness,
        on_offsets: Callable[[Offsets], None],
        offsets_wanted: Callable[[], bool],
    ) -> None:
        """Ask with `pool`.

        Args:
            pool: Connections as lookup's role.
            outcome_topics: The topics whose stored offsets are read along.
            readiness: Loses and regains `postgresql`.
            on_offsets: Told of every reply's offsets, before its records go on.
            offsets_wanted: Whether to ask for offsets though no record waits.
        """
        self._pool = pool
        self._topics = outcome_topics
        self._readiness = readiness
        self._on_offsets = on_offsets
        self._offsets_wanted = offsets_wanted
        self._waiting: list[_Asked] = []
        self._wake = asyncio.Event()
        self._epoch = 0

    async def ask(self, request: LookupRequest) -> Known:
        """What is known of a request; waits for as long as PostgreSQL takes."""
        asked = _Asked(request, asyncio.get_running_loop().create_future())
        self._waiting.append(asked)
        self._wake.set()
        return await asked.future

    def revoked(self) -> None:
        """A reply to what was asked before now is thrown away."""
        self._epoch += 1
        self._waiting.clear()

    async def run(self) -> None:
        """Ask, one statement at a time, until cancelled."""
        while True:
            if not self._waiting:
                await self._pause()
            await asyncio.sleep(_GATHER_SECONDS)
            batch = [asked for asked in self._waiting[:MAX_BATCH] if not asked.future.done()]
            del self._waiting[:MAX_BATCH]
            if not batch and not self._offsets_wanted():
                continue
            epoch = self._epoch
            rows = await self._query(batch)
            if epoch != self._epoch:
                continue
            self._on_offsets(_offsets(rows[0]["offsets"]))
            for asked, row in zip(batch, rows, strict=False):
                if asked.future.done():
                    continue
                try:
                    asked.future.set_result(_known(row))
                except UnreadableRowError as error:
                    asked.future.set_exception(error)  # of this record alone

    async def _pause(self) -> None:
        self._wake.clear()
        timeout = POLL_SECONDS if self._offsets_wanted() else 1.0
        try:
            async with asyncio.timeout(timeout):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _query(self, batch: list[_Asked]) -> list[Any]:
        asked = [(a.request.request_id, a.request.account, a.request.phone) for a in batch]
        ids, accounts, phones = zip(*(asked or [_NOBODY]), strict=True)
        while True:
            started = time.perf_counter()
            try:
                rows = await self._pool.fetch(
                    _STATEMENT, list(ids), list(accounts), list(phones), self._topics
                )
            except UNAVAILABLE as error:
                self._readiness.unmet("postgresql", type(error).__name__)
                log.warning("paid check failed, trying again", reason=str(error))
                await asyncio.sleep(_RETRY_AFTER)
            else:
                self._readiness.met("postgresql")
                PAID_CHECK_DURATION.observe(time.perf_counter() - started)
                return list(rows)


def _offsets(text: str | None) -> Offsets:
    return {(topic, partition): offset for topic, partition, offset in json.loads(text or "[]")}


def _answers(text: str) -> Answers:
    """Read stored answers; those of packages that only a newer release knows are left out."""
    try:
        return _ANSWERS.validate_json(text)
    except ValidationError:
        known = {name: answer for name, answer in json.loads(text).items() if name in _PACKAGES}
    try:
        return _ANSWERS.validate_python(known)
    except ValidationError as error:
        raise UnreadableRowError(f"stored answers have {error.error_count()} faults") from None


def _known(row: Any) -> Known:
    answers = _answers(row["known"]) if row["known"] else {}
    if row["state"] is None:
        return Known(None, answers)
    return Known(
        Row(
            state=State(row["state"]),
            generation=row["generation"],
            turn=row["turn"],
            causes=frozenset(row["causes"]),
            answers=_answers(row["answers"]),
            kept=State(row["kept"]) if row["kept"] else None,
        ),
        answers,
    )
