"""What the API works out from what it reads."""

import base64
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from services.contracts.turns import State
from services.results import pages
from services.results.api_dead_letters import dead_letters_query
from services.results.api_jobs import results_query
from services.results.api_numbers import NumberSearch, e164
from services.results.breakdown import Failure, PackageOutcome, package_outcomes
from services.results.queries import QUERIES, read_queries

AT = datetime(2026, 3, 1, 12, 30, 0, 123456, tzinfo=UTC)
JOB = UUID("6a1c1f7e-6f0e-5b43-9d0b-000000000001")


@pytest.mark.parametrize(
    ("cursor", "place"),
    [
        (pages.ROWS, (0, UUID(int=0))),
        (pages.ROWS, (2**40, JOB)),
        (pages.JOBS, (AT, JOB)),
        (pages.DEAD_LETTERS, (AT, "lookup.dead-letters", 11, 2**40)),
    ],
)
def test_a_cursor_comes_back_as_it_was(cursor: pages.Cursor[Any], place: tuple[Any, ...]) -> None:
    """A place survives being written and read, to the microsecond."""
    assert cursor.read(cursor.write(place)) == place


def _text(json: str) -> str:
    return base64.urlsafe_b64encode(json.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "ünicode",
        "not base64!",
        _text("{}"),
        _text("[1]"),
        _text(f'["a", "{JOB}"]'),
        _text(f'[{2**63}, "{JOB}"]'),  # PostgreSQL has no such number
        _text(f'["2026-03-01T12:30:00Z", "{JOB}"]'),  # of another list
    ],
)
def test_a_strange_cursor_is_refused(text: str) -> None:
    """What is not a cursor of the list is an error of its own, never one of PostgreSQL's."""
    with pytest.raises(pages.CursorError):
        pages.ROWS.read(text)


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_a_time_in_a_cursor_is_one_that_postgresql_has(at: str) -> None:
    """A time that is in no year that there is, in UTC, is refused like any other cursor."""
    with pytest.raises(pages.CursorError):
        pages.JOBS.read(_text(f'["{at}", "{JOB}"]'))


def test_a_topic_in_a_cursor_has_no_null() -> None:
    """A text that PostgreSQL cannot hold is refused like any other strange cursor."""
    with pytest.raises(pages.CursorError):
        pages.DEAD_LETTERS.read(_text('["2026-03-01T12:30:00Z", "a\\u0000", 0, 0]'))


@pytest.mark.parametrize(
    ("counts", "accepted", "expected"),
    [
        ({}, None, pages.Progress(0, 0, None, complete=False)),
        ({}, 0, pages.Progress(0, 0, 1.0, complete=True)),  # nothing in it was a number
        ({}, 10, pages.Progress(0, 0, 0.0, complete=False)),  # sealed, not yet read
        ({State.COMPLETED: 10}, 10, pages.Progress(10, 10, 1.0, complete=True)),
        ({State.COMPLETED: 10}, None, pages.Progress(10, 10, 1.0, complete=False)),  # standing
        (
            {State.PENDING: 4, State.RETRYING: 1, State.PARKED: 2, State.RELEASING: 1},
            8,
            pages.Progress(8, 0, 0.0, complete=False),
        ),
        (
            {State.DEAD: 1, State.INVALID: 1, State.CANCELLED: 1, State.ERASED: 1},
            8,
            pages.Progress(4, 4, 0.5, complete=False),
        ),
    ],
)
def test_progress(counts: dict[State, int], accepted: int | None, expected: pages.Progress) -> None:
    """Known is the sum of all states; what is sealed and not yet read counts as unfinished."""
    assert pages.progress(counts, accepted) == expected


@pytest.mark.parametrize(
    ("ended", "age", "expected"),
    [
        (0, timedelta(hours=1), 0.0),
        (600, timedelta(hours=1), 10.0),
        (600, timedelta(seconds=20), 30.0),  # a young job is not divided by the whole minute
        (600, timedelta(0), 600.0),
        (600, timedelta(seconds=-5), 600.0),  # clocks differ
    ],
)
def test_rate(ended: int, age: timedelta, expected: float) -> None:
    """The rate is taken over a minute, or over the job's life if that is shorter."""
    assert pages.rate_per_second(ended, age) == expected


@pytest.mark.parametrize(
    ("counts", "accepted", "rate", "expected"),
    [
        ({State.PENDING: 50, State.COMPLETED: 50}, 100, 10.0, 5.0),
        ({State.COMPLETED: 50}, 100, 10.0, 5.0),  # half of it is not read yet
        ({State.PENDING: 40, State.PARKED: 10, State.COMPLETED: 50}, 100, 10.0, 4.0),
        ({State.PARKED: 50, State.COMPLETED: 50}, 100, 10.0, None),  # waits for a person
        ({State.PENDING: 50}, 50, 0.0, None),
        ({State.PENDING: 50}, None, 10.0, None),  # more may come
        ({State.COMPLETED: 100}, 100, 0.0, 0.0),
    ],
)
def test_time_left(
    counts: dict[State, int], accepted: int | None, rate: float, expected: float | None
) -> None:
    """Time left is what still moves over the rate; what nobody can tell is not invented."""
    assert pages.seconds_left(counts, accepted, rate) == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("+14155550100", "+14155550100"),
        (" +1 415-555-0100 ", "+14155550100"),
        ("+1\u00a0415\u2011555\u20130100", "+14155550100"),  # no-break space, typographic dashes
        ("14155550100", None),
        ("+04155550100", None),
        ("+1 (415) 555-0100", None),  # ingest reads what people write; this does not
        ("+1415", None),
        ("+1415555010012345", None),
        ("+1415555010\u0660", None),  # a digit of another script
        ("", None),
    ],
)
def test_e164(written: str, expected: str | None) -> None:
    """A number is searched by its international form; only spaces and dashes are forgiven."""
    described = NumberSearch.model_json_schema()["properties"]["phone"]["pattern"]
    assert bool(re.search(described, written)) == (expected is not None)
    if expected is None:
        with pytest.raises(ValueError, match="calling code"):
            e164(written)
    else:
        assert e164(written) == expected


def test_packages_add_up() -> None:
    """Statuses, calls and bills of a package are sums of the counted groups."""
    base = {"package": "caller_name", "code": None, "reason": None, "reused": False}
    groups: list[dict[str, Any]] = [
        {**base, "status": "ok", "billed": "yes", "n": 5},
        {**base, "status": "ok", "billed": "yes", "reused": True, "n": 3},
        {**base, "status": "failed", "billed": "no", "code": "60600", "reason": "range", "n": 2},
        {**base, "status": "failed", "billed": "yes", "code": "60600", "reason": "range", "n": 1},
        {**base, "status": "exhausted", "billed": None, "reason": "read-timeout", "n": 1},
    ]
    assert package_outcomes(groups) == [
        PackageOutcome.model_validate(
            {
                "package": "caller_name",
                "ok": 8,
                "failed": 3,
                "exhausted": 1,
                "reused": 3,
                "asked": 9,
                "billed_yes": 6,
                "billed_no": 2,
                "billed_unknown": 1,
                "failures": [
                    Failure(status="failed", code=60600, reason="range", count=3),
                    Failure(status="exhausted", code=None, reason="read-timeout", count=1),
                ],
            }
        )
    ]


@pytest.mark.parametrize(
    ("state", "package_status", "name", "path"),
    [
        (None, None, "results_page", None),
        (State.DEAD, None, "results_page_by_state", None),
        (None, "ok", "results_page_by_answer", '$.*.status ? (@ == "ok")'),
        (None, "failed", "results_page_by_failure", '$.*.status ? (@ == "failed")'),
        (
            State.COMPLETED,
            "caller_name:exhausted",
            "results_page_by_failure",
            '$.caller_name.status ? (@ == "exhausted")',
        ),
    ],
)
def test_each_filter_has_its_statement(
    state: State | None, package_status: str | None, name: str, path: str | None
) -> None:
    """Filters choose the statement that has an index for them."""
    chosen, arguments = results_query(state, package_status)
    assert chosen == name
    assert path is None or arguments[-1] == path


def test_dead_letters_filters() -> None:
    """A job is the narrower filter, then a reason."""
    assert dead_letters_query(None, None) == ("dead_letters_page", [])
    assert dead_letters_query("undecodable", None)[0] == "dead_letters_page_by_reason"
    assert dead_letters_query("undecodable", JOB) == (
        "dead_letters_page_by_job",
        [JOB, "undecodable"],
    )


@pytest.mark.parametrize(
    "text",
    [
        "-- name: one\nSELECT 1",  # no purpose
        "-- name: one\n-- First.\nSELECT 1\n-- name: one\n-- Second.\nSELECT 2",
    ],
)
def test_a_query_has_one_name_and_a_purpose(text: str) -> None:
    """A block without a purpose, or a name used twice, is refused when it is read."""
    with pytest.raises(ValueError, match=r"purpose|one name"):
        read_queries(text)


def test_queries_are_whole() -> None:
    """Each statement is one statement, without its heading."""
    assert read_queries("-- name: a\n-- What.\nSELECT 1\n") == {"a": "SELECT 1"}
    assert all(";" not in query and "-- name" not in query for query in QUERIES.values())
