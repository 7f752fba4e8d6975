"""The system under every fault that can be caused: four sources are reconciled after each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.cases import CASES, Case
from tests.faults.conftest import StartCase
from tests.faults.runner import keep, play, run


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=case.name, marks=() if case.quick else pytest.mark.more_faults)
        for case in CASES
    ],
)
def test_nothing_is_lost_and_nothing_paid_twice(
    case: Case,
    start: StartCase,
    note_figures: Callable[[dict[str, object]], None],
    pipeline_directory: Path,
) -> None:
    """Whatever happens, the contacts, the topics, PostgreSQL and the ledger agree to the last one.

    No contact is lost; totals add up at every reading; nothing is asked again but what was out
    in a process that was killed or lost its session; no retry is early; rows are what the
    records make them, each stored once.
    """
    kept = pipeline_directory / "books"
    with start(case) as scene:
        books, outcome = run(scene, lambda: play(scene, case.schedule), kept, cuts=case.cuts)
        if outcome.verdict.findings:
            keep(books, outcome, kept)
        note_figures(outcome.figures)
        assert outcome.verdict.findings == []
