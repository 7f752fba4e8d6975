"""Every interleaving, breadth first: the first run found to break an invariant is a shortest.

Worlds that were seen are kept as their 64-bit hashes; that two of a million collide, and one
is left out, has a chance of one in ten million.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from services.contracts.turns import State
from tests.model.decisions import DEAD, RESULTS, Line, Weakening
from tests.model.lookup_steps import lookup_steps
from tests.model.other_steps import other_steps
from tests.model.step import Step
from tests.model.world import Budget, World, first_world

_RANK = {State.DEAD: 1, State.CANCELLED: 1, State.INVALID: 2, State.COMPLETED: 3}


@dataclass(frozen=True)
class Found:
    """What an exploration came to."""

    worlds: int
    #: Runs that came to rest: worlds in which nothing is left but faults and people's acts.
    ends: int
    #: What broke first, and the shortest run to it; None if nothing did.
    broken: str | None = None
    trace: tuple[str, ...] = ()


class TooManyWorldsError(Exception):
    """The exploration has no end in sight."""


def explore(
    budget: Budget, *, requests: int = 1, weakening: Weakening | None = None, limit: int = 2_000_000
) -> Found:
    """Explore every run from the first world, until an invariant breaks or all are seen.

    A run cannot go round for ever without faults: each other step moves a record, an offset, a
    piece of work or a release on, and none takes one back. So every run comes to rest.

    Raises:
        TooManyWorldsError: There are more than `limit`.
    """
    first = first_world(budget, requests)
    came_from: dict[int, tuple[int, str]] = {hash(first): (0, "")}
    layer, ends = [first], 0
    while layer:
        following: list[World] = []
        for world in layer:
            here, rests = hash(world), True
            for step in steps(world, weakening):
                rests = rests and step.fault
                there = hash(step.world)
                if there in came_from:
                    continue
                came_from[there] = here, step.label
                if broken := broken_by(world, step):
                    return Found(len(came_from), ends, broken, _trace(came_from, there))
                following.append(step.world)
            if rests:
                ends += 1
                if broken := broken_at_rest(world):
                    return Found(len(came_from), ends, broken, _trace(came_from, here))
        if len(came_from) > limit:
            raise TooManyWorldsError(f"more than {limit:,} worlds, and no invariant broken so far")
        layer = following
    return Found(len(came_from), ends)


def steps(world: World, weakening: Weakening | None) -> Iterator[Step]:
    """Everything that can happen next."""
    yield from lookup_steps(world, weakening)
    yield from other_steps(world, weakening)


def broken_by(before: World, step: Step) -> str | None:
    """The invariant that a step breaks."""
    after = step.world
    if after.paid > 1 + after.cut_off:
        return f"{after.paid} whole answers paid, {after.cut_off} cut off"
    if after.may_ask_again < 0:
        return "a turn asked again"
    for old, new in zip(before.lines, after.lines, strict=True):
        if old is not new and old.is_finished and not _may_follow(old, new, after, before):
            return f"{old.state} became {new.state}"
    return None


def _may_follow(old: Line, new: Line, after: World, before: World) -> bool:
    """Whether a finished row may become this: a better end, or what a redrive makes of it."""
    if new.generation > old.generation or after.redrives != before.redrives:
        return True
    if not new.is_finished:
        return False
    better = _RANK[State(new.state)] > _RANK[State(old.state)]
    return better or new.state == old.state


def broken_at_rest(world: World) -> str | None:
    """The invariant broken where a run ends: every request has its end, none has lost its answer."""
    for request, line in enumerate(world.lines):
        if not line.is_finished:
            return f"request {request} lost: {line.state or 'no row'}"
        ends = {
            placed.generation
            for topic in (RESULTS, DEAD)
            for placed in world.logs[topic]
            if placed.request == request
        }
        answered = any(placed.request == request for placed in world.logs[RESULTS])
        if answered and line.state not in {State.COMPLETED, State.CANCELLED}:
            return f"request {request} answered, but {line.state}"
        redriven = world.redrives[request]
        if line.state == State.DEAD and redriven not in ends:
            return f"redrive {redriven} of request {request} lost"
    return None


def _trace(came_from: dict[int, tuple[int, str]], there: int) -> tuple[str, ...]:
    labels: list[str] = []
    while came_from[there][1]:
        there, label = came_from[there]
        labels.append(label)
    return tuple(reversed(labels))
