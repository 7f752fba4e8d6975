"""Whether Kafka and PostgreSQL still answer, as readiness is told while a program runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, cast

import pytest

from services.runtime import database, kafka_watch
from services.runtime.database import watch_postgresql
from services.runtime.health import Readiness
from services.runtime.kafka_watch import watch_kafka


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pause between two looks."""
    monkeypatch.setattr(kafka_watch, "_LOOK_EVERY", 0)
    monkeypatch.setattr(database, "_LOOK_EVERY", 0)


class Answers:
    """Kafka's producer, or a pool: what it answers, and what readiness said before each look."""

    def __init__(self, *answers: object, busy: bool = False) -> None:
        self.readiness = Readiness("kafka", "postgresql")
        self.readiness.met("kafka")
        self.readiness.met("postgresql")
        self.told: list[dict[str, str]] = []
        self._answers = list(answers)
        self._busy = busy
        self._all_told = asyncio.Event()

    async def _answer(self) -> Any:
        self.told.append(self.readiness.missing)
        if not self._answers:
            self._all_told.set()
            await asyncio.Event().wait()
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def trouble(self, _: float) -> Any:
        return await self._answer()

    async def fetchval(self, _: str) -> Any:
        return await self._answer()

    def get_max_size(self) -> int:
        return 2

    def get_size(self) -> int:
        return 2

    def get_idle_size(self) -> int:
        if self._busy:
            self._all_told.set()
        return 0 if self._busy else 1

    async def watched_by(
        self, watch: Callable[..., Coroutine[Any, Any, None]], *more: Any
    ) -> list[dict[str, str]]:
        """What readiness said before the first look, and after each."""
        watching = asyncio.create_task(watch(cast("Any", self), self.readiness, *more))
        await self._all_told.wait()
        watching.cancel()
        return self.told


async def test_kafka_is_lost_and_regained() -> None:
    """Not only at the start: readiness speaks of now, and says why."""
    there, away = None, "nobody listens there"
    told = await Answers(there, away, away, there).watched_by(watch_kafka)
    assert told == [{}, {}, {"kafka": away}, {"kafka": away}, {}]


async def test_a_kafka_that_answers_may_not_hear_of_us() -> None:
    """Brokers that answer say nothing of the one that keeps our group."""
    whys = iter(["no heartbeat of late", None])
    told = await Answers(None, None).watched_by(watch_kafka, lambda: next(whys))
    assert told == [{}, {"kafka": "no heartbeat of late"}, {}]


async def test_postgresql_is_lost_and_regained() -> None:
    """Also by a program that has nothing to ask of it."""
    told = await Answers(1, OSError("refused"), 1).watched_by(watch_postgresql)
    assert told == [{}, {}, {"postgresql": "OSError: refused"}, {}]


async def test_a_postgresql_that_answers_may_refuse_to_write() -> None:
    """Who finds that out has the last word."""
    pool = Answers(1)
    pool.readiness.unmet("postgresql", "ReadOnlySQLTransactionError")
    assert (
        await pool.watched_by(watch_postgresql)
        == [{"postgresql": "ReadOnlySQLTransactionError"}] * 2
    )


async def test_a_busy_pool_is_not_asked() -> None:
    """To wait for one of its connections says nothing of PostgreSQL."""
    assert await Answers(busy=True).watched_by(watch_postgresql) == []
