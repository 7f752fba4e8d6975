"""When a flood of dead letters stops an account, and when a bad list does not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contracts.messages import LookupRequest
from services.contracts.packages import Answer, Answers, Package
from services.lookup.classify import Problem, Reading
from services.lookup.codes import Class
from services.lookup.flood import WINDOW, Flood, Limits, ended_rarely
from services.lookup.route import Policy, decide

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
BASIC, LINE, NAME = Package.BASIC, Package.LINE_TYPE_INTELLIGENCE, Package.CALLER_NAME
POLICY = Policy((timedelta(seconds=15),), max_attempts=2)


def problem(klass: Class, reason: str, package: Package | None = None) -> Problem:
    return Problem(package, klass, reason, "Why.")


BAD_REQUEST = problem(Class.PERMANENT_NUMBER, "bad-request")
NOT_FOUND = problem(Class.PERMANENT_NUMBER, "number-not-found")
AWAY = problem(Class.TRANSIENT, "unavailable")
NO_COVERAGE = problem(Class.PERMANENT_PACKAGE, "no-coverage", LINE)
TOO_MANY = problem(Class.RATE_LIMIT, "too-many-requests")
REFUSED = problem(Class.ACCOUNT_STOP, "credentials-refused")


def answered(*packages: Package, valid: bool = True) -> Answers:
    answer = Answer(status="ok", data={"valid": valid}, looked_up_at=NOW)
    return dict.fromkeys((BASIC, *packages), answer)


@pytest.mark.parametrize(
    ("answers", "problems", "before", "rare"),
    [
        (answered(LINE), (), {}, False),
        (answered(valid=False), (), {}, False),
        (answered(), (NO_COVERAGE,), {}, False),
        ({}, (BAD_REQUEST,), {}, True),
        # A result, thanks to what an earlier turn brought.
        ({}, (BAD_REQUEST,), {"packages": (BASIC, NAME), "answers": answered()}, True),
        # Twilio's second word that there is no such number, and its first.
        ({}, (NOT_FOUND,), {"attempts": 1, "last_error": "number-not-found"}, False),
        ({}, (NOT_FOUND,), {}, None),
        # Dead after the last attempt, and still to be tried.
        ({}, (AWAY,), {"attempts": 1, "failing_since": NOW}, False),
        ({}, (AWAY,), {}, None),
        ({}, (TOO_MANY,), {}, None),
        ({}, (REFUSED,), {}, None),
    ],
)
def test_which_ends_are_rare(
    answers: Answers, problems: tuple[Problem, ...], before: dict[str, object], rare: bool | None
) -> None:
    """Refused for good is; an invalid number, one not found, and an outage of Twilio's are not."""
    whole: dict[str, object] = {
        "request_id": UUID(int=1),
        "job_id": UUID(int=2),
        "source": "test",
        "account": "main",
        "phone": "+14155550100",
        "packages": (BASIC, LINE),
        "accepted_at": NOW,
    }
    request = LookupRequest.model_validate(whole | before)
    reading = Reading(frozenset(request.packages), answers, problems)
    outcome = decide(request, reading, now=NOW, policy=POLICY, rate_limited_in_a_row=1)
    assert ended_rarely(outcome, reading) is rare


def stops_at(flood: Flood, ends: list[bool]) -> int | None:
    """After how many ends the account is stopped first."""
    return next((n for n, rare in enumerate(ends, 1) if flood.count(rare=rare)), None)


@pytest.mark.parametrize(
    ("ends", "stopped_at"),
    [
        (100 * [True], 100),
        ([*99 * [True], False, *100 * [True]], 200),  # by the share, before the run
        ([False, *99 * [True]], None),
        (100 * [True, False], 200),
        (99 * [True, False] + [False, False, True], None),  # 99 of the last 200
        ([*200 * [False], *100 * [True]], 300),
        ([*1_000 * [False], *50 * [False, True]], None),
    ],
)
def test_half_of_the_last_200_or_100_in_a_row(ends: list[bool], stopped_at: int | None) -> None:
    """The limits as they ship; there is no share before there are 200 outcomes."""
    assert stops_at(Flood(Limits()), ends) == stopped_at


@pytest.mark.parametrize(
    ("limits", "ends", "says"),
    [
        (Limits(run=3), [True, True, True], "the last 3 contacts"),
        (Limits(share=0.005), [*199 * [False], True], "of the last 200 contacts 1 were"),
    ],
)
def test_the_reason_says_how_many(limits: Limits, ends: list[bool], says: str) -> None:
    """Whoever reads why an account is stopped learns what was counted, and where to look."""
    flood = Flood(limits)
    (why,) = {flood.count(rare=rare) for rare in ends} - {None}
    assert why is not None
    assert says in why
    assert "dead letters" in why


LIMITS = st.builds(
    Limits, share=st.floats(0.005, 1.0), run=st.integers(min_value=1, max_value=WINDOW + 50)
)
#: Long enough for a full window, in stretches, since single coins hardly ever make a run.
ENDS = st.lists(st.tuples(st.booleans(), st.integers(1, 120)), max_size=12).map(
    lambda stretches: [rare for rare, length in stretches for _ in range(length)]
)


@given(LIMITS, ENDS)
def test_it_stops_exactly_when_a_limit_is_reached(limits: Limits, ends: list[bool]) -> None:
    """As counted anew from all there was, after every single outcome."""
    flood = Flood(limits)
    for n, rare in enumerate(ends, 1):
        stopped = flood.count(rare=rare) is not None
        so_far = ends[:n]
        run = next((k for k, end in enumerate(reversed(so_far)) if not end), n)
        of_window = sum(so_far[-WINDOW:]) / WINDOW if n >= WINDOW else 0.0
        assert stopped == (run >= limits.run or of_window >= limits.share)


@given(LIMITS, ENDS, ENDS)
def test_after_a_resume_it_counts_from_new(
    limits: Limits, before: list[bool], after: list[bool]
) -> None:
    """Whatever stopped the account does not count again: else it would stop at once."""
    flood = Flood(limits)
    for rare in before:
        flood.count(rare=rare)
    flood.forget()
    assert stops_at(flood, after) == stops_at(Flood(limits), after)
