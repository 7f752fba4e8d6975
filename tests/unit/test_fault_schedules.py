"""The table of faults is what the runner can play, and leaves none of its causes out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from tests.faults.cases import ALL, CASES, MENU, Case, at_random
from tests.faults.causes import CAUSES
from tests.faults.schedule import Calls, Step, random_schedule

#: Their `whom` is a part, a table, an account or a topic, not a program.
_OF_PROGRAMS = {"kill", "stop", "leave", "join", "roll", "freeze", "files_limited"}
_MOST_QUICK = 12


def steps(schedule: Iterable[Step]) -> Iterator[Step]:
    for step in schedule:
        yield step
        yield from steps(step.meanwhile)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_names_causes_and_programs_that_there_are(case: Case) -> None:
    """Found here in a moment, and not after a minute in the middle of a run."""
    programs = {*case.started, *case.later}
    for step in steps(case.schedule):
        assert step.cause in CAUSES
        if step.cause in _OF_PROGRAMS:
            assert set(step.whom) <= programs
        if step.cause.startswith("way_"):
            assert set(step.whom) <= case.through.keys()
    assert {name for names in case.through.values() for name in names} <= programs


def test_every_cause_has_a_case_and_every_case_a_name() -> None:
    """A cause that no case has proves nothing; names are how a case is run alone."""
    assert {step.cause for case in CASES for step in steps(case.schedule)} == CAUSES.keys()
    assert len({case.name for case in CASES}) == len(CASES)
    assert 0 < sum(case.quick for case in CASES) <= _MOST_QUICK


def test_a_random_schedule_is_its_seed() -> None:
    """The same seed gives the same steps; another one others; all of them from the menu."""
    first = at_random(7, 20)
    assert first == at_random(7, 20)
    assert first.schedule != at_random(8, 20).schedule
    of_menu = {(step.cause, step.whom) for step in MENU}
    assert {(step.cause, step.whom) for step in first.schedule} <= of_menu
    apart = [step.when for step in random_schedule(1, 50, MENU, (10, 12))]
    assert {moment.more for moment in apart if isinstance(moment, Calls)} == {10, 11, 12}
    assert {whom for step in MENU for whom in step.whom} <= set(ALL)
