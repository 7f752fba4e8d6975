"""How lookup ends: Faust is stopped whatever goes wrong, since its thread would stay."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError, TopicAuthorizationFailedError

from services.lookup.app import _run
from services.runtime.health import Readiness
from services.runtime.kafka_rights import RightsError
from services.runtime.program import Stop


@pytest.fixture(autouse=True)
def _no_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    """The metrics are the process's own, and this app's consumer is gone with its test."""
    monkeypatch.setattr("services.lookup.app.show_standing", lambda *_: None)


class App:
    """Faust's app as far as lookup's end is concerned."""

    def __init__(
        self,
        crash: BaseException | None = None,
        start: BaseException | None = None,
        drain: BaseException | None = None,
        starts: bool = True,
    ) -> None:
        self.crash_reason = crash
        self.consumer = self
        self.conf = SimpleNamespace(id="lookup")
        self.standings = list
        self._start, self._drain, self._starts = start, drain, starts
        self.done: list[str] = []
        self.starting = asyncio.Event()

    async def start(self) -> None:
        self.done.append("started")
        self.starting.set()
        if self._start is not None:
            raise self._start
        if not self._starts:
            await asyncio.Event().wait()

    async def wait_until_stopped(self) -> None:
        if self.crash_reason is None:
            await asyncio.Event().wait()

    async def stop_taking(self) -> None:
        self.done.append("drained")
        if self._drain is not None:
            raise self._drain

    async def stop(self) -> None:
        self.done.append("stopped")


async def end(app: App, stop: Stop, caught_up: asyncio.Event | None = None) -> None:
    """Run lookup's last part with this app, to its end; control is read whole by default."""

    async def for_ever() -> None:
        await asyncio.Event().wait()

    if caught_up is None:
        caught_up = asyncio.Event()
        caught_up.set()
    quiet: Any = SimpleNamespace(
        app=app,
        control=SimpleNamespace(run=for_ever, caught_up=caught_up),
        paid=SimpleNamespace(run=for_ever),
        probe=SimpleNamespace(run=for_ever),
        topics=[],
        assignment=SimpleNamespace(revoked=lambda: None),
        lease=SimpleNamespace(holds=True),
    )
    await _run(quiet, Readiness(), stop, 1)


@pytest.mark.parametrize(
    ("app", "raised"),
    [
        (App(start=KafkaConnectionError("away")), KafkaConnectionError),
        (App(crash=ValueError("a bug"), drain=asyncio.CancelledError()), asyncio.CancelledError),
        (App(crash=ValueError("a bug"), drain=KafkaConnectionError("away")), KafkaConnectionError),
    ],
)
async def test_faust_is_stopped_whatever_was_raised(app: App, raised: type[BaseException]) -> None:
    """Also if it did not start, or its last commit was cancelled by what crashed it."""
    with pytest.raises(raised):
        await end(app, Stop())
    assert app.done[-1] == "stopped"


async def test_a_stop_does_not_wait_for_faust_to_start() -> None:
    """It starts once Kafka is there, which nobody knows."""
    app, stop = App(starts=False), Stop()
    ending = asyncio.create_task(end(app, stop))
    await app.starting.wait()
    stop.ask()
    await ending
    assert app.done == ["started", "drained", "stopped"]


async def test_the_time_of_a_stop_runs_from_a_start_that_failed() -> None:
    """Faust's end then has a limit, too."""
    stop, away = Stop(), KafkaConnectionError("away")
    with pytest.raises(KafkaConnectionError):
        await end(App(start=away), stop)
    assert stop.fault is away


async def test_a_reading_that_kafka_refuses_is_said() -> None:
    """A right taken away under way is no bug of ours: the fault names the topic and the right."""
    stop, app = Stop(), App(crash=TopicAuthorizationFailedError("p.contacts"))
    await end(app, stop)
    assert isinstance(stop.fault, RightsError)
    assert "p.contacts; it needs Read on the topic" in str(stop.fault)
    assert app.done == ["started", "drained", "stopped"]


async def test_a_bug_in_faust_is_shown_as_it_is() -> None:
    """What is not Kafka's refusal keeps its traceback."""
    crash = ValueError("a bug")
    stop = Stop()
    await end(App(crash=crash), stop)
    assert stop.fault is crash


async def test_nothing_is_taken_before_control_was_read() -> None:
    """Whatever holds an account or a job is known before the first record is taken."""
    app, caught_up = App(), asyncio.Event()
    running = asyncio.create_task(end(app, Stop(), caught_up))
    for read in (False, True):
        if read:
            caught_up.set()
        for _ in range(10):
            await asyncio.sleep(0)
        assert app.done == ["started"] * read
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
