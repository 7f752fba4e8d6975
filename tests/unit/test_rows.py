from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contracts.codec import NewerVersionError, UndecodableError, encode
from services.contracts.messages import (
    Contact,
    DeadLetter,
    LookupRequest,
    LookupResult,
    RejectedContact,
)
from services.contracts.packages import Answer, Package
from services.contracts.topics import topic_table
from services.contracts.turns import UNFINISHED, Record, Row, State
from services.results import rows
from services.results.records import Letter, Taken, left_to_others, readers
from services.results.rows import Folded, Place, Progress, Sighting, advance, fold

JOB = UUID(int=7)
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = AT + timedelta(minutes=5)
TOPICS = topic_table()
READ = readers(TOPICS)


def answer(**changes: object) -> Answer:
    return Answer.model_validate({"status": "ok", "looked_up_at": AT, "billed": "yes"} | changes)


def request(**changes: object) -> LookupRequest:
    return LookupRequest.model_validate(
        {
            "request_id": UUID(int=1),
            "job_id": JOB,
            "source": "tests",
            "account": "main",
            "phone": "+14155550100",
            "packages": (Package.BASIC, Package.CALLER_NAME),
            "accepted_at": AT,
        }
        | changes
    )


def result(**changes: object) -> LookupResult:
    known = request().model_dump(exclude={"kind", "waits_for"})
    return LookupResult.model_validate(
        known
        | {
            "state": "completed",
            "answers": {Package.BASIC: answer()},
            "completed_at": LATER,
        }
        | changes
    )


def letter(**changes: object) -> DeadLetter:
    return DeadLetter.model_validate(
        {
            "dead_letter_id": UUID(int=9),
            "reason": "attempts-exhausted",
            "detail": "20500",
            "original_topic": "contacts",
            "original_partition": 0,
            "original_offset": 3,
            "attempts": 4,
            "first_failed_at": AT,
            "last_failed_at": LATER,
        }
        | changes
    )


def place(offset: int, topic: str = "contacts") -> Place:
    return Place(topic, 0, offset, AT + timedelta(seconds=offset))


def folded(*seen: Sighting, stored: dict[UUID, Progress] | None = None) -> Folded:
    return fold(stored or {}, [(place(n), sighting) for n, sighting in enumerate(seen)])


def end_of(done: Folded) -> Progress:
    ((_, progress),) = done.new.values()
    return progress


def test_a_retry_ends_the_turn_before_the_one_it_carries() -> None:
    """A record of a retry topic carries turn E + 1: the row holds E, and when it is due."""
    seen = rows.retried(
        request(turn=3, attempts=2, failing_since=AT, last_error="20500"),
        LATER,
        timedelta(seconds=15),
    )
    progress = advance(None, seen)
    assert (progress.row.state, progress.row.turn) == (State.RETRYING, 2)
    assert progress.due_at == LATER + timedelta(seconds=15)
    assert (progress.attempts, progress.failing_since, progress.last_error) == (2, AT, "20500")


def test_a_parked_record_carries_the_turn_it_ended() -> None:
    """A parked row holds the record's turn, what it waits for, and since when."""
    progress = advance(
        None, rows.parked(request(turn=2, waits_for=("account:main:person",)), LATER)
    )
    assert progress.row == Row(State.PARKED, turn=2, causes=frozenset({"account:main:person"}))
    assert progress.parked_at == LATER


def test_a_result_ends_a_request() -> None:
    """What a result leaves is its state, its answers and when it was completed."""
    progress = advance(advance(None, rows.put(request())), rows.ended(result(attempts=1)))
    assert progress.row.state is State.COMPLETED
    assert progress.row.answers == {Package.BASIC: answer()}
    assert (progress.attempts, progress.ended_at, progress.due_at) == (1, LATER, None)


def test_a_dead_letter_ends_its_request() -> None:
    """A dead letter's request is dead in the turn it carries, with the letter's times."""
    seen = rows.died(letter(request=request(turn=2)))
    assert seen is not None
    progress = advance(None, seen)
    assert (progress.row.state, progress.row.turn) == (State.DEAD, 2)
    assert (progress.attempts, progress.failing_since, progress.ended_at) == (4, AT, LATER)
    assert progress.last_error == "attempts-exhausted"


def test_a_dead_letter_of_no_request_concerns_no_row() -> None:
    """Bytes that never were a request leave no row."""
    assert rows.died(letter(reason="undecodable")) is None


def test_a_record_that_loses_changes_no_column() -> None:
    """A stale put leaves attempts, error and times as the winner wrote them; the same object."""
    retrying = advance(None, rows.retried(request(turn=2, attempts=1), AT, timedelta(seconds=15)))
    assert advance(retrying, rows.put(request(turn=1))) is retrying


def test_a_record_that_loses_still_brings_its_answers() -> None:
    """What was paid is kept, also from a record that loses, and the columns stay."""
    completed = advance(None, rows.ended(result()))
    late = rows.retried(
        request(turn=2, attempts=5, answers={Package.CALLER_NAME: answer()}), AT, timedelta(1)
    )
    progress = advance(completed, late)
    assert progress.row.answers.keys() == {Package.BASIC, Package.CALLER_NAME}
    assert (progress.row.state, progress.attempts, progress.due_at) == (State.COMPLETED, 0, None)


def test_counters_move_by_the_difference_a_batch_makes() -> None:
    """A request that is new and finished within one batch counts once, as finished."""
    done = folded(rows.put(request()), rows.ended(result()))
    assert done.counts == {(JOB, "completed"): 1}
    assert [change.after.row.state for change in done.history] == ["pending", "completed"]
    assert done.ended == [(State.COMPLETED, AT)]


def test_counters_leave_the_state_before() -> None:
    """A stored request that changes is counted out of its old state and into the new one."""
    stored = {UUID(int=1): advance(None, rows.put(request()))}
    done = folded(rows.ended(result()), stored=stored)
    assert done.counts == {(JOB, "pending"): -1, (JOB, "completed"): 1}
    assert not done.new
    assert done.changed.keys() == {UUID(int=1)}


def test_a_batch_read_twice_changes_nothing() -> None:
    """What is stored already moves nothing, and leaves no history."""
    seen = [rows.put(request()), rows.ended(result())]
    stored = {UUID(int=1): end_of(folded(*seen))}
    again = folded(*seen, stored=stored)
    assert (again.new, again.changed, again.history, again.counts) == ({}, {}, [], {})


def test_counters_stay_with_the_rows_own_job() -> None:
    """A record that names another job for a known request does not move that job's counters."""
    stored = {UUID(int=1): advance(None, rows.put(request()))}
    done = folded(rows.ended(result(job_id=UUID(int=8))), stored=stored)
    assert {job for job, _ in done.counts} == {JOB}


@pytest.mark.parametrize(
    ("brought", "kept"),
    [
        (answer(), True),
        (answer(status="failed", code=60620, permanent=True), True),
        (answer(status="failed", code=60606), False),
        (answer(status="exhausted"), False),
        (answer(reused=True), False),
    ],
)
def test_only_final_answers_paid_here_are_the_numbers_own(brought: Answer, kept: bool) -> None:
    """The number's answers are those that others may take and that were not taken themselves."""
    done = folded(rows.ended(result(answers={Package.CALLER_NAME: brought})))
    assert (("main", "+14155550100", Package.CALLER_NAME) in done.answers) is kept


def test_the_newest_answer_of_a_number_stands() -> None:
    """Of two answers for one number and package the later lookup wins, whatever the order."""
    old = rows.ended(result())
    new = rows.ended(
        result(request_id=UUID(int=2), answers={Package.BASIC: answer(looked_up_at=LATER)})
    )
    for order in ((old, new), (new, old)):
        found, paid_by = folded(*order).answers["main", "+14155550100", Package.BASIC]
        assert (found.looked_up_at, paid_by) == (LATER, UUID(int=2))


def test_parked_requests_are_told_by_what_they_wait_for() -> None:
    """A batch says what its parked requests wait for; those taken on again are not among them."""
    held = rows.parked(request(waits_for=("account:main:person",)), AT)
    assert folded(held).parked_for == {frozenset({"account:main:person"})}
    assert folded(held, rows.put(request(turn=2))).parked_for == set()


def _records() -> list[Sighting]:
    """Everything that may come of one request in one generation, over three turns."""
    made: list[Sighting] = [rows.put(request())]
    for turn in (1, 2, 3):
        brought = {Package.BASIC: answer(turn=turn)}
        made += [
            rows.put(request(turn=turn + 1, attempts=turn)),
            rows.retried(request(turn=turn + 1, attempts=turn), AT, timedelta(seconds=15)),
            rows.parked(request(turn=turn, waits_for=(f"account:main:{turn}",)), AT),
            rows.ended(result(turn=turn, answers=brought)),
            rows.ended(result(turn=turn, state="invalid", answers={})),
        ]
        died = rows.died(letter(request=request(turn=turn)))
        assert died is not None
        made.append(died)
    return made


@given(st.lists(st.sampled_from(_records()), min_size=1, max_size=8), st.randoms())
def test_any_order_and_doubling_ends_alike(seen: list[Sighting], chance: Random) -> None:
    """The records of one generation end in the same state and counters in any order, doubled."""
    shuffled = [*seen, *seen[: len(seen) // 2]]
    chance.shuffle(shuffled)
    one, other = folded(*seen), folded(*shuffled)
    assert one.counts == other.counts
    ends = end_of(one).row, end_of(other).row
    if ends[0].state not in UNFINISHED:
        # Which of two equal ends came first is all that may differ.
        ends = replace(ends[0], turn=0), replace(ends[1], turn=0)
    assert ends[0] == ends[1]


@given(st.lists(st.sampled_from(_records()), min_size=1, max_size=8), st.integers(0, 8))
def test_any_cut_into_batches_ends_alike(seen: list[Sighting], cut: int) -> None:
    """Counters of two batches add up to those of one."""
    whole = folded(*seen)
    first = folded(*seen[:cut])
    stored = {key: progress for key, (_, progress) in first.new.items()}
    second = folded(*seen[cut:], stored=stored)
    total = dict(first.counts)
    for key, step in second.counts.items():
        total[key] = total.get(key, 0) + step
    assert {key: n for key, n in total.items() if n} == dict(whole.counts)


def _values() -> Iterator[tuple[str, bytes, State]]:
    yield "contacts", encode(request()), State.PENDING
    yield "lookup.due", encode(request(turn=2)), State.PENDING
    yield "lookup.retry.15s", encode(request(turn=2)), State.RETRYING
    yield "lookup.parked", encode(request()), State.PARKED
    yield "lookup.results", encode(result(state="invalid")), State.INVALID


@pytest.mark.parametrize(("topic", "value", "state"), list(_values()))
def test_a_topic_says_what_its_records_are(topic: str, value: bytes, state: State) -> None:
    """The same bytes mean what the topic they stand on says."""
    said = READ[topic](value, AT)
    assert isinstance(said, Sighting)
    assert said.record.state is state


def test_every_topic_that_results_reads_has_a_reader() -> None:
    """The topic table and the readers name the same topics, control apart."""
    read = {t.name for t in TOPICS.all if "results" in t.read_by} - {TOPICS.control.name}
    assert READ.keys() == read


def test_what_lookup_reads_too_is_buried_by_lookup() -> None:
    """One unreadable record makes one dead letter: lookup writes those of what reaches it."""
    assert left_to_others(TOPICS) == {
        "contacts",
        "lookup.due",
        "lookup.retry.15s",
        "lookup.retry.1m",
        "lookup.retry.5m",
    }


def test_rejected_rows_are_read() -> None:
    """A record of `contacts.rejected` is the row that was refused."""
    row = RejectedContact(
        rejection_id=UUID(int=3),
        job_id=JOB,
        source="tests",
        row=2,
        column="phone",
        reason="too-short",
        text="12**",
        rejected_at=AT,
    )
    assert READ["contacts.rejected"](encode(row), AT) == row


@pytest.mark.parametrize(
    "topic", ["contacts", "lookup.due", "lookup.retry.15s", "lookup.parked", "lookup.results"]
)
def test_a_record_that_results_buries_keeps_its_contact(topic: str) -> None:
    """The request of its dead letter is asked about the same, with all that the client sent."""
    sent = {"reference": "c7", "row": 3, "column": "Phone", "extra": {"Note": "=1"}}
    said = READ[topic](encode((result if topic == "lookup.results" else request)(**sent)), AT)
    buried = Taken(place(0, topic), said).request
    assert buried is not None
    whole = request(**sent)
    assert all(getattr(buried, name) == getattr(whole, name) for name in Contact.model_fields)


@pytest.mark.parametrize("value", [None, b"", b"{", b"\xff", b'{"kind":"lookup-result/1"}'])
def test_garbage_is_said_to_be(value: bytes | None) -> None:
    """Bytes that are no record of their topic's are undecodable, except as dead letters."""
    for topic, read in READ.items():
        if topic == "lookup.dead-letters":
            said = read(value, AT)
            assert isinstance(said, Letter)
            assert (said.letter, said.value) == (None, value)
            assert Taken(place(0, topic), said).sighting is None
        else:
            with pytest.raises(UndecodableError):
                read(value, AT)


def test_a_newer_version_is_not_garbage() -> None:
    """A record of a later version stops the reader, whichever topic it is on."""
    newer = encode(request()).replace(b"lookup-request/1", b"lookup-request/2")
    with pytest.raises(NewerVersionError):
        READ["contacts"](newer, AT)
    with pytest.raises(NewerVersionError):
        READ["lookup.dead-letters"](encode(letter()).replace(b"letter/1", b"letter/2"), AT)


@pytest.mark.parametrize(
    ("reference", "stored"), [("a\x00b", "a\ufffdb"), ("a\\u0000b", "a\\u0000b"), ("é", "é")]
)
def test_what_postgresql_cannot_keep_is_replaced(reference: str, stored: str) -> None:
    """U+0000 becomes U+FFFD; a text that only spells its escape stays."""
    said = READ["contacts"](encode(request(reference=reference)), AT)
    assert isinstance(said, Sighting)
    assert said.contact.reference == stored


def test_records_of_other_generations_follow_the_decision() -> None:
    """A newer generation takes over with its own attempts; an older record changes nothing."""
    dead = rows.died(letter(request=request()))
    assert dead is not None
    redriven = rows.put(request(generation=1))
    progress = advance(advance(None, dead), redriven)
    assert (progress.row.state, progress.row.generation, progress.attempts) == (
        State.PENDING,
        1,
        0,
    )
    assert advance(progress, rows.put(request(turn=9))) is progress
    assert progress.row == Row(State.PENDING, generation=1)
    assert redriven.record == Record(State.PENDING, generation=1)
