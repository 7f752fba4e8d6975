"""What the reconciliation of a fault test finds, on books small enough to be made by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from services.contracts.codec import NewerVersionError, encode
from services.contracts.dead_letters import make_dead_letter
from services.contracts.messages import LookupRequest, LookupResult, Message
from services.contracts.packages import Answer, Package
from services.contracts.topics import topic_table
from services.local.twilio.ledger import Call
from services.runtime.kafka import partition_of
from tests.faults.books import Books, Contact, Loss, Stopped
from tests.faults.reconcile import reconcile
from tests.faults.stored import Request, Stored
from tests.faults.topics import Seen

PREFIX, PHONE, REFERENCE = "t.", "+12015550123", "c2"
TOPICS = topic_table(prefix=PREFIX, partitions=4, retry_delays=(timedelta(milliseconds=300),))
PARTITION = partition_of(PHONE.encode(), 4)
JOB, ID = UUID(int=1), UUID(int=2)
LINE = Package.LINE_TYPE_INTELLIGENCE
START = datetime(2026, 9, 1, 8, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def answers(seconds: float) -> dict[Package, Answer]:
    return {
        package: Answer(status="ok", data={}, looked_up_at=at(seconds), turn=2)
        for package in (Package.BASIC, LINE)
    }


def request(turn: int = 1, **changes: object) -> LookupRequest:
    return LookupRequest(
        request_id=ID,
        job_id=JOB,
        source="tests",
        account="default",
        phone=PHONE,
        packages=(Package.BASIC, LINE),
        reference=REFERENCE,
        accepted_at=at(0),
        turn=turn,
    ).model_copy(update=changes)


RESULT = LookupResult(
    **{
        name: getattr(request(), name)
        for name in LookupRequest.model_fields
        if name in LookupResult.model_fields and name not in {"kind", "turn", "attempts", "answers"}
    },
    turn=2,
    attempts=1,
    state="completed",
    answers=answers(3.1),
    completed_at=at(3.1),
)


def seen(topic: str, seconds: float, message: Message | bytes, offset: int = 0) -> Seen:
    value = message if isinstance(message, bytes) else encode(message)
    return Seen(topic, PARTITION, offset, at(seconds), PHONE.encode(), value)


def call(started: float, ended: float, *, answered: bool, code: int | None = None) -> Call:
    return Call(
        started=at(started).isoformat(timespec="microseconds"),
        ended=at(ended).isoformat(timespec="microseconds"),
        account="default",
        number=PHONE,
        packages=(LINE,),
        outcome="answered" if answered else "failed",
        status=200 if answered else 503,
        code=code,
        answered=(Package.BASIC, LINE) if answered else (),
    )


FAILED, ANSWERED = call(1, 1.1, answered=False, code=20503), call(3, 3.05, answered=True)
RETRY = seen("lookup.retry.300ms", 1.2, request(2, attempts=1))
DUE = seen("lookup.due", 1.5, request(2, attempts=1))
DONE = seen("lookup.results", 3.2, RESULT)
ROW = Request(ID, JOB, PHONE, REFERENCE, "completed", 0, 2, answers(3.1))

#: A contact that failed once, was tried again, and got its answer.
GOOD = Books(
    topics=TOPICS,
    prefix=PREFIX,
    submitted=[Contact(REFERENCE, PHONE)],
    records=[seen("contacts", 0.5, request()), RETRY, DUE, DONE],
    stored=Stored(
        requests=(ROW,),
        counters={(JOB, "completed"): 1},
        accepted={JOB: 1},
        history=tuple(
            (f"{PREFIX}{topic}", PARTITION, 0)
            for topic in ("contacts", "lookup.retry.300ms", "lookup.due", "lookup.results")
        ),
        offsets={
            (f"{PREFIX}{topic}", PARTITION): 1
            for topic in ("contacts", "lookup.retry.300ms", "lookup.due", "lookup.results")
        },
    ),
    calls=[FAILED, ANSWERED],
    limit=1,
)


def loss(seconds: float, partition: int = PARTITION) -> Loss:
    return Loss("killed", "lookup-1", at(seconds), frozenset({partition}), at(seconds))


def with_stored(**changes: object) -> Books:
    return replace(GOOD, stored=replace(GOOD.stored, **changes))  # type: ignore[arg-type]  # names of its fields


def with_records(change: Callable[[Seen], list[Seen]]) -> Books:
    return replace(GOOD, records=[made for record in GOOD.records for made in change(record)])


def instead(old: Seen, *new: Seen) -> Books:
    return with_records(lambda record: list(new) if record is old else [record])


def letter() -> Seen:
    made = make_dead_letter(
        reason="internal-error",
        detail="",
        topic=f"{PREFIX}contacts",
        partition=PARTITION,
        offset=0,
        timestamp=at(0.5),
        key=None,
        value=None,
        headers=(),
        failed_at=at(2),
        request=request(),
    )
    return seen("lookup.dead-letters", 2, made)


BEFORE = call(2, 2.05, answered=True)


def test_good_books_have_no_finding() -> None:
    """Where all four sources agree there is nothing to find, and lateness is measured."""
    verdict = reconcile(GOOD)
    assert verdict.findings == []
    assert (verdict.repeats, verdict.lateness) == (0, [timedelta(0)])


@pytest.mark.parametrize(
    ("books", "finding"),
    [
        (replace(GOOD, submitted=[*GOOD.submitted, Contact("c3", "+1")]), "lost before contacts"),
        (replace(GOOD, submitted=[]), "records of nobody's on contacts"),
        (
            replace(
                GOOD,
                records=[
                    *GOOD.records,
                    seen("contacts", 0.6, request(request_id=UUID(int=3)), offset=1),
                ],
            ),
            "more than one request of a contact",
        ),
        (with_stored(requests=()), "lost before PostgreSQL"),
        (with_stored(requests=(ROW, replace(ROW, request_id=UUID(int=3)))), "rows of nobody's"),
        (with_stored(requests=(replace(ROW, state="retrying"),)), "no right end"),
        (with_stored(requests=(replace(ROW, turn=1),)), "rows that differ from the topics"),
        (
            with_stored(requests=(replace(ROW, answers=answers(3.3)),)),
            "rows that differ from the topics",
        ),
        (
            replace(GOOD, records=[*GOOD.records, letter()]),
            "dead letters of contacts that have none to expect",
        ),
        (with_stored(counters={(JOB, "completed"): 2}), "counters that are not their rows"),
        (with_stored(accepted={JOB: 2}), "sealed numbers that are not the rows"),
        (with_stored(history=GOOD.stored.history * 2), "records stored twice"),
        (
            with_stored(offsets={**GOOD.stored.offsets, (f"{PREFIX}contacts", PARTITION): 0}),
            "partitions whose stored place is not their end",
        ),
        (replace(GOOD, calls=[FAILED, BEFORE, ANSWERED]), "asked again without a reason"),
        (instead(DONE), "answers that are not on the topics"),
        (replace(GOOD, calls=[FAILED]), "results of numbers that Twilio never answered"),
        (replace(GOOD, calls=[FAILED, FAILED, ANSWERED]), "more calls than turns"),
        (
            instead(DUE, replace(DUE, at=at(1.5) - timedelta(milliseconds=1))),
            "retries released before their time",
        ),
        (instead(RETRY), "records of lookup.due that nobody asked for"),
        (
            replace(GOOD, stops=[Stopped("default", at(2.5), at(3.5))]),
            "calls to a stopped account",
        ),
        (
            replace(GOOD, garbage=[seen("contacts", 4, b"garbage", offset=1)]),
            "garbage without a dead letter",
        ),
        (
            replace(
                GOOD,
                records=[*GOOD.records, letter()],
                garbage=[seen("contacts", 0.5, b"garbage")],
                stored=replace(
                    GOOD.stored,
                    letters=((f"{PREFIX}contacts", PARTITION, 0, "internal-error"),),
                ),
            ),
            "garbage that its dead letter does not give back",
        ),
        (
            replace(GOOD, losses=[loss(1.05), loss(3.01)], limit=0),
            "more out than the limit allows",
        ),
    ],
)
def test_what_does_not_agree_is_found(books: Books, finding: str) -> None:
    """Each way in which the sources can differ is a finding of its own."""
    assert finding in {found.split(":")[0] for found in reconcile(books).findings}


@pytest.mark.parametrize(
    ("lost", "written_first", "excused"),
    [
        (loss(2.03), False, True),  # the call was under way
        (loss(2.5), False, True),  # answered, and what came of it never written
        (loss(2.03, (PARTITION + 1) % 4), False, False),  # another one's partition
        (loss(1.9), False, False),  # before the call
        (loss(2.5), True, False),  # written before it, so that whoever asks next could read it
        (loss(2.03), True, True),  # a process that woke up wrote it later
    ],
)
def test_a_repeat_is_excused_by_a_loss_that_found_it_in_flight(
    lost: Loss, *, written_first: bool, excused: bool
) -> None:
    """Only a call of the lost process's own partitions, sent before and not written by then."""
    late = seen("lookup.results", 2.2, RESULT.model_copy(update={"answers": answers(2.1)}))
    books = replace(GOOD, calls=[FAILED, BEFORE, ANSWERED], losses=[lost])
    if written_first:
        books = replace(books, records=[*GOOD.records, replace(late, offset=1)])
    verdict = reconcile(books)
    assert verdict.repeats == 1
    found = [f for f in verdict.findings if f.startswith("asked again without a reason")]
    assert bool(found) is not excused


@pytest.mark.parametrize("cuts", [False, True])
def test_an_answer_that_was_cut_off_is_no_repeat_where_something_can_cut_it(*, cuts: bool) -> None:
    """Lookup wrote that the call failed: believed only of a run with something in between."""
    first = call(1, 1.1, answered=True)
    verdict = reconcile(replace(GOOD, calls=[first, ANSWERED], cuts=cuts))
    assert (verdict.repeats, verdict.cut) == (0, 1)
    assert (verdict.findings == []) is cuts


def test_a_dead_letter_of_a_newer_version_is_not_passed_over() -> None:
    """Nobody here writes such, and what it says of a contact would go unseen."""
    newer = seen("lookup.dead-letters", 2, b'{"kind": "dead-letter/99"}')
    with pytest.raises(NewerVersionError):
        reconcile(replace(GOOD, records=[*GOOD.records, newer]))
