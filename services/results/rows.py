"""What a batch of records makes of the requests' rows, their history and the counters. Pure.

Whether a record wins is `services.contracts.turns`' decision. Here stands what follows
from it for the columns beside the state: they are the winning record's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from services.contracts.messages import Contact, DeadLetter, LookupRequest, LookupResult
from services.contracts.packages import Answer, Package
from services.contracts.turns import UNFINISHED, Record, Row, State, next_row

#: Account, phone, package.
AnswerKey = tuple[str, str, Package]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record stands, and its timestamp."""

    topic: str
    partition: int
    offset: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Sighting:
    """A record that says something about a request, as the decision and the columns need it."""

    contact: Contact
    record: Record
    attempts: int = 0
    failing_since: datetime | None = None
    last_error: str | None = None
    due_at: datetime | None = None
    parked_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """The columns of a request that change; what it asks for never does."""

    job_id: UUID
    row: Row
    attempts: int = 0
    failing_since: datetime | None = None
    last_error: str | None = None
    due_at: datetime | None = None
    parked_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a request's history."""

    request_id: UUID
    #: None for a change that no record made.
    place: Place | None
    at: datetime
    from_state: State | None
    after: Progress


@dataclass(slots=True)
class Folded:
    """What a batch makes of its requests."""

    #: Requests that were not there, with what they ask for.
    new: dict[UUID, tuple[Contact, Progress]] = field(default_factory=dict)
    #: Requests that were there and changed.
    changed: dict[UUID, Progress] = field(default_factory=dict)
    history: list[Change] = field(default_factory=list)
    #: Differences by job and state; none is 0.
    counts: Counter[tuple[UUID, str]] = field(default_factory=Counter)
    #: The newest final answers that the batch brings, with the request that paid.
    answers: dict[AnswerKey, tuple[Answer, UUID]] = field(default_factory=dict)
    #: State and time of acceptance of those that were finished by it.
    ended: list[tuple[State, datetime]] = field(default_factory=list)
    #: When Twilio gave those of the answers that were not stored before; known once they are.
    answered: list[datetime] = field(default_factory=list)
    #: What the requests wait for that were parked by it.
    parked_for: set[frozenset[str]] = field(default_factory=set)


def put(request: LookupRequest) -> Sighting:
    """What a record of `contacts` or `lookup.due` says: it stands before lookup."""
    return _sighting(request, State.PENDING, request.turn)


def retried(request: LookupRequest, at: datetime, delay: timedelta) -> Sighting:
    """What a record of a retry topic says; it carries the next turn, its outcome ended the last.

    `at` is the broker's timestamp, from which the delay counts.
    """
    seen = _sighting(request, State.RETRYING, request.turn - 1)
    return replace(seen, due_at=at + delay)


def parked(request: LookupRequest, at: datetime) -> Sighting:
    """What a record of `lookup.parked` says; it carries the turn that ended."""
    seen = _sighting(request, State.PARKED, request.turn, frozenset(request.waits_for))
    return replace(seen, parked_at=at)


def ended(result: LookupResult) -> Sighting:
    """What a record of `lookup.results` says."""
    return Sighting(
        contact=result,
        record=Record(
            State(result.state), result.generation, result.turn, answers=dict(result.answers)
        ),
        attempts=result.attempts,
        ended_at=result.completed_at,
    )


def died(letter: DeadLetter) -> Sighting | None:
    """What a dead letter says of its request; None if it never was one."""
    request = letter.request
    if request is None:
        return None
    return replace(
        _sighting(request, State.DEAD, request.turn),
        attempts=letter.attempts,
        failing_since=request.failing_since or letter.first_failed_at,
        last_error=request.last_error or letter.reason,
        ended_at=letter.last_failed_at,
    )


def advance(progress: Progress | None, seen: Sighting) -> Progress:
    """What a request becomes by a record; the very same object if nothing changes."""
    before = progress.row if progress is not None else None
    after = next_row(before, seen.record)
    if progress is not None and before is not None:
        if after is before:
            return progress
        if (after.state, after.generation, after.turn) == (
            before.state,
            before.generation,
            before.turn,
        ):
            # It lost, and brought answers, causes, or a result of an earlier generation.
            return replace(progress, row=after)
    return Progress(
        job_id=progress.job_id if progress is not None else seen.contact.job_id,
        row=after,
        attempts=seen.attempts,
        failing_since=seen.failing_since,
        last_error=seen.last_error,
        due_at=seen.due_at,
        parked_at=seen.parked_at,
        ended_at=seen.ended_at,
    )


def fold(stored: Mapping[UUID, Progress], seen: Iterable[tuple[Place, Sighting]]) -> Folded:
    """Everything that a batch changes.

    Args:
        stored: The requests of the batch that are there.
        seen: Its records in the order read.
    """
    folded = Folded()
    current: dict[UUID, Progress] = {}
    contacts: dict[UUID, Contact] = {}
    for place, sighting in seen:
        request_id = sighting.contact.request_id
        contacts.setdefault(request_id, sighting.contact)
        before = current.get(request_id) or stored.get(request_id)
        after = advance(before, sighting)
        _keep_answers(folded, sighting)
        if after is before:
            continue
        current[request_id] = after
        from_state = before.row.state if before is not None else None
        folded.history.append(Change(request_id, place, place.at, from_state, after))
    for request_id, after in current.items():
        _settle(folded, contacts[request_id], stored.get(request_id), after)
    return folded


def moved(
    counts: Counter[tuple[UUID, str]], job_id: UUID, before: State | None, after: State
) -> None:
    """Count a request of a job from one state to another; differences of 0 are left out."""
    if before is after:
        return
    for state, step in ((after, 1), (before, -1)):
        if state is None:
            continue
        counts[job_id, state] += step
        if counts[job_id, state] == 0:
            del counts[job_id, state]


def _settle(folded: Folded, contact: Contact, before: Progress | None, after: Progress) -> None:
    if before is None:
        folded.new[contact.request_id] = (contact, after)
    else:
        folded.changed[contact.request_id] = after
    was = before.row.state if before is not None else None
    state = after.row.state
    moved(folded.counts, after.job_id, was, state)
    if state not in UNFINISHED and (was is None or was in UNFINISHED):
        folded.ended.append((state, contact.accepted_at))
    if state is State.PARKED:
        folded.parked_for.add(after.row.causes)


def _keep_answers(folded: Folded, seen: Sighting) -> None:
    """Also from a record that loses: it was paid all the same."""
    for package, answer in seen.record.answers.items():
        if answer.reused or not answer.is_reusable:
            continue
        key = (seen.contact.account, seen.contact.phone, package)
        held = folded.answers.get(key)
        if held is None or answer.looked_up_at > held[0].looked_up_at:
            folded.answers[key] = (answer, seen.contact.request_id)


def _sighting(
    request: LookupRequest, state: State, turn: int, causes: frozenset[str] = frozenset()
) -> Sighting:
    return Sighting(
        contact=request,
        record=Record(state, request.generation, turn, causes, dict(request.answers)),
        attempts=request.attempts,
        failing_since=request.failing_since,
        last_error=request.last_error,
    )
