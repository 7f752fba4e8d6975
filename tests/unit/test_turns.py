"""The decision table of turns, cell by cell, and that the order of records does not matter."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contracts.packages import Answer, Package, merge_answers
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

AT = datetime(2026, 9, 1, tzinfo=UTC)
FINISHED = [state for state in State if state not in UNFINISHED]
RESULTS = (State.COMPLETED, State.INVALID)
BASIC = {Package.BASIC: Answer(status="ok", data={"valid": True}, looked_up_at=AT)}
FAILED = {Package.CALLER_NAME: Answer(status="failed", code=60600, looked_up_at=AT)}

#: The row holds turn 3. The record's turn is 2, 3 or 4: what becomes of the row's state,
#: `=` being nothing. A put is a record of `contacts` or of `lookup.due`.
CELLS = """
row        record     turn 2     turn 3     turn 4

none       put        pending    pending    pending
none       retrying   retrying   retrying   retrying
none       parked     parked     parked     parked
none       completed  completed  completed  completed
none       invalid    invalid    invalid    invalid
none       dead       dead       dead       dead

pending    put        =          =          pending
pending    retrying   =          retrying   retrying
pending    parked     =          parked     parked
pending    completed  completed  completed  completed
pending    invalid    invalid    invalid    invalid
pending    dead       dead       dead       dead

retrying   put        =          =          pending
retrying   retrying   =          =          retrying
retrying   parked     =          parked     parked
retrying   completed  completed  completed  completed
retrying   invalid    invalid    invalid    invalid
retrying   dead       dead       dead       dead

parked     put        =          =          pending
parked     retrying   =          =          retrying
parked     parked     =          =          parked
parked     completed  completed  completed  completed
parked     invalid    invalid    invalid    invalid
parked     dead       dead       dead       dead

releasing  put        =          pending    pending
releasing  retrying   =          retrying   retrying
releasing  parked     =          parked     parked
releasing  completed  completed  completed  completed
releasing  invalid    invalid    invalid    invalid
releasing  dead       dead       dead       dead

completed  put        =          =          =
completed  retrying   =          =          =
completed  parked     =          =          =
completed  completed  =          =          =
completed  invalid    =          =          =
completed  dead       =          =          =

invalid    put        =          =          =
invalid    retrying   =          =          =
invalid    parked     =          =          =
invalid    completed  completed  completed  completed
invalid    invalid    =          =          =
invalid    dead       =          =          =

dead       put        =          =          =
dead       retrying   =          =          =
dead       parked     =          =          =
dead       completed  completed  completed  completed
dead       invalid    invalid    invalid    invalid
dead       dead       =          =          =

cancelled  put        =          =          =
cancelled  retrying   =          =          =
cancelled  parked     =          =          =
cancelled  completed  completed  completed  completed
cancelled  invalid    invalid    invalid    invalid
cancelled  dead       =          =          =

erased     put        =          =          =
erased     retrying   =          =          =
erased     parked     =          =          =
erased     completed  =          =          =
erased     invalid    =          =          =
erased     dead       =          =          =
"""
SAME_GENERATION = [
    pytest.param(row, record, turn, becomes, id=f"{row}-{record}({turn})")
    for line in CELLS.splitlines()[2:]
    if line
    for row, record, *cells in [line.split()]
    for turn, becomes in zip((2, 3, 4), cells, strict=True)
]


def row_of(state: str, **fields: object) -> Row | None:
    """A row of turn 3, or none."""
    if state == "none":
        return None
    return replace(Row(state=State(state), turn=3), **fields)  # type: ignore[arg-type] # any field


def record_of(name: str) -> State:
    return State.PENDING if name == "put" else State(name)


@pytest.mark.parametrize(("row", "record", "turn", "becomes"), SAME_GENERATION)
def test_what_a_record_makes_of_a_row(row: str, record: str, turn: int, becomes: str) -> None:
    """Within a generation the later turn wins, then the further one; what ended stays ended."""
    before = row_of(row)
    after = next_row(before, Record(state=record_of(record), turn=turn))
    if becomes == "=":
        assert after is before
    else:
        assert after == Row(state=State(becomes), turn=turn)


@pytest.mark.parametrize(("row", "record", "turn", "becomes"), SAME_GENERATION)
def test_answers_are_kept_whoever_wins(row: str, record: str, turn: int, becomes: str) -> None:
    """What was paid for is merged also from a record that loses; nothing stays of an erased one."""
    before = row_of(row, answers=BASIC) if row != "none" else None
    after = next_row(before, Record(state=record_of(record), turn=turn, answers=FAILED))
    if row == "erased":
        assert after.answers == BASIC
    elif before is None:
        assert after.answers == FAILED
    else:
        assert after.answers == BASIC | FAILED
    assert after.state == State(row if becomes == "=" else becomes)


@pytest.mark.parametrize(
    ("turn", "causes"),
    [(2, {"a"}), (3, {"a", "b"}), (4, {"b"})],
    ids=["earlier", "same", "later"],
)
def test_causes_of_one_turn_are_united(turn: int, causes: set[str]) -> None:
    """A request parked twice in one turn waits for all; a later parking has causes of its own."""
    row = Row(state=State.PARKED, turn=3, causes=frozenset({"a"}))
    record = Record(state=State.PARKED, turn=turn, causes=frozenset({"b"}))
    assert next_row(row, record).causes == causes


@pytest.mark.parametrize("state", State)
def test_a_person_cancels_what_is_unfinished(state: State) -> None:
    """Only what has not ended can be cancelled, and its answers stay."""
    row = Row(state=state, turn=3, answers=BASIC)
    expected = replace(row, state=State.CANCELLED) if state in UNFINISHED else None
    assert cancelled(row) == expected


@pytest.mark.parametrize("state", State)
def test_only_what_is_parked_is_released(state: State) -> None:
    """A released request gets its next turn at once, so that every release makes the same record."""
    row = Row(state=state, turn=3, causes=frozenset({"a"}), answers=BASIC)
    expected = Row(state=State.RELEASING, turn=4, answers=BASIC)
    assert released(row) == (expected if state is State.PARKED else None)


@pytest.mark.parametrize(
    ("state", "answers", "kept"),
    [
        (State.DEAD, {}, None),
        (State.DEAD, BASIC | FAILED, None),
        (State.COMPLETED, BASIC | FAILED, State.COMPLETED),
    ],
)
def test_a_redrive_starts_a_generation(
    state: State, answers: dict[Package, Answer], kept: State | None
) -> None:
    """The dead, and the completed with a failed package, start anew at turn 1 with their answers."""
    row = Row(state=state, generation=2, turn=7, answers=answers)
    assert redriven(row) == Row(
        state=State.RELEASING, generation=3, turn=1, answers=answers, kept=kept
    )


@pytest.mark.parametrize("state", [state for state in State if state is not State.DEAD])
def test_nothing_else_is_redriven(state: State) -> None:
    """What is on its way, or was answered in full, is refused."""
    answers = BASIC if state is State.COMPLETED else BASIC | FAILED
    assert redriven(Row(state=state, answers=answers)) is None


@pytest.mark.parametrize("found", RESULTS)
@pytest.mark.parametrize("state", [*sorted(UNFINISHED), State.DEAD])
def test_a_late_result_of_an_older_generation_counts(state: State, found: State) -> None:
    """It is kept while the row is unfinished, and is the end of a row that is dead."""
    row = Row(state=state, generation=2, turn=3, answers=FAILED)
    after = next_row(row, Record(state=found, generation=1, turn=9, answers=BASIC))
    assert after.generation == 2
    assert after.answers == BASIC | FAILED
    if state is State.DEAD:
        assert after.state is found
    else:
        assert (after.state, after.turn, after.kept) == (state, 3, found)
        dead = next_row(after, Record(state=State.DEAD, generation=2, turn=3))
        assert (dead.state, dead.answers) == (found, BASIC | FAILED)


@pytest.mark.parametrize("found", [State.PENDING, State.RETRYING, State.PARKED, State.DEAD])
@pytest.mark.parametrize("state", State)
def test_the_rest_of_an_older_generation_changes_nothing(state: State, found: State) -> None:
    """A redriven request does not go back to where it was."""
    row = Row(state=state, generation=2, turn=3)
    assert next_row(row, Record(state=found, generation=1, turn=9)) is row


@pytest.mark.parametrize("found", [State.RETRYING, State.PARKED, State.DEAD])
@pytest.mark.parametrize("state", [*sorted(UNFINISHED), State.DEAD])
def test_answers_of_an_older_generation_are_kept(state: State, found: State) -> None:
    """What a straggler brings was paid for: the redriven request does not ask for it again."""
    row = Row(state=state, generation=2, turn=3, answers=FAILED)
    after = next_row(row, Record(state=found, generation=1, turn=9, answers=BASIC))
    assert after == replace(row, answers=BASIC | FAILED)


@pytest.mark.parametrize("found", RESULTS)
@pytest.mark.parametrize("state", [State.COMPLETED, State.INVALID, State.CANCELLED, State.ERASED])
def test_an_older_result_leaves_these_rows(state: State, found: State) -> None:
    """It belongs to the number alone where the row has ended otherwise."""
    row = Row(state=state, generation=2, turn=3, answers=FAILED)
    assert next_row(row, Record(state=found, generation=1, answers=BASIC)) is row


@pytest.mark.parametrize("found", [State.PENDING, State.RETRYING, State.PARKED, *RESULTS])
@pytest.mark.parametrize("state", [state for state in State if state is not State.ERASED])
def test_a_newer_generation_takes_over(state: State, found: State) -> None:
    """Whatever the row was, except erased; its answers stay."""
    row = Row(state=state, generation=1, turn=9, answers=FAILED)
    after = next_row(row, Record(state=found, generation=2, turn=1, answers=BASIC))
    assert (after.state, after.generation, after.turn) == (found, 2, 1)
    assert after.answers == BASIC | FAILED


@pytest.mark.parametrize("state", [state for state in State if state is not State.ERASED])
def test_a_newer_generation_that_ends_dead(state: State) -> None:
    """It falls back on the result there was, in one step or after a while."""
    row = Row(state=state, generation=1, turn=9)
    dead = Record(state=State.DEAD, generation=2, turn=1)
    expected = state if state in RESULTS else State.DEAD
    assert next_row(row, dead).state is expected
    begun = next_row(row, Record(state=State.PENDING, generation=2, turn=1))
    assert next_row(begun, dead).state is expected


@pytest.mark.parametrize("generation", [0, 1, 2])
@pytest.mark.parametrize("found", [s for s in State if s not in {State.CANCELLED, State.ERASED}])
def test_erased_stays_erased(found: State, generation: int) -> None:
    """No record brings back what a person had erased."""
    row = Row(state=State.ERASED, generation=1)
    record = Record(state=found, generation=generation, turn=9, answers=BASIC)
    assert next_row(row, record) is row


#: Whether lookup takes up a put of turn 2, 3 or 4, the row holding turn 3.
TAKEN = {
    State.PENDING: (False, True, True),
    State.RELEASING: (False, True, True),
    State.RETRYING: (False, False, True),
    State.PARKED: (False, False, True),
} | dict.fromkeys(FINISHED, (False, False, False))


@pytest.mark.parametrize("state", State)
def test_what_lookup_takes_up(state: State) -> None:
    """A call is made only for the turn that is on its way, never for one that has ended."""
    row = Row(state=state, generation=1, turn=3)
    puts = [Record(state=State.PENDING, generation=1, turn=turn) for turn in (2, 3, 4)]
    assert tuple(takes_up(row, put) for put in puts) == TAKEN[state]


@pytest.mark.parametrize("state", State)
def test_lookup_and_generations(state: State) -> None:
    """A redriven request is taken up whatever its row was, an older one never."""
    row = Row(state=state, generation=1, turn=3)
    older, newer = (Record(state=State.PENDING, generation=g, turn=9) for g in (0, 2))
    assert not takes_up(row, older)
    assert takes_up(row, newer) is (state is not State.ERASED)
    assert takes_up(None, older)


TIMES = st.sampled_from([AT, AT.replace(hour=1)])
ANSWERS = st.dictionaries(
    st.sampled_from(Package),
    st.builds(
        Answer,
        status=st.sampled_from(["ok", "failed", "exhausted"]),
        code=st.sampled_from([None, 60600]),
        data=st.sampled_from([None, {"valid": True}, {"valid": False}]),
        looked_up_at=TIMES,
        turn=st.integers(1, 3),
        billed=st.sampled_from(["yes", "no", "unknown"]),
        reused=st.booleans(),
    ),
    max_size=3,
)


@st.composite
def records(draw: st.DrawFn, generation: int = 1) -> Record:
    """Any record of one generation; only what is parked has causes."""
    state = draw(
        st.sampled_from([State.PENDING, State.RETRYING, State.PARKED, *RESULTS, State.DEAD])
    )
    causes = draw(st.frozensets(st.sampled_from("abc"), min_size=1, max_size=2))
    return Record(
        state=state,
        generation=generation,
        turn=draw(st.integers(1, 4)),
        causes=causes if state is State.PARKED else frozenset(),
        answers=draw(ANSWERS),
    )


@st.composite
def two_readings(draw: st.DrawFn) -> tuple[list[Record], list[Record]]:
    """A set of records, read twice: in two orders, with records that come again."""
    written = draw(st.lists(records(), min_size=1, max_size=6))
    again = draw(st.lists(st.sampled_from(written), max_size=4))
    return written, draw(st.permutations(written + again))


def end_of(row: Row | None, read: list[Record]) -> Row:
    for record in read:
        row = next_row(row, record)
    assert row is not None
    return row


def seen(row: Row) -> tuple[object, ...]:
    """What of a row must not depend on the order: of a finished one its turn tells nothing."""
    if row.state in UNFINISHED:
        return row.state, row.turn, row.causes, row.answers
    return row.state, row.answers


STARTS = st.one_of(
    st.none(),
    st.builds(
        Row,
        state=st.sampled_from(State),
        generation=st.integers(0, 2),
        turn=st.integers(1, 4),
        answers=ANSWERS,
    ),
    # Redriven: a result of the generation before stands behind it.
    st.builds(
        Row,
        state=st.just(State.RELEASING),
        generation=st.just(1),
        answers=ANSWERS,
        kept=st.sampled_from(RESULTS),
    ),
)


@given(STARTS, two_readings())
def test_order_and_doubling_change_nothing(
    start: Row | None, readings: tuple[list[Record], list[Record]]
) -> None:
    """Redelivery, a record moved twice, and a zombie's late outcome all end alike."""
    first, second = readings
    assert seen(end_of(start, first)) == seen(end_of(start, second))


def test_a_row_that_stands_by_a_kept_result() -> None:
    """Its own generation's result replaces the one it stands by, in whatever order they come."""
    start = Row(state=State.RELEASING, generation=1, kept=State.COMPLETED)
    dead, invalid = (Record(state=s, generation=1) for s in (State.DEAD, State.INVALID))
    assert end_of(start, [dead]).state is State.COMPLETED
    assert end_of(start, [dead]).own_state is State.DEAD
    assert end_of(start, [dead, invalid]).state is State.INVALID
    assert end_of(start, [invalid, dead]).state is State.INVALID


@given(STARTS, two_readings(), two_readings())
def test_order_around_a_cancellation(
    start: Row | None,
    before: tuple[list[Record], list[Record]],
    after: tuple[list[Record], list[Record]],
) -> None:
    """With a person's act in its place, the orders before and after it do not matter."""
    ends = []
    for first, second in zip(before, after, strict=True):
        row = end_of(start, first)
        ends.append(seen(end_of(cancelled(row) or row, second)))
    assert ends[0] == ends[1]


@given(st.lists(records(), min_size=1, max_size=6))
def test_an_end_is_only_bettered(read: list[Record]) -> None:
    """Valid beats invalid beats dead, and nothing finished becomes unfinished again."""
    rank = dict.fromkeys(UNFINISHED, 0) | {State.DEAD: 1, State.INVALID: 2, State.COMPLETED: 3}
    row: Row | None = None
    reached = 0
    for record in read:
        row = next_row(row, record)
        assert rank[row.state] >= reached
        reached = rank[row.state]
    assert reached == max(rank[record.state] for record in read)


@given(STARTS, records())
def test_no_answer_is_lost(start: Row | None, record: Record) -> None:
    """The row always holds the merge of what it had and what the record brought."""
    after = next_row(start, record)
    had = start.answers if start else {}
    if start is not None and start.state is State.ERASED:
        assert after is start
    elif start is None or record.generation >= start.generation:
        assert after.answers == merge_answers(had, record.answers)
