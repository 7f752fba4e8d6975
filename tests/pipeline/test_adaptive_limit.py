"""An account set to more calls than Twilio takes: lookup finds what it takes, and keeps to it."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta

import pytest

from services.local.twilio.config import Account, Latency, SimulatorConfig
from services.local.twilio.ledger import Call
from tests.pipeline.books import PACKAGE, asked, paid_again
from tests.pipeline.harness import StartPipeline

WORKERS = 2
SET, TAKEN, TAKEN_LATER = 40, 10, 30
#: Of the first refusals: each process has then taken in its own.
SETTLING = timedelta(seconds=5)
#: A refusal has reached its process, which then calls no more than its limit, in much less.
AT_ONCE = timedelta(milliseconds=50)
TOO_MANY = 20429


def started(call: Call) -> datetime:
    return datetime.fromisoformat(call.started)


def most_at_once(times: list[datetime]) -> int:
    """The most of them that lie together within `AT_ONCE`."""
    return max(
        (sum(at <= other < at + AT_ONCE for other in times) for at in times),
        default=0,
    )


def most_under_way(calls: list[Call]) -> int:
    """The most that Twilio worked on at a time."""
    steps = sorted(
        itertools.chain.from_iterable(((call.started, 1), (call.ended, -1)) for call in calls)
    )
    return max(itertools.accumulate(step for _, step in steps))


@pytest.mark.more_faults
def test_lookup_keeps_to_what_twilio_takes(start_pipeline: StartPipeline) -> None:
    """Beyond it there is one call of each process at a time; and what comes back is used again.

    The ledger has every call, refused ones as well. Twilio works on as many as it takes; what
    it refuses at that moment is what lookup has beyond that. A refusal burns no attempt.
    """
    account = Account(name="default", sid="SK" + "0" * 32, secret="simulated", concurrency=TAKEN)
    pipeline = start_pipeline(
        lookups=WORKERS,
        simulator=SimulatorConfig(
            accounts=(account,), latency=Latency(median_seconds=0.3, spread=0.2)
        ),
        settings={"TWILIO_CONCURRENCY": str(SET)},
    )
    control = pipeline.simulator.control
    numbers = pipeline.numbers(4_500)
    job = pipeline.submit(numbers, packages=PACKAGE)

    pipeline.wait_until("it has long settled", lambda: pipeline.finished(job) >= 700)
    before = pipeline.calls()
    control.set_account("default", concurrency=TAKEN_LATER)
    pipeline.wait_until(
        "nearly all is used that is taken now",
        lambda: control.summary()["most_in_flight"]["default"] >= round(0.9 * TAKEN_LATER),
        explain=control.summary,
    )
    pipeline.wait_complete(job)

    refused = sorted(started(call) for call in before if call.code == TOO_MANY)
    assert refused, "the account is set to more than Twilio takes, and nothing was refused"
    settled = [call for call in before if started(call) >= refused[0] + SETTLING]
    taken = [call for call in settled if call.code != TOO_MANY]
    beyond = [started(call) for call in settled if call.code == TOO_MANY]
    print(  # noqa: T201 # figures for the record
        f"refused: {len(refused)} of {len(before)} calls, once settled {len(beyond)} of "
        f"{len(settled)}; most at once {most_under_way(taken)} and {most_at_once(beyond)} beyond"
    )
    assert 0.9 * TAKEN <= most_under_way(taken) <= TAKEN
    assert most_at_once(beyond) <= WORKERS
    assert len(beyond) < 0.02 * len(settled)

    assert pipeline.counts(job) == {"completed": len(numbers)}
    assert {result["attempts"] for result in pipeline.results(job)} == {0}
    assert asked(pipeline.calls()) == set(numbers)
    assert paid_again(pipeline.calls()) == 0
