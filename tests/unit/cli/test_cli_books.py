"""What carries on a request without an end, and whether a job's books add up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from services.cli.books import (
    Flow,
    JobBooks,
    Request,
    Unfinished,
    Unread,
    Where,
    by_partition,
    judge,
)
from services.contracts.turns import State

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
JOB = UUID(int=7)
STOPPED = "account:main:person"
READ = Unread()


def request(
    state: State, *, age: timedelta = HOUR, due: timedelta | None = None, causes: str = ""
) -> Request:
    due_at = None if due is None else NOW + due
    held_by = frozenset(causes.split())
    return Request(UUID(int=1), 3, state, held_by, due_at, NOW - age)


@pytest.mark.parametrize(
    ("found", "unread", "where"),
    [
        (request(State.PENDING), Unread(lookup=1), Where.UNDER_WAY),
        (request(State.PENDING), Unread(results=1), Where.UNDER_WAY),
        (request(State.PENDING), Unread(scheduler=1), Where.MISSING),
        (request(State.PENDING), READ, Where.MISSING),
        # Read after the programs' places: its end may stand in what was written since.
        (request(State.PENDING, age=-timedelta(seconds=1)), READ, Where.UNDER_WAY),
        (request(State.RETRYING, due=HOUR), Unread(scheduler=1), Where.RETRY),
        (request(State.RETRYING, due=-HOUR), Unread(scheduler=1), Where.RETRY_LATE),
        (request(State.RETRYING, due=-HOUR), Unread(lookup=1), Where.UNDER_WAY),
        (request(State.RETRYING, due=HOUR), READ, Where.MISSING),
        (request(State.PARKED, causes=STOPPED), READ, Where.HELD),
        (request(State.PARKED, causes="job:x:person"), READ, Where.NOT_GIVEN_BACK),
        (
            request(State.PARKED, causes="job:x:person", age=timedelta(minutes=1)),
            READ,
            Where.UNDER_WAY,
        ),
        (request(State.PARKED), Unread(results=1), Where.UNDER_WAY),
        (request(State.RELEASING), READ, Where.NOT_GIVEN_BACK),
        (request(State.RELEASING, age=timedelta(minutes=1)), READ, Where.UNDER_WAY),
    ],
)
def test_what_carries_a_request_on(found: Request, unread: Unread, where: Where) -> None:
    """A record nobody has read, a hold, or results; with none of them it is missing."""
    other = Unread(lookup=9, scheduler=9, results=9)
    assert judge(found, Flow({3: unread, 4: other}, frozenset({STOPPED}), NOW)) is where


@pytest.mark.parametrize(
    ("sealed", "counters", "rows", "read_whole", "faults"),
    [
        ((3, 1), {"completed": 3, "rejected": 1}, {"completed": 3, "rejected": 1}, True, []),
        ((3, 0), {"completed": 2}, {"completed": 2}, False, []),
        (None, {"completed": 2}, {"completed": 2}, True, []),
        (
            (3, 2),
            {"completed": 2, "rejected": 1},
            {"completed": 2, "rejected": 1},
            True,
            [
                "1 of its 3 contacts never reached results",
                "1 of its 2 rejected rows never reached results",
            ],
        ),
        (
            (1, 0),
            {"completed": 2},
            {"completed": 2},
            False,
            ["it was sealed with 1 contacts, and 2 are known"],
        ),
        (
            None,
            {"completed": 2, "dead": 1},
            {"completed": 3},
            True,
            [
                "its counter says 2 completed, its rows are 3",
                "its counter says 1 dead, its rows are 0",
            ],
        ),
    ],
)
def test_the_books_of_a_job(
    sealed: tuple[int, int] | None,
    counters: dict[str, int],
    rows: dict[str, int],
    read_whole: bool,
    faults: list[str],
) -> None:
    """Counters equal rows always; the sealed numbers are met once results has read all."""
    books = JobBooks(JOB, "file.csv", sealed, counters, rows)
    assert books.faults(read_whole=read_whole) == faults


def test_what_is_wrong_is_named_and_what_is_not_is_counted() -> None:
    """The first five of each kind that somebody has to act on; holds by their cause."""
    unfinished = Unfinished()
    for number in range(7):
        missing = Request(UUID(int=number), 0, State.PENDING, frozenset(), None, NOW)
        unfinished.add(missing, Where.MISSING, ())
    unfinished.add(request(State.PARKED, causes=f"{STOPPED} gone"), Where.HELD, {STOPPED})
    unfinished.add(request(State.PENDING), Where.UNDER_WAY, ())
    late = request(State.RETRYING)
    unfinished.add(late, Where.RETRY_LATE, ())
    assert unfinished.wrong == 8
    assert unfinished.named == {
        Where.MISSING: [UUID(int=number) for number in range(5)],
        Where.RETRY_LATE: [late.request_id],
    }
    assert unfinished.holds == {STOPPED: 1}


def test_unread_records_by_partition() -> None:
    """What each program has not read, turned round; a program with nothing unread counts 0."""
    unread = {"lookup": {0: 1}, "scheduler": {}, "results": {0: 2, 1: 3}}
    assert by_partition(unread) == {0: Unread(1, 0, 2), 1: Unread(0, 0, 3)}
