"""The protocol of turns, barrier, memory, holds and release, in every interleaving."""

from __future__ import annotations

import sys

import pytest

from tests.model.decisions import Weakening
from tests.model.explore import explore
from tests.model.world import Budget

_PAID_TWICE = "2 whole answers paid, 0 cut off"
#: What is enough for each weakening to break an invariant, and what breaks first.
BREAKS = {
    Weakening.NO_BARRIER: (Budget(kills=1), _PAID_TWICE),
    Weakening.STALE_ENDS: (Budget(kills=1), _PAID_TWICE),
    Weakening.NO_GENERATION: (
        Budget(kills=0, doubles=1, failures=1, redrives=1),
        "a turn asked again",
    ),
    Weakening.NO_MEMORY: (Budget(kills=0, doubles=1), _PAID_TWICE),
    Weakening.OTHER_REPLY_MEMORY: (Budget(kills=0, doubles=1), _PAID_TWICE),
    Weakening.OTHER_REPLY_BARRIER: (Budget(kills=1), _PAID_TWICE),
    Weakening.CHECK_FIRST: (Budget(kills=0, doubles=1), _PAID_TWICE),
    Weakening.NO_LEASE: (Budget(kills=1), _PAID_TWICE),
    Weakening.EARLY_COMMIT: (Budget(kills=1), "request 0 lost: pending"),
    Weakening.DEAD_LOSES: (Budget(kills=1, failures=2), "dead became pending"),
    Weakening.CANCEL_ANYWAY: (Budget(kills=0, cancels=1), "completed became cancelled"),
    Weakening.NO_RELEASING_SWEEP: (Budget(kills=1, failures=1), "request 0 lost: releasing"),
    Weakening.NO_ROW_LOCK: (Budget(kills=0), "completed became pending"),
}


@pytest.mark.parametrize(
    ("budget", "requests"),
    [
        pytest.param(Budget(kills=1, doubles=1, failures=1), 1, id="kill, double, failure"),
        pytest.param(Budget(kills=1, failures=2), 1, id="kill, two failures"),
        pytest.param(Budget(kills=2, doubles=1, moves=1), 1, id="two kills, double, move"),
        pytest.param(Budget(kills=1, failures=1, moves=1), 1, id="kill, failure, move"),
        pytest.param(Budget(kills=1, failures=1, redrives=1), 1, id="kill, redrive"),
        pytest.param(Budget(kills=0, doubles=1, failures=1, redrives=1), 1, id="double, redrive"),
        pytest.param(Budget(kills=1, failures=1, cancels=1), 1, id="kill, failure, cancel"),
        pytest.param(Budget(kills=1, doubles=1), 2, id="one number twice: kill, double"),
        pytest.param(Budget(kills=2, moves=1), 2, id="one number twice: two kills, move"),
    ],
)
def test_nothing_is_lost_and_nothing_paid_twice(
    budget: Budget, requests: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each request ends, finished is final, and only calls that a kill cut off are repeated."""
    found = explore(budget, requests=requests)
    with capsys.disabled():
        sys.stdout.write(f"\n{budget}: {found.worlds:,} worlds, {found.ends:,} ends\n")
    assert found.broken is None, "\n".join((found.broken, *found.trace))
    assert found.ends > 0


@pytest.mark.parametrize("weakening", Weakening)
def test_every_rule_is_needed(weakening: Weakening) -> None:
    """With any one rule left out, there is a run that loses a request or pays it twice."""
    budget, broken = BREAKS[weakening]
    assert explore(budget, weakening=weakening).broken == broken
