"""When a refused account is probed, by whom, and what its answer does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.lookup.classify import Problem, Reading
from services.lookup.codes import Class
from services.lookup.probe import LONGEST, Probe, Times, is_probed
from services.lookup.twilio import TwilioClient
from services.runtime.control_topic import ControlTopic

REFUSED, PERSON = "account:main:refused", "account:main:person"
NO = Problem(None, Class.ACCOUNT_STOP, "credentials-refused", "Refused.", code=20003)
AWAY = Problem(None, Class.TRANSIENT, "unavailable", "Away.", code=20503)
NOT_FOUND = Problem(None, Class.PERMANENT_NUMBER, "number-not-found", "A wrong path?", code=20404)


@pytest.mark.parametrize(
    ("held", "probed"),
    [
        (set(), False),
        ({REFUSED}, True),
        ({PERSON}, False),
        ({REFUSED, PERSON}, False),
        ({REFUSED, "account:main:flood"}, False),
        ({REFUSED, "account:main:budget"}, False),
        ({REFUSED, "account:main:package:caller_name"}, True),
        ({REFUSED, "account:other:person"}, True),
        ({"account:other:refused"}, False),
    ],
)
def test_only_what_twilio_alone_has_stopped_is_probed(held: set[str], probed: bool) -> None:
    """While a person, a flood or a budget holds the account as well, no call is made."""
    assert is_probed("main", held) is probed


def asked_at(times: Times, stopped: Callable[[int], bool], seconds: int) -> list[int]:
    return [now for now in range(seconds) if times.due(float(now), stopped=stopped(now))]


def test_a_refused_account_is_asked_ever_later_up_to_the_longest_time() -> None:
    """After 30 s, then at twice the time each, at most 5 minutes apart."""
    asked = asked_at(Times(30.0), lambda _: True, 1_500)
    assert asked == [30, 90, 210, 450, 750, 1050, 1350]


def test_an_account_that_is_refused_again_at_once_is_not_asked_at_once() -> None:
    """Where free calls are let in and paid ones are not, it goes on as if there were no success."""
    times = Times(30.0)
    again = asked_at(times, lambda now: now not in (31, 93, 215, 457), 800)
    assert again == [30, 92, 214, 456, 758]


def test_an_account_that_went_on_for_long_begins_with_the_interval() -> None:
    """A refusal a day later has nothing to do with the last one."""
    times = Times(30.0)
    assert asked_at(times, lambda now: not 100 < now < 500, 600) == [30, 90, 530, 590]


@given(st.floats(0.01, 3600), st.lists(st.tuples(st.booleans(), st.floats(0, 100)), max_size=50))
def test_two_probes_are_an_interval_apart_whatever_happens(
    interval: float, looks: list[tuple[bool, float]]
) -> None:
    """Stops and goes in any order never make more calls than one an interval."""
    times, now, asked = Times(interval), 0.0, []
    for stopped, later in looks:
        now += later * interval / 10
        if times.due(now, stopped=stopped):
            assert stopped
            asked.append(now)
    # The very first wait is not between two; sums of floats are not exact.
    assert all(after - before >= interval * 0.999 for before, after in pairwise(asked))


@given(st.floats(0.01, 3600), st.integers(1, 30))
def test_a_stopped_account_is_always_asked_again(interval: float, looks: int) -> None:
    """Never is the next probe later than the longest time from now."""
    times, now = Times(interval), 0.0
    times.due(now, stopped=True)
    for _ in range(looks):
        now += LONGEST * interval * 1.001
        assert times.due(now, stopped=True)


class World:
    """Twilio and `lookup.control`, as a probe meets them."""

    def __init__(self, *held: str, ours: bool = True) -> None:
        self.held = frozenset(held)
        self.problem: Problem | None = None
        self.before_sending: Callable[[], None] = lambda: None
        self.during: Callable[[], None] = lambda: None
        self.asked: list[str] = []
        self.set_to: list[tuple[str, bool]] = []
        self.ours = ours
        self.probe = Probe(
            accounts=("main", "other"),
            client=cast("TwilioClient", SimpleNamespace(check=self.check)),
            control=cast("ControlTopic", self),
            interval=30.0,
            is_ours=lambda: self.ours,
        )

    async def check(self, account: str, *, before_send: Callable[[], object]) -> Reading:
        self.before_sending()
        before_send()
        self.asked.append(account)
        await asyncio.sleep(0)
        self.during()
        return Reading(frozenset(), {}, () if self.problem is None else (self.problem,))

    async def set(self, key: str, *, held: bool, why: str, by: str) -> None:
        assert why
        assert by == "lookup"
        self.set_to.append((key, held))

    async def look_until(self, last: int) -> None:
        for now in range(last + 1):
            await self.probe.look(float(now))


async def test_a_success_clears_the_refusal_and_nothing_else() -> None:
    """Of the one account that was asked."""
    world = World(REFUSED, "account:main:package:caller_name")
    await world.look_until(30)
    assert world.asked == ["main"]
    assert world.set_to == [(REFUSED, False)]


@pytest.mark.parametrize("problem", [NO, AWAY, NOT_FOUND], ids=lambda p: p.reason)
async def test_anything_but_an_answer_leaves_it_stopped(problem: Problem) -> None:
    """A refusal, an outage, a path that is wrong: none of them says that calls are let in."""
    world = World(REFUSED)
    world.problem = problem
    await world.look_until(200)
    assert world.asked == ["main", "main"]
    assert world.set_to == []


async def test_a_process_without_partition_0_asks_nothing() -> None:
    """So that one asks for all; whoever has it next waits an interval, too."""
    world = World(REFUSED, ours=False)
    await world.look_until(100)
    assert world.asked == []
    world.ours = True
    for now, asked in [(101, []), (130, []), (131, ["main"])]:
        await world.probe.look(float(now))
        assert world.asked == asked


async def test_an_account_without_credentials_here_is_not_asked() -> None:
    """There is nothing to ask with: somebody must give them, and restart."""
    world = World("account:unknown:refused")
    await world.look_until(100)
    assert world.asked == []


async def test_a_persons_stop_while_it_connects_keeps_the_probe_back() -> None:
    """Once a process has read the stop, not even a probe leaves it."""
    world = World(REFUSED)

    def stop() -> None:
        world.held |= {PERSON}

    world.before_sending = stop
    await world.look_until(100)
    assert (world.asked, world.set_to) == ([], [])


async def test_a_persons_stop_during_a_probe_stands() -> None:
    """The answer says that Twilio lets it in, and that is all that is cleared."""
    world = World(REFUSED)

    def stop() -> None:
        world.held |= {PERSON}

    world.during = stop
    await world.look_until(100)
    assert (world.asked, world.set_to) == (["main"], [(REFUSED, False)])


async def test_what_a_person_cleared_meanwhile_is_not_cleared_again() -> None:
    """A record that says nothing new is not written."""
    world = World(REFUSED)

    def resume() -> None:
        world.held = frozenset()

    world.during = resume
    await world.look_until(100)
    assert (world.asked, world.set_to) == (["main"], [])
