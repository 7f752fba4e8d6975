"""What results, the scheduler, ingest and people do to the world."""

from __future__ import annotations

from collections.abc import Iterator

from services.contracts.turns import State
from tests.model.decisions import (
    CONTACTS,
    DUE,
    RESULTS,
    RETRY,
    TOPICS,
    Line,
    Placed,
    Weakening,
    cancelled_line,
    next_line,
    redriven_line,
    released_line,
)
from tests.model.step import Step
from tests.model.world import AT_REST, World, appended, replaced

_BEGUN, _APPENDED = 1, 2


def other_steps(world: World, weakening: Weakening | None) -> Iterator[Step]:
    """Every step that is not lookup's."""
    yield from _storing(world, weakening)
    yield from _scheduling(world)
    for request in range(len(world.lines)):
        yield from _releasing(world, request, weakening)
        yield from _people(world, request, weakening)
    left = world.left
    if world.held:
        yield Step("hold cleared", world._replace(held=False))
    elif left.failures:
        held = world._replace(held=True, left=left._replace(failures=left.failures - 1))
        yield Step("hold set", held, fault=True)
    if left.doubles:
        twice = appended(world, CONTACTS, Placed(0, 0, 1))
        yield Step("ingest appends contact 0 again", _one_double_less(twice), fault=True)
    under_way = any(release != AT_REST for release in world.releases)
    if left.kills and (under_way or world.read):
        killed = world._replace(
            left=left._replace(kills=left.kills - 1),
            releases=(AT_REST,) * len(world.releases),
            read=(),
        )
        yield Step("kill -9 results", killed, fault=True)


def _storing(world: World, weakening: Weakening | None) -> Iterator[Step]:
    """Results stores the next record of any topic: row, answer and offset in one transaction."""
    for topic, name in enumerate(TOPICS):
        offset = world.stored[topic]
        if offset == len(world.logs[topic]):
            continue
        placed = world.logs[topic][offset]
        told = f"{name} {placed.request} generation {placed.generation} turn {placed.turn}"
        line = world.lines[placed.request]
        if world.read and world.read[0] == topic:
            line = world.read[1]
        elif weakening is Weakening.NO_ROW_LOCK and not world.read:
            yield Step(f"read row for {told}", world._replace(read=(topic, line)))
        after = world._replace(
            stored=replaced(world.stored, topic, offset + 1),
            lines=replaced(world.lines, placed.request, next_line(line, topic, placed, weakening)),
            known=world.known or topic == RESULTS,
            read=() if world.read and world.read[0] == topic else world.read,
        )
        yield Step(f"store {told}", after)


def _scheduling(world: World) -> Iterator[Step]:
    if world.scheduled == len(world.logs[RETRY]):
        return
    placed = world.logs[RETRY][world.scheduled]
    moved = appended(world, DUE, placed._replace(turn=placed.turn + 1))
    told = f"scheduler moves retry {placed.request} of turn {placed.turn}"
    yield Step(told, moved._replace(scheduled=world.scheduled + 1))
    if world.left.doubles:
        yield Step(f"{told}, acknowledgement lost", _one_double_less(moved), fault=True)


def _releasing(world: World, request: int, weakening: Weakening | None) -> Iterator[Step]:
    """The three steps of a release; a redrive begins like one (see `_people`)."""
    line, (step, generation, turn) = world.lines[request], world.releases[request]
    if step == 0:
        begun = released_line(line)
        if begun.state and not world.held:
            yield Step(f"release {request} begun", _begun(world, request, begun))
        if line.state == State.RELEASING and weakening is not Weakening.NO_RELEASING_SWEEP:
            yield Step(f"releasing {request} found", _begun(world, request, line))
    elif step == _BEGUN:
        # The log tells redrives apart also where the turns do not.
        placed = Placed(request, world.redrives[request], turn)
        after = appended(world, DUE, placed)
        told = f"release {request} appended as turn {turn}"
        yield Step(told, _release_at(after, request, (_APPENDED, generation, turn)))
        if world.left.doubles:
            yield Step(f"{told}, acknowledgement lost", _one_double_less(after), fault=True)
    else:
        after = _release_at(world, request, AT_REST)
        if (line.state, line.generation, line.turn) == (State.RELEASING, generation, turn):
            put = line._replace(state=State.PENDING)
            after = after._replace(lines=replaced(world.lines, request, put))
        yield Step(f"release {request} finished", after)


def _people(world: World, request: int, weakening: Weakening | None) -> Iterator[Step]:
    left, line = world.left, world.lines[request]
    if left.redrives and world.releases[request] == AT_REST:
        redriven = redriven_line(line, weakening)
        if redriven.state:
            after = _begun(world, request, redriven)._replace(
                left=left._replace(redrives=left.redrives - 1),
                redrives=replaced(world.redrives, request, world.redrives[request] + 1),
            )
            yield Step(f"redrive {request}", after, fault=True)
    if left.cancels:
        cancelled = cancelled_line(line, weakening)
        if cancelled.state:
            after = world._replace(
                left=left._replace(cancels=left.cancels - 1),
                lines=replaced(world.lines, request, cancelled),
            )
            yield Step(f"cancel {request}", after, fault=True)


def _begun(world: World, request: int, line: Line) -> World:
    """The first step: the row is releasing, in its next turn."""
    begun = world._replace(lines=replaced(world.lines, request, line))
    return _release_at(begun, request, (_BEGUN, line.generation, line.turn))


def _release_at(world: World, request: int, release: tuple[int, int, int]) -> World:
    return world._replace(releases=replaced(world.releases, request, release))


def _one_double_less(world: World) -> World:
    left = world.left
    return world._replace(left=left._replace(doubles=left.doubles - 1))
