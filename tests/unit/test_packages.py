"""Answers per package: which of two is kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.contracts.packages import (
    PAID_PACKAGES,
    Answer,
    Package,
    merge_answers,
    newest,
    standing,
)

AT = datetime(2026, 9, 1, tzinfo=UTC)
PACKAGE = Package.LINE_TYPE_INTELLIGENCE


def answer(status: str = "ok", **fields: Any) -> Answer:
    return Answer.model_validate({"status": status, "looked_up_at": AT, **fields})


LATER = AT + timedelta(hours=1)


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (answer("ok"), answer("failed")),
        (answer("ok"), answer("exhausted")),
        (answer("failed"), answer("exhausted")),
        (answer("ok", generation=5, turn=9, looked_up_at=LATER), answer("failed")),
        # Twilio said yes once: that it said no at another time does not take it back.
        (answer(data={"valid": True}, turn=2), answer(data={"valid": False}, turn=1)),
        (answer(data={"valid": False}, turn=2), answer("failed", turn=1)),
        (answer(generation=0, turn=9), answer(generation=1, turn=1)),
        (answer(turn=1, looked_up_at=LATER), answer(turn=2)),
        (answer(), answer(looked_up_at=LATER)),
        (answer(), answer(reused=True)),
    ],
)
def test_what_was_paid_first_is_kept(better: Answer, worse: Answer) -> None:
    """An answer beats a failure beats running out of attempts; among equals the earlier stays."""
    for kept, brought in ((better, worse), (worse, better)):
        assert merge_answers({PACKAGE: kept}, {PACKAGE: brought}) == {PACKAGE: better}


ANSWERS = st.dictionaries(
    st.sampled_from(Package),
    st.builds(
        Answer,
        status=st.sampled_from(["ok", "failed", "exhausted"]),
        code=st.sampled_from([None, 60600, 60601]),
        data=st.sampled_from([None, {"valid": True}, {"valid": False}, {"type": "mobile"}]),
        looked_up_at=st.sampled_from([AT, LATER]),
        generation=st.integers(0, 1),
        turn=st.integers(1, 2),
        billed=st.sampled_from(["yes", "no", "unknown"]),
        reused=st.booleans(),
    ),
)


@given(ANSWERS, ANSWERS, ANSWERS)
def test_merging_has_no_order(
    a: dict[Package, Answer], b: dict[Package, Answer], c: dict[Package, Answer]
) -> None:
    """Any order, grouping and repetition of merges gives the same answers."""
    assert merge_answers(a, b) == merge_answers(b, a)
    assert merge_answers(merge_answers(a, b), c) == merge_answers(a, merge_answers(b, c))
    assert merge_answers(a, a) == a
    assert set(merge_answers(a, b)) == set(a) | set(b)


def test_merging_leaves_its_arguments() -> None:
    """A row's answers are not changed behind its back."""
    kept, brought = {PACKAGE: answer("failed")}, {PACKAGE: answer(), Package.BASIC: answer()}
    merge_answers(kept, brought)
    assert kept == {PACKAGE: answer("failed")}


@pytest.mark.parametrize(
    ("status", "permanent", "reusable"),
    [
        ("ok", False, True),
        ("failed", True, True),  # asking again gives the same, and may cost
        ("failed", False, False),  # said of the account or the region, not of the number
        ("exhausted", False, False),
    ],
)
def test_what_another_request_may_take(status: str, *, permanent: bool, reusable: bool) -> None:
    """An answer, and a failure that is the same for whoever asks."""
    assert answer(status).model_copy(update={"permanent": permanent}).is_reusable is reusable


@pytest.mark.parametrize(
    ("status", "stands"), [("ok", True), ("failed", False), ("exhausted", False)]
)
def test_what_stands_after_a_redrive(status: str, *, stands: bool) -> None:
    """A redrive keeps what was answered and asks again for what failed before it."""
    answers = {PACKAGE: answer(status)}
    assert standing(answers, 0) == answers
    assert standing(answers, 1) == (answers if stands else {})


def test_the_newest_answer_is_of_the_latest_lookup() -> None:
    """Whatever its kind and whichever source it is from."""
    old = answer()
    new = answer("failed").model_copy(update={"looked_up_at": old.looked_up_at + timedelta(days=1)})
    assert newest({PACKAGE: old}, {PACKAGE: new}) == newest({PACKAGE: new}, {PACKAGE: old})
    assert newest({PACKAGE: old}, {PACKAGE: new}) == {PACKAGE: new}


def test_only_basic_is_free() -> None:
    """Every other package costs money, also one that is added."""
    assert set(Package) - set(PAID_PACKAGES) == {Package.BASIC}


def test_an_answer_has_a_time_with_its_zone() -> None:
    """A time without a zone could not be compared with the others."""
    with pytest.raises(ValidationError, match="timezone"):
        Answer.model_validate({"status": "ok", "looked_up_at": "2026-09-01T08:00:00"})
