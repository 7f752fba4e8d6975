"""The question to PostgreSQL: one at a time, never answered by what is no longer true."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import pytest

from services.contracts.messages import LookupRequest
from services.contracts.packages import Package
from services.lookup import paid
from services.lookup.memory import Offsets
from services.lookup.paid import Known, PaidCheck
from services.runtime.database import Pool
from services.runtime.health import Readiness


def request(number: int) -> LookupRequest:
    return LookupRequest(
        request_id=UUID(int=number),
        job_id=UUID(int=99),
        source="test",
        account="main",
        phone="+14155550100",
        packages=(Package.BASIC,),
        accepted_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


class PostgreSQL:
    """Answers each statement when the test says so, or fails it."""

    def __init__(self) -> None:
        self.statements: asyncio.Queue[tuple[int, asyncio.Future[None]]] = asyncio.Queue()
        self.out = 0

    async def fetch(self, _: str, ids: list[UUID], *__: Any) -> list[dict[str, Any]]:
        self.out += 1
        assert self.out == 1, "a second statement while one is out"
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        await self.statements.put((len(ids), answer))
        try:
            await answer
        finally:
            self.out -= 1
        offsets = json.dumps([["lookup.results", 0, 5]])
        return [{"state": None, "known": None, "offsets": offsets} for _ in ids]


class Checked:
    """A running check, and what it told of offsets."""

    def __init__(self) -> None:
        self.database = PostgreSQL()
        self.readiness = Readiness("postgresql")
        self.seen: list[Offsets] = []
        self.check = PaidCheck(
            cast("Pool", self.database),
            ["lookup.results"],
            readiness=self.readiness,
            on_offsets=self.seen.append,
            offsets_wanted=lambda: False,
        )


@asynccontextmanager
async def running() -> AsyncIterator[Checked]:
    checked = Checked()
    task = asyncio.create_task(checked.check.run())
    try:
        yield checked
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_one_statement_asks_for_all_that_wait() -> None:
    """Whoever comes while a statement is out is in the next one, together."""
    async with running() as checked:
        first = asyncio.create_task(checked.check.ask(request(1)))
        count, answer = await checked.database.statements.get()
        assert count == 1
        others = [asyncio.create_task(checked.check.ask(request(n))) for n in (2, 3, 4)]
        await asyncio.sleep(0)
        answer.set_result(None)
        assert await first == Known(None, {})
        count, answer = await checked.database.statements.get()
        assert count == 3
        answer.set_result(None)
        await asyncio.gather(*others)


async def test_offsets_are_told_before_their_records_go_on() -> None:
    """Barrier and memory are judged by the very reply that is used."""
    async with running() as checked:
        told_when_it_went_on: list[int] = []
        asked = asyncio.create_task(checked.check.ask(request(1)))
        asked.add_done_callback(lambda _: told_when_it_went_on.append(len(checked.seen)))
        _, answer = await checked.database.statements.get()
        answer.set_result(None)
        await asked
        assert checked.seen == [{("lookup.results", 0): 5}]
        assert told_when_it_went_on == [1]


async def test_a_reply_from_before_a_revocation_is_thrown_away() -> None:
    """Another process may have paid since: neither offsets nor rows of the old reply are used."""
    async with running() as checked:
        old = asyncio.create_task(checked.check.ask(request(1)))
        _, late = await checked.database.statements.get()
        checked.check.revoked()
        new = asyncio.create_task(checked.check.ask(request(2)))
        late.set_result(None)
        _, answer = await checked.database.statements.get()
        assert checked.seen == []
        answer.set_result(None)
        assert await new == Known(None, {})
        assert not old.done()
        old.cancel()
        await asyncio.gather(old, return_exceptions=True)


async def test_without_postgresql_everything_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is answered while PostgreSQL is away; the same is asked until it is back."""
    monkeypatch.setattr(paid, "_RETRY_AFTER", 0)
    async with running() as checked:
        asked = asyncio.create_task(checked.check.ask(request(1)))
        for _ in range(3):
            _, answer = await checked.database.statements.get()
            answer.set_exception(ConnectionRefusedError())
        _, answer = await checked.database.statements.get()
        assert not asked.done()
        assert checked.readiness.missing == {"postgresql": "ConnectionRefusedError"}
        answer.set_result(None)
        assert await asked == Known(None, {})
        assert checked.readiness.missing == {}
