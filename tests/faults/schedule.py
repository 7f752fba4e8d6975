"""Faults as data: what happens to the system, when, to whom, and for how long.

A schedule is read by `tests.faults.runner`; what a cause does stands in `tests.faults.causes`.
Moments are things that can be seen from outside the system, so that a schedule means the same
on a slow machine; seconds are left for the length of an outage.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Finished:
    """So many contacts have their end as are this share of the first file, as PostgreSQL says."""

    share: float


@dataclass(frozen=True, slots=True)
class Calls:
    """So many more calls are in the simulator's ledger than when the waiting began."""

    more: int


@dataclass(frozen=True, slots=True)
class Moved:
    """Since the waiting began, a process was assigned partitions, as its log says."""

    #: Of this program.
    program: str = "lookup"


@dataclass(frozen=True, slots=True)
class Seconds:
    """So many seconds: how long an outage takes."""

    seconds: float


Moment = Finished | Calls | Moved | Seconds
#: At once.
NOW = Seconds(0)


@dataclass(frozen=True, slots=True)
class Step:
    """One fault.

    It strikes at `when`, counted from the end of the step before; then the steps of `meanwhile`
    happen, then it lasts until `lasting`, counted from their end, and is healed.
    """

    when: Moment
    #: A name of `tests.faults.causes.CAUSES`.
    cause: str
    #: Programs, or parts, by name.
    whom: tuple[str, ...] = ()
    lasting: Moment = NOW
    meanwhile: tuple[Step, ...] = ()
    #: What else the cause needs to know.
    how: Mapping[str, Any] = field(default_factory=dict)


Schedule = tuple[Step, ...]


def random_schedule(
    seed: int, steps: int, menu: Sequence[Step], apart: tuple[int, int]
) -> Schedule:
    """Steps drawn from a menu; the same for the same seed and menu.

    Args:
        seed: Of all chance.
        steps: How many.
        menu: What they are drawn from, each as likely; its moments are kept but `when`.
        apart: The least and the most calls between the end of a step and the next one.
    """
    chance = random.Random(seed)
    return tuple(
        Step(
            Calls(chance.randint(*apart)),
            (drawn := chance.choice(menu)).cause,
            drawn.whom,
            drawn.lasting,
            drawn.meanwhile,
            drawn.how,
        )
        for _ in range(steps)
    )
