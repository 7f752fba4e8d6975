"""What becomes of a request's row when a record is seen, and whether lookup takes one up.

Both are pure. `results` keeps the row in PostgreSQL with `next_row`; `lookup` merges
what PostgreSQL says with what it remembers by the same function, and asks `takes_up`.
So a redelivery, a record moved twice, and a zombie's late retry are one and the same
case, and records may be read in any order: the end is alike.

Words: a *put* places a request before lookup (from `contacts` or `lookup.due`). An
*outcome* names the turn it ended. A row holds the turn last put (pending, releasing) or
last ended (retrying, parked). A newer *generation* (a redrive) starts anew.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

from services.contracts.packages import Answers, merge_answers


class State(StrEnum):
    """Where a contact stands."""

    PENDING = "pending"
    RELEASING = "releasing"
    RETRYING = "retrying"
    PARKED = "parked"
    COMPLETED = "completed"
    INVALID = "invalid"
    DEAD = "dead"
    CANCELLED = "cancelled"
    ERASED = "erased"


UNFINISHED = frozenset({State.PENDING, State.RELEASING, State.RETRYING, State.PARKED})
#: Unfinished states within one turn: the later beats the earlier.
_PROGRESS = {State.RELEASING: 0, State.PENDING: 1, State.RETRYING: 2, State.PARKED: 3}
_RESULTS = frozenset({State.COMPLETED, State.INVALID})
#: Finished states: the higher beats the lower; dead and cancelled stay as they came.
_FINALITY = {State.DEAD: 1, State.CANCELLED: 1, State.INVALID: 2, State.COMPLETED: 3}


@dataclass(frozen=True, slots=True)
class Row:
    """A request as results keeps it."""

    state: State
    generation: int = 0
    turn: int = 1
    #: What a parked request waits for.
    causes: frozenset[str] = frozenset()
    answers: Answers = field(default_factory=dict)
    #: A result of another generation than the row's, to stand if this one ends dead. On a
    #: row that is completed or invalid it says that this one did, and the row stands by it.
    kept: State | None = None

    @property
    def own_state(self) -> State:
        """Where its own generation stands, whatever result of another one it stands by."""
        stands_by_kept = self.kept is not None and self.state in _RESULTS
        return State.DEAD if stands_by_kept else self.state


@dataclass(frozen=True, slots=True)
class Record:
    """A record as the decision sees it.

    `state` says what it makes of the request: pending for a put, retrying, parked,
    completed, invalid or dead for an outcome; `turn` is the turn put, or ended.
    """

    state: State
    generation: int = 0
    turn: int = 1
    causes: frozenset[str] = frozenset()
    answers: Answers = field(default_factory=dict)


def next_row(row: Row | None, record: Record) -> Row:
    """What the row becomes; the same row if the record changes nothing.

    Answers are merged also from a record that loses, since they were paid. A result of
    an older generation than a finished row's belongs to the number alone, not to the row.
    """
    if row is None:
        return _as_row(record)
    if row.state is State.ERASED:
        return row
    if record.generation > row.generation:
        return _newer_generation(row, record)
    if record.generation < row.generation:
        return _older_generation(row, record)
    answers = merge_answers(row.answers, record.answers)
    if _beats(row, record):
        return _ended(replace(_as_row(record), answers=answers), row.kept)
    causes = row.causes
    if row.state is record.state is State.PARKED and row.turn == record.turn:
        causes |= record.causes
    if answers == row.answers and causes == row.causes:
        return row
    return replace(row, answers=answers, causes=causes)


def takes_up(row: Row | None, request: Record) -> bool:
    """Whether lookup works on a request put before it, given its row; else it is dropped."""
    if row is None:
        return True
    if row.state is State.ERASED or request.generation < row.generation:
        return False
    if request.generation > row.generation:
        return True
    if row.state in {State.PENDING, State.RELEASING}:
        return request.turn >= row.turn
    if row.state in {State.RETRYING, State.PARKED}:
        return request.turn > row.turn
    return False


def released(row: Row) -> Row | None:
    """A parked row on its way back to lookup, its next turn fixed; None if it is not parked."""
    if row.state is not State.PARKED:
        return None
    return replace(row, state=State.RELEASING, turn=row.turn + 1, causes=frozenset())


def cancelled(row: Row) -> Row | None:
    """An unfinished row that a person cancelled; None if it was finished."""
    return replace(row, state=State.CANCELLED) if row.state in UNFINISHED else None


def redriven(row: Row) -> Row | None:
    """A dead row, or a completed one with a failed package, in its next generation; else None."""
    failed = any(answer.status != "ok" for answer in row.answers.values())
    if row.state is State.DEAD or (row.state is State.COMPLETED and failed):
        return Row(
            state=State.RELEASING,
            generation=row.generation + 1,
            answers=row.answers,
            kept=row.state if row.state is State.COMPLETED else row.kept,
        )
    return None


def _as_row(record: Record) -> Row:
    return Row(
        state=record.state,
        generation=record.generation,
        turn=record.turn,
        causes=record.causes,
        answers=record.answers,
    )


def _beats(row: Row, record: Record) -> bool:
    """Whether a record of the row's own generation changes its state or turn."""
    state = row.own_state
    if record.state in _FINALITY:
        return state in UNFINISHED or _FINALITY[record.state] > _FINALITY[state]
    if state not in UNFINISHED:
        return False
    return (record.turn, _PROGRESS[record.state]) > (row.turn, _PROGRESS[row.state])


def _newer_generation(row: Row, record: Record) -> Row:
    kept = row.state if row.state in _RESULTS else row.kept
    return _ended(
        replace(_as_row(record), answers=merge_answers(row.answers, record.answers)), kept
    )


def _older_generation(row: Row, record: Record) -> Row:
    state = row.own_state
    if state not in UNFINISHED and state is not State.DEAD:
        return row
    answers = merge_answers(row.answers, record.answers)
    kept = _better(row.kept, record.state) if record.state in _RESULTS else row.kept
    found = _ended(replace(row, state=state, answers=answers), kept)
    return row if found == row else found


def _better(kept: State | None, found: State) -> State:
    return found if kept is None or _FINALITY[found] > _FINALITY[kept] else kept


def _ended(row: Row, kept: State | None) -> Row:
    """The row with what is kept of other generations: in place of its end if that is dead."""
    if row.state is State.DEAD and kept is not None:
        return replace(row, state=kept, kept=kept)
    return replace(row, kept=None if row.state in _RESULTS else kept)
