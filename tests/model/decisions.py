"""The decisions of the code, asked with what the model keeps of a row, a record, a memory.

Every rule comes from the services themselves; this only turns the model's small tuples into
their types and back, remembers what was asked before, and weakens a rule where it is told to.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import NamedTuple
from uuid import UUID

from services.contracts.messages import LookupRequest
from services.contracts.packages import Answer, Answers, Package, newest
from services.contracts.turns import (
    UNFINISHED,
    Record,
    Row,
    State,
    cancelled,
    next_row,
    redriven,
    released,
    takes_up,
)
from services.lookup import route
from services.lookup.barrier import Barrier
from services.lookup.classify import Problem, Reading
from services.lookup.codes import Class
from services.lookup.memory import Memory, Remembered

#: The logs of the one partition, by their place in `World.logs`.
TOPICS = ("contacts", "due", "retry", "parked", "results", "dead")
CONTACTS, DUE, RETRY, PARKED, RESULTS, DEAD = range(len(TOPICS))
OUTCOMES = (RETRY, PARKED, RESULTS, DEAD)
_STATE_OF = {
    CONTACTS: State.PENDING,
    DUE: State.PENDING,
    RETRY: State.RETRYING,
    PARKED: State.PARKED,
    RESULTS: State.COMPLETED,
    DEAD: State.DEAD,
}

_NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
_PAID = Package.CALLER_NAME
_ANSWERS: Answers = {_PAID: Answer(status="ok", data={}, looked_up_at=_NOW, billed="yes")}
_POLICY = route.Policy((timedelta(seconds=15),), max_attempts=99)
_ACCOUNT, _PHONE = "main", "+14159929960"


class Weakening(StrEnum):
    """One thing left out or done in the wrong order; each must break an invariant."""

    NO_BARRIER = "no barrier"
    STALE_ENDS = "log ends read one record too old"
    NO_GENERATION = "generation left out"
    NO_MEMORY = "memory left out"
    OTHER_REPLY_MEMORY = "memory judged by another reply's offsets"
    OTHER_REPLY_BARRIER = "barrier judged by another reply's offsets"
    CHECK_FIRST = "check before single flight"
    NO_LEASE = "a woken zombie sends"
    EARLY_COMMIT = "commit before the acknowledgement"
    DEAD_LOSES = "a dead letter loses to a later turn"
    CANCEL_ANYWAY = "cancel outside the turns"
    NO_RELEASING_SWEEP = "release without going over releasing rows at a start"
    NO_ROW_LOCK = "row read, then written, without a lock"


class Placed(NamedTuple):
    """A record in a log: the turn it puts, or ended. `retry` carries the next one besides."""

    request: int
    generation: int
    turn: int


class Line(NamedTuple):
    """A request's row; texts and numbers alone, so that worlds can be sorted."""

    state: str = ""
    generation: int = 0
    turn: int = 0
    answered: bool = False
    kept: str = ""

    @property
    def is_finished(self) -> bool:
        return bool(self.state) and self.state not in UNFINISHED


#: What a process remembers: topic, offset, and the record acknowledged there.
Memories = tuple[tuple[int, int, Placed], ...]
NO_LINE = Line()


class Verdict(StrEnum):
    """What lookup does with a record that it took."""

    DROP = "drop"
    FINISH = "finish without a call"
    ASK = "ask"


def _row(line: Line) -> Row | None:
    if not line.state:
        return None
    return Row(
        State(line.state),
        line.generation,
        line.turn,
        answers=_ANSWERS if line.answered else {},
        kept=State(line.kept) if line.kept else None,
    )


def _line(row: Row) -> Line:
    return Line(row.state, row.generation, row.turn, bool(row.answers), row.kept or "")


def _record(topic: int, placed: Placed, weakening: Weakening | None) -> Record:
    generation = 0 if weakening is Weakening.NO_GENERATION else placed.generation
    answers = _ANSWERS if topic == RESULTS else {}
    return Record(_STATE_OF[topic], generation, placed.turn, answers=answers)


@cache
def next_line(line: Line, topic: int, placed: Placed, weakening: Weakening | None) -> Line:
    """What a record makes of a row."""
    row, record = _row(line), _record(topic, placed, weakening)
    if weakening is Weakening.DEAD_LOSES and row is not None:
        if record.state is State.DEAD and row.state in UNFINISHED and row.turn > record.turn:
            return line
        if row.state is State.DEAD and record.state in UNFINISHED and record.turn > row.turn:
            row = replace(row, state=State.PARKED)
    return _line(next_row(row, record))


@cache
def released_line(line: Line) -> Line:
    """A row's first step out of a hold; no line if it is not parked."""
    row = _row(line)
    found = released(row) if row else None
    return _line(found) if found else NO_LINE


@cache
def redriven_line(line: Line, weakening: Weakening | None) -> Line:
    """A row in its next generation; no line if it cannot be redriven."""
    row = _row(line)
    found = redriven(row) if row else None
    if found and weakening is Weakening.NO_GENERATION:
        found = replace(found, generation=0)
    return _line(found) if found else NO_LINE


@cache
def cancelled_line(line: Line, weakening: Weakening | None) -> Line:
    """A row that a person cancels; no line if it cannot be."""
    row = _row(line)
    if row and weakening is Weakening.CANCEL_ANYWAY:
        return _line(replace(row, state=State.CANCELLED))
    found = cancelled(row) if row else None
    return _line(found) if found else NO_LINE


@cache
def reached(ends: tuple[int, ...], stored: tuple[int, ...]) -> bool:
    """Whether the barrier lets the partition flow: ends of the outcome topics, in their order."""
    flows: list[int] = []
    barrier = Barrier(lambda partition, _generation: flows.append(partition))
    barrier.raise_for(1, {0: _offsets(ends)})
    barrier.seen(_offsets(stored[RETRY:]))
    return bool(flows)


def _offsets(values: tuple[int, ...]) -> dict[tuple[str, int], int]:
    return {(TOPICS[topic], 0): value for topic, value in zip(OUTCOMES, values, strict=True)}


@cache
def judge(
    placed: Placed,
    line: Line,
    known: bool,
    memories: Memories,
    stored: tuple[int, ...],
    weakening: Weakening | None,
) -> tuple[Memories, Verdict]:
    """What is remembered after a reply of PostgreSQL, and what becomes of the record.

    Args:
        placed: The record that was taken.
        line: Its request's row by the reply.
        known: Whether the reply holds an answer for the number.
        memories: What the process remembered until now.
        stored: Stored offsets, by which the memory forgets.
        weakening: What is left out.
    """
    memory = Memory(len(memories) + 1)
    for topic, offset, outcome in memories:
        record = _record(topic, outcome, weakening)
        kept = Remembered(UUID(int=outcome.request), _ACCOUNT, _PHONE, record)
        memory.remember(TOPICS[topic], 0, offset, kept)
    memory.forget_stored(_offsets(stored[RETRY:]))
    left = tuple(m for m in memories if m[1] in memory._places[TOPICS[m[0]], 0])
    row = memory.row(UUID(int=placed.request), _row(line))
    if not takes_up(row, _record(CONTACTS, placed, weakening)):
        return left, Verdict.DROP
    request = _request(placed)
    if row is not None and row.answers:
        request = route.with_answers(request, row.answers)
    candidates = newest(_ANSWERS if known else {}, memory.answers(_ACCOUNT, _PHONE))
    request = route.with_answers(request, route.reuse(request, candidates, _NOW))
    return left, Verdict.ASK if route.owed(request) else Verdict.FINISH


class Said(StrEnum):
    """What Twilio says to a call."""

    ANSWER = "answer"
    TRANSIENT = "transient"
    PERMANENT = "permanent"
    STOP = "stop"


_PROBLEMS = {
    Said.TRANSIENT: Class.TRANSIENT,
    Said.PERMANENT: Class.PERMANENT_NUMBER,
    Said.STOP: Class.ACCOUNT_STOP,
}


@cache
def outcome_of(placed: Placed, said: Said) -> tuple[int, Placed]:
    """The topic and the record of what came of a call, naming the turn that ended."""
    asked = frozenset({_PAID})
    if said is Said.ANSWER:
        reading = Reading(asked, _ANSWERS)
    else:
        reading = Reading(asked, problems=(Problem(None, _PROBLEMS[said], "bad", "Bad."),))
    decided = route.decide(
        _request(placed), reading, now=_NOW, policy=_POLICY, rate_limited_in_a_row=0
    )
    match decided:
        case route.Finish(result=result):
            return RESULTS, placed._replace(turn=result.turn)
        case route.Retry(request=following):
            return RETRY, placed._replace(turn=following.turn - 1)
        case route.Park(request=parked):
            return PARKED, placed._replace(turn=parked.turn)
        case route.Dead(request=dead):
            return DEAD, placed._replace(turn=dead.turn)
    raise AssertionError(decided)


@cache
def _request(placed: Placed) -> LookupRequest:
    return LookupRequest(
        request_id=UUID(int=placed.request),
        job_id=UUID(int=7),
        source="model",
        account=_ACCOUNT,
        phone=_PHONE,
        packages=(_PAID,),
        accepted_at=_NOW,
        generation=placed.generation,
        turn=placed.turn,
    )
