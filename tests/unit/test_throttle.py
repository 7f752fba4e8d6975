"""One account's limits in a process: what a call waits for, and what its end teaches."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime

import pytest
from prometheus_client import generate_latest

from services.contracts.packages import Answer, Answers, Package
from services.lookup.classify import Problem, Reading
from services.lookup.codes import Class
from services.lookup.throttle import Throttle
from services.runtime.metrics import registry_for

BASIC, LINE, NAME = Package.BASIC, Package.LINE_TYPE_INTELLIGENCE, Package.CALLER_NAME
OK = Answer(status="ok", data={"valid": True}, looked_up_at=datetime(2026, 11, 24, tzinfo=UTC))


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Bench:
    """A throttle and calls that stay out until told."""

    def __init__(self, ceiling: int = 100, account: str = "main") -> None:
        self.clock = Clock()
        self.throttle = Throttle(account, self.clock)
        self.throttle.resize(ceiling, 1.0)
        self._end = asyncio.Event()
        self._calls = 0
        self.out: list[Package] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def ask(self, count: int, *packages: Package) -> None:
        """Begin so many calls for these packages."""
        self._tasks += [asyncio.create_task(self._call(packages)) for _ in range(count)]
        await settle()

    async def _call(self, packages: tuple[Package, ...]) -> None:
        async with self.throttle.permit(packages):
            self.out += packages
            await self._end.wait()
        for package in packages:
            self.out.remove(package)

    async def end_calls(self) -> None:
        """Let all end that are out, and all that wait."""
        self._end.set()
        await asyncio.gather(*self._tasks)
        self._end, self._tasks = asyncio.Event(), []

    def learn(self, *problems: Problem, answers: Iterable[Package] = (), times: int = 1) -> None:
        """Some calls sent and ended now."""
        found: Answers = dict.fromkeys(answers, OK)
        for _ in range(times):
            sent_at = self.clock.now
            self.clock.now += 0.1
            self.throttle.learn(Reading(frozenset(found), found, problems), sent_at)

    async def allow(self, count: int, *packages: Package) -> None:
        """Have so many calls out, the limit grown to as many."""
        await self.ask(count, *packages)
        self.learn(answers=packages, times=count - 1)
        await settle()
        assert self.throttle.limit == self.throttle.in_flight == count


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def whole(klass: Class) -> Problem:
    return Problem(None, klass, "test", "A test.")


def of(package: Package) -> Problem:
    return Problem(package, Class.PACKAGE_RATE_LIMIT, "package-rate-limit", "A test.", code=60616)


@pytest.mark.parametrize(
    ("problems", "answers", "expected"),
    [
        ((), (BASIC,), 11),
        ((whole(Class.PERMANENT_NUMBER),), (), 11),  # an answer, though none for the contact
        ((of(LINE),), (BASIC,), 11),  # a package's provider is not the account
        ((whole(Class.RATE_LIMIT),), (), 8),
        ((whole(Class.TRANSIENT),), (), 10),  # none came, or none that says anything of it
        ((whole(Class.ACCOUNT_STOP),), (), 10),
    ],
)
async def test_what_an_end_says_of_the_accounts_limit(
    problems: tuple[Problem, ...], answers: tuple[Package, ...], expected: int
) -> None:
    """Answers raise it, refusals for the rate lower it, and what is neither leaves it."""
    bench = Bench()
    await bench.allow(10, BASIC)
    bench.learn(*problems, answers=answers)
    assert bench.throttle.limit == expected
    await bench.end_calls()


async def test_a_packages_refusal_slows_down_who_asks_for_it_alone() -> None:
    """Of 20 calls for a package that was refused 16 go out; of others as many as always."""
    bench = Bench()
    await bench.allow(20, BASIC, LINE)
    bench.learn(of(LINE), answers=(BASIC,))
    await bench.end_calls()
    bench.learn(answers=(BASIC,))
    limit = bench.throttle.limit
    await bench.ask(40, BASIC, LINE)
    assert bench.out.count(LINE) == 16
    await bench.ask(40, BASIC)
    assert bench.throttle.in_flight == limit > 16
    await bench.end_calls()
    assert bench.throttle.in_flight == 0


async def test_a_packages_limit_grows_by_its_own_answers() -> None:
    """Answers without the package say nothing of it."""
    bench = Bench()
    await bench.allow(20, BASIC, LINE)
    bench.learn(of(LINE))
    await bench.end_calls()
    await bench.ask(30, BASIC, LINE)
    bench.learn(answers=(BASIC,), times=600)
    await settle()
    assert bench.out.count(LINE) == 16
    bench.learn(answers=(BASIC, LINE), times=420)
    await settle()
    assert bench.out.count(LINE) == 20
    await bench.end_calls()


async def test_who_waits_for_a_package_holds_no_call_of_the_account() -> None:
    """Else a slow package would take the calls of all others."""
    bench = Bench(ceiling=2)
    await bench.allow(2, LINE)
    bench.learn(of(LINE))
    await bench.end_calls()
    await bench.ask(5, LINE)
    assert bench.throttle.in_flight == 1
    await bench.ask(1, BASIC)
    assert bench.throttle.in_flight == 2
    await bench.end_calls()


async def test_calls_for_two_slow_packages_never_wait_for_each_other() -> None:
    """They wait in one order, whichever they name first."""
    bench = Bench(ceiling=1)
    bench.learn(of(LINE), of(NAME))
    bench.clock.now += 10
    await bench.end_calls()
    bench.throttle._packages[LINE].limiter.end_pause()
    bench.throttle._packages[NAME].limiter.end_pause()
    for packages in ((LINE, NAME), (NAME, LINE)) * 4:
        await bench.ask(1, *packages)
    bench._end.set()
    for _ in bench._tasks:
        await settle()
    assert [task.done() for task in bench._tasks] == [True] * 8


async def test_whoever_is_cancelled_gives_all_back() -> None:
    """Also what it had of a package while it waited for the account."""
    bench = Bench(ceiling=1)
    await bench.ask(1, BASIC)
    bench.learn(of(LINE))
    bench.throttle._packages[LINE].limiter.end_pause()
    await bench.ask(1, LINE)
    bench._tasks.pop().cancel()
    await settle()
    assert bench.throttle._packages[LINE].limiter.in_flight == 0
    await bench.end_calls()


async def test_refused_even_at_one_call_everybody_waits() -> None:
    """Nobody goes out in the pause, and after a restart the first does."""
    bench = Bench()
    bench.learn(whole(Class.RATE_LIMIT))
    await bench.ask(2, BASIC)
    assert bench.throttle.in_flight == 0
    bench.throttle.restart()
    await settle()
    assert bench.throttle.in_flight == 1
    await bench.end_calls()


async def test_after_a_restart_one_call_goes_out() -> None:
    """Whatever the limit was before the stop."""
    bench = Bench()
    await bench.allow(10, BASIC)
    await bench.end_calls()
    bench.throttle.restart()
    await bench.ask(10, BASIC)
    assert bench.throttle.in_flight == 1
    await bench.end_calls()


async def test_the_limits_of_now_are_shown() -> None:
    """The account's always; a package's from its first refusal on, within a new share too."""
    bench = Bench(account="shown")
    await bench.allow(10, BASIC, LINE)

    def shown() -> set[str]:
        text = generate_latest(registry_for("lookup")).decode()
        return {line for line in text.splitlines() if "concurrency_allowed{" in line}

    account = 'twilio_concurrency_allowed{account="shown"}'
    package = 'twilio_package_concurrency_allowed{account="shown",package="line_type_intelligence"}'
    assert f"{account} 10.0" in shown()
    assert not any(line.startswith(package) for line in shown())
    bench.learn(of(LINE))
    assert f"{package} 8.0" in shown()
    bench.throttle.resize(5, 0.05)
    assert {f"{account} 1.0", f"{package} 1.0"} <= shown()
    await bench.end_calls()
