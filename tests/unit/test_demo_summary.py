"""The demo's summary, made from a small world that adds up until one thing in it is changed."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from pydantic import TypeAdapter

from services.local import demo, sample
from services.local.demo_summary import Expected, Facts, summarise
from services.local.twilio.answers import FINAL_CODES
from services.local.twilio.faults import Fault, choose
from services.local.twilio.ledger import Call

LANDLINE, MOBILE = "+12015550100", "+442079460100"
PRICES = {"line_type_intelligence": "0.008", "caller_name": "0.01"}
PASSES = Fault(name="server error", kind="http_500", times_per_number=1)
STAYS = Fault(name="always unavailable", kind="http_503")


def _call(number: str, **values: Any) -> Call:
    call: dict[str, Any] = {
        "started": "2026-01-01T00:00:00Z",
        "ended": "2026-01-01T00:00:01Z",
        "account": "default",
        "number": number,
        "packages": ("line_type_intelligence", "caller_name"),
        "outcome": "answered",
        "status": 200,
    }
    return Call(**call | values)


def _contact(
    reference: str, phone: str, state: str = "completed", **statuses: str
) -> dict[str, Any]:
    packages = {"line_type_intelligence": "ok", "caller_name": "ok"} | statuses
    return {
        "reference": reference,
        "phone": phone,
        "state": state,
        "packages": [{"package": name, "status": status} for name, status in packages.items()],
    }


def _outcome(package: str, ok: int, billed: int, **values: Any) -> dict[str, Any]:
    return {
        "package": package,
        "ok": ok,
        "failed": 0,
        "exhausted": 0,
        "reused": 1,
        "billed_yes": billed,
        "failures": [],
    } | values


@pytest.fixture
def facts() -> Facts:
    """Four rows: two numbers, one of them twice, and one that is none; one call failed once."""
    return Facts(
        rows=[
            Expected("C-1", LANDLINE, None),
            Expected("C-2", MOBILE, None),
            Expected("C-3", LANDLINE, None),
            Expected("C-4", None, "letters"),
        ],
        submitted={"accepted": 3, "rejected": 1, "duplicates": 1},
        job={
            "counts": {"pending": 0, "completed": 3, "dead": 0},
            "reasons": [],
            "outcomes": [
                _outcome("line_type_intelligence", 3, 2),
                _outcome(
                    "caller_name",
                    2,
                    1,
                    failed=1,
                    failures=[
                        {"status": "failed", "code": 60600, "reason": "no-coverage", "count": 1}
                    ],
                ),
            ],
        },
        contacts=[
            _contact("C-1", LANDLINE),
            _contact("C-2", MOBILE, caller_name="failed"),
            _contact("C-3", LANDLINE),
        ],
        rejected=[{"reason": "letters"}],
        calls=[
            _call(LANDLINE, outcome="failed", status=500, faults=(PASSES.name,)),
            _call(
                LANDLINE,
                answered=("line_type_intelligence", "caller_name"),
                billed={"line_type_intelligence": "0.008", "caller_name": "0.01"},
            ),
            _call(
                MOBILE,
                answered=("line_type_intelligence", "caller_name"),
                codes={"caller_name": 60600},
                billed={"line_type_intelligence": "0.008"},
            ),
        ],
        faults=[PASSES, STAYS],
        prices=PRICES,
        currency="USD",
        seconds=2.0,
    )


def test_a_world_that_adds_up_passes_every_check(facts: Facts) -> None:
    """The figures of a run without a fault in it are told as they are."""
    summary = summarise(facts)

    assert [check.rule for check in summary.checks if not check.holds] == []
    assert summary.adds_up
    assert summary.states == {"completed": 3}
    assert summary.rejected_by_reason == {"letters": 1}
    assert (summary.calls, summary.retries, summary.numbers_by_calls) == (3, 1, {1: 1, 2: 1})
    assert summary.calls_per_contact == 1.0
    assert (summary.cost_by_books, summary.cost_by_ledger) == ("0.026", "0.026")
    assert summary.packages[1].failures == {"no-coverage 60600": 1}
    (fault,) = summary.faults
    assert (fault.recovers, fault.calls, fault.numbers, fault.completed) == (True, 1, 1, 1)
    assert summary.contacts_per_second == 1.5


def _with_job(facts: Facts, **changes: Any) -> Facts:
    return replace(facts, job={**facts.job, **changes})


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        pytest.param(
            "Every row of the file was accepted or rejected",
            lambda f: replace(f, submitted=f.submitted | {"rejected": 0}),
            id="a row is gone",
        ),
        pytest.param(
            "Every row was read as it is meant",
            lambda f: replace(f, contacts=[_contact("C-1", MOBILE), *f.contacts[1:]]),
            id="a number was read as another one",
        ),
        pytest.param(
            "Every row was read as it is meant",
            lambda f: replace(f, rejected=[{"reason": "empty"}]),
            id="a row was rejected for another reason",
        ),
        pytest.param(
            "The states add up to the accepted contacts",
            lambda f: _with_job(f, counts={"completed": 4}),
            id="one state too many",
        ),
        pytest.param(
            "Every accepted contact has its end",
            lambda f: _with_job(f, counts={"completed": 2, "retrying": 1}),
            id="one is still tried",
        ),
        pytest.param(
            "Every number was asked, and no other",
            lambda f: replace(f, calls=[*f.calls, _call("+12015550199")]),
            id="a number that nobody wanted was asked",
        ),
        pytest.param(
            "No number was answered twice for the same package",
            lambda f: replace(f, calls=[*f.calls, _call(MOBILE, answered=("caller_name",))]),
            id="an answer came twice",
        ),
        pytest.param(
            "Every failure that passes was recovered from",
            lambda f: replace(
                f, contacts=[_contact("C-1", LANDLINE, caller_name="exhausted"), *f.contacts[1:]]
            ),
            id="given up though the failure passed",
        ),
        pytest.param(
            "Our books equal Twilio's bill",
            lambda f: _with_job(f, outcomes=[f.job["outcomes"][0]]),
            id="something billed is not in the books",
        ),
    ],
)
def test_what_does_not_add_up_fails_its_check(
    facts: Facts, rule: str, change: Callable[[Facts], Facts]
) -> None:
    """Each check is failed by what it is there for."""
    summary = summarise(change(facts))

    assert rule in {check.rule for check in summary.checks if not check.holds}
    assert not summary.adds_up


def test_a_number_struck_by_a_fault_that_stays_need_not_recover(facts: Facts) -> None:
    """What the script never lets recover may end dead, and is told as such."""
    struck = replace(facts.calls[0], faults=(PASSES.name, STAYS.name))
    dead = [_contact("C-1", LANDLINE, "dead"), facts.contacts[1], _contact("C-3", LANDLINE, "dead")]

    summary = summarise(replace(facts, contacts=dead, calls=[struck, *facts.calls[1:]]))

    assert "Every failure that passes was recovered from" in {
        check.rule for check in summary.checks if check.holds
    }
    assert [line.completed for line in summary.faults] == [0, 0]


def test_the_demos_script_lets_every_passing_failure_recover_within_the_attempts() -> None:
    """No number of the sample meets more passing failures than a request has attempts."""
    faults = TypeAdapter(tuple[Fault, ...]).validate_json(demo.FAULTS.read_bytes())
    packages = tuple(demo.PACKAGES.split(","))
    numbers = {row.e164 for row in sample.rows() if row.e164 is not None}

    most = max(_attempts_burnt(number, faults, packages) for number in numbers)

    # A package of a request is tried three times where its provider fails.
    assert most < 3


def _attempts_burnt(number: str, faults: tuple[Fault, ...], packages: tuple[str, ...]) -> int:
    struck: dict[tuple[str, str], int] = {}
    burnt = 0
    while True:
        found = choose(faults, number, "default", packages, second=1.0, struck=struck)
        passing = [fault for fault in found if fault.times_per_number is not None]
        if not passing:
            return burnt
        burnt += any(_burns(fault) for fault in passing)
        for fault in found:
            struck[fault.name, number] = struck.get((fault.name, number), 0) + 1


def _burns(fault: Fault) -> bool:
    return fault.kind != "slow_body" and fault.code not in FINAL_CODES
