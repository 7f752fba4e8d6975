"""Accounts that stop by themselves: what is refused goes on by a probe, a flood by a person."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from services.local.twilio.config import Account, Latency, SimulatorConfig
from services.local.twilio.faults import Fault
from services.local.twilio.ledger import Call
from services.lookup.flood import WINDOW
from services.lookup.twilio import PROBE_NUMBER
from tests.pipeline.books import PACKAGE, asked, paid_again
from tests.pipeline.harness import Pipeline, StartPipeline

WORKERS = ("lookup-1", "lookup-2")


def wait_held(pipeline: Pipeline, account: str, cause: str) -> datetime:
    """Wait until every lookup says that it has stopped the account; no call may start from then."""
    pipeline.wait_until(
        f"every lookup has stopped {account}", lambda: pipeline.says_held(account, cause)
    )
    # What was sent before has arrived before an answer to this.
    pipeline.simulator.control.summary()
    return datetime.now(UTC)


def started_after(calls: Iterable[Call], at: datetime) -> list[Call]:
    return [call for call in calls if datetime.fromisoformat(call.started) > at]


def is_probe(call: Call) -> bool:
    return call.number == PROBE_NUMBER and not call.packages


def dead_letters(pipeline: Pipeline, job: str) -> list[Any]:
    with pipeline.api as api:
        return list(api.pages("/v1/dead-letters", job=job))


def test_a_refused_account_waits_for_a_probe_while_another_goes_on(
    start_pipeline: StartPipeline,
) -> None:
    """Through a restart of every program: nothing dead, no attempt burnt, nothing paid twice.

    Once every process has acknowledged the stop, the account is asked by probes alone.
    """
    accounts = tuple(
        Account(name=name, sid="SK" + digit * 32, secret="simulated", concurrency=10)
        for name, digit in [("default", "0"), ("second", "1")]
    )
    pipeline = start_pipeline(
        simulator=SimulatorConfig(accounts=accounts, latency=Latency(median_seconds=0.05)),
        settings={"PROBE_INTERVAL": "500ms"},
    )
    numbers = pipeline.numbers(800)
    held, free = numbers[:400], numbers[400:]
    job = pipeline.submit(held, packages=PACKAGE, account="second")
    other = pipeline.submit(free, packages=PACKAGE)

    pipeline.wait_until("some are finished", lambda: pipeline.finished(job) >= 50)
    pipeline.simulator.control.set_account("second", state="refused")
    stopped_at = wait_held(pipeline, "second", "refused")
    pipeline.wait_complete(other)
    pipeline.wait_until(
        "the rest is held",
        lambda: pipeline.counts(job).keys() == {"completed", "parked"},
        explain=lambda: pipeline.counts(job),
    )
    for program in pipeline.stack.programs.values():
        program.stop()
    restarted_at = datetime.now(UTC)
    for program in pipeline.stack.programs.values():
        program.start()
    for program in pipeline.stack.programs.values():
        program.wait_ready()
    pipeline.wait_until(
        "it is probed again", lambda: any(started_after(pipeline.calls(), restarted_at))
    )
    while_stopped = [
        call for call in started_after(pipeline.calls(), stopped_at) if call.account == "second"
    ]
    pipeline.simulator.control.set_account("second", state="ok")
    pipeline.wait_complete(job)

    assert [call for call in while_stopped if not is_probe(call)] == []
    calls = pipeline.calls()
    assert asked(calls) == set(numbers)
    assert paid_again(calls) == 0
    for which, of_it in ((job, held), (other, free)):
        assert pipeline.counts(which) == {"completed": len(of_it)}
        assert {result["attempts"] for result in pipeline.results(which)} == {0}
        assert dead_letters(pipeline, which) == []


def test_a_flood_of_refused_numbers_stops_the_account_until_a_person_resumes_it(
    start_pipeline: StartPipeline,
) -> None:
    """No probe lifts it. What died is bounded by the limit and the calls out; the rest completes."""
    run, at_once = 20, 10
    pipeline = start_pipeline(
        simulator=SimulatorConfig(
            latency=Latency(median_seconds=0.05),
            faults=(Fault(name="broken", kind="http_error", status=400, code=21211),),
        ),
        settings={
            "FLOOD_RUN": str(run),
            # What stopped it would do so again, if it were still counted after the resume.
            "FLOOD_SHARE": str(run / WINDOW),
            "TWILIO_CONCURRENCY": str(at_once),
            "PROBE_INTERVAL": "100ms",
        },
    )
    numbers = pipeline.numbers(600)
    job = pipeline.submit(numbers, packages=PACKAGE)
    stopped_at = wait_held(pipeline, "default", "flood")
    control = pipeline.simulator.control
    pipeline.wait_until(
        "the last call ends", lambda: not any(control.summary()["in_flight"].values())
    )
    died = {call.number for call in pipeline.calls()}
    pipeline.wait_until(
        "what died is stored",
        lambda: pipeline.counts(job).get("dead") == len(died),
        explain=lambda: (pipeline.counts(job), len(died)),
    )
    assert run <= len(died) <= len(WORKERS) * run + at_once
    assert {letter["reason"] for letter in dead_letters(pipeline, job)} == {"bad-request"}

    control.set_faults()
    assert started_after(pipeline.calls(), stopped_at) == []
    with pipeline.api as api:
        api.post("/v1/accounts/default/resume", {"why": "the deploy is mended"})
    pipeline.wait_complete(job)
    assert pipeline.counts(job) == {"completed": len(numbers) - len(died), "dead": len(died)}
    assert asked(pipeline.calls()) == set(numbers) - died
    assert paid_again(pipeline.calls()) == 0
