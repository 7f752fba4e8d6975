"""What the processes of lookup, and what befalls them, do to the world."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from tests.model.decisions import (
    CONTACTS,
    DUE,
    OUTCOMES,
    PARKED,
    RESULTS,
    Said,
    Verdict,
    Weakening,
    judge,
    outcome_of,
    reached,
)
from tests.model.step import Step
from tests.model.world import (
    ASKED,
    CHECKED,
    DONE,
    IDLE,
    OUT,
    OWNER,
    ZOMBIE,
    Process,
    Work,
    World,
    appended,
    replaced,
    with_process,
)


def lookup_steps(world: World, weakening: Weakening | None) -> Iterator[Step]:
    """Every step that a process of lookup, or the group, can take."""
    if all(process.role != OWNER for process in world.processes):
        yield from _assigned(world, weakening)
    for place, process in enumerate(world.processes):
        if process.role == IDLE:
            continue
        if process.role == OWNER:
            yield from _taken(world, place, process, weakening)
            yield from _lost(world, place, process, weakening)
        else:
            yield from _woken(world, place, process)
        for number, work in enumerate(process.work):
            if work.phase == ASKED:
                yield Step("reply", _replied(world, place, process, number, weakening))
            elif work.phase == CHECKED:
                yield from _sent(world, place, process, number, weakening)
            elif work.phase == OUT:
                yield from _written(world, place, process, number, weakening)


def _assigned(world: World, weakening: Weakening | None) -> Iterator[Step]:
    ends = tuple(len(world.logs[topic]) for topic in OUTCOMES)
    if weakening is Weakening.STALE_ENDS:
        ends = tuple(max(0, end - 1) for end in ends)
    if weakening is Weakening.NO_BARRIER or reached(ends, world.stored):
        ends = ()
    seen: set[Process] = set()
    for place, process in enumerate(world.processes):
        if process.role == IDLE and process not in seen:
            seen.add(process)
            owner = Process(OWNER, world.committed, (), ends, process.memories)
            yield Step("partition assigned", with_process(world, place, owner))


def _taken(
    world: World, place: int, process: Process, weakening: Weakening | None
) -> Iterator[Step]:
    """A record is taken, and PostgreSQL asked about it."""
    if len(process.work) >= (2 if weakening is Weakening.CHECK_FIRST else 1):
        return
    if process.ends and reached(process.ends, world.stored):
        process = process._replace(ends=())
    if process.ends and weakening is not Weakening.OTHER_REPLY_BARRIER:
        return
    for topic in (CONTACTS, DUE):
        offset = process.done[topic] + sum(work.topic == topic for work in process.work)
        if offset >= len(world.logs[topic]):
            continue
        work = Work(topic, offset, ASKED, lines=world.lines, known=world.known)
        took = process._replace(work=(*process.work, work))
        if weakening is Weakening.OTHER_REPLY_MEMORY:
            after = with_process(world, place, took)
        else:
            after = _replied(world, place, took, len(process.work), weakening)
        yield Step(f"take {_named(world, work)}", after)


def _replied(
    world: World, place: int, process: Process, number: int, weakening: Weakening | None
) -> World:
    """Act on a reply of PostgreSQL; its offsets are those of its own snapshot.

    Between the statement and the reply the process itself writes nothing of the number, which
    is in single flight. So both are one step, but where offsets of another reply are used.
    """
    work = process.work[number]
    placed = world.logs[work.topic][work.offset]
    memories, verdict = judge(
        placed,
        work.lines[placed.request],
        work.known,
        process.memories,
        world.stored,
        weakening,
    )
    process = process._replace(memories=memories)
    work = Work(work.topic, work.offset, CHECKED)
    if verdict is Verdict.DROP:
        return with_process(world, place, _finished(process, number))
    if verdict is Verdict.FINISH:
        work = work._replace(phase=OUT, outcome_topic=RESULTS, outcome=placed)
    elif world.held:
        work = work._replace(phase=OUT, outcome_topic=PARKED, outcome=placed)
    return with_process(world, place, _with_work(process, number, work))


def _sent(
    world: World, place: int, process: Process, number: int, weakening: Weakening | None
) -> Iterator[Step]:
    """The last moment before the first byte: lease, hold; then Twilio has the call."""
    if process.role == ZOMBIE and weakening is not Weakening.NO_LEASE:
        return
    if process.ends and not reached(process.ends, world.stored):
        return
    if any(work.phase == OUT for work in process.work):
        return
    work = process.work[number]
    if world.held:
        asked = work._replace(phase=ASKED, lines=world.lines, known=world.known)
        again = _with_work(process, number, asked)
        yield Step("held, asked again", _replied(world, place, again, number, weakening))
        return
    placed = world.logs[work.topic][work.offset]
    if placed in world.asked:
        world = world._replace(may_ask_again=world.may_ask_again - 1)
    else:
        world = world._replace(asked=tuple(sorted((*world.asked, placed))))
    for said in Said:
        after = world
        if said is Said.ANSWER:
            after = after._replace(paid=after.paid + 1)
        elif world.left.failures:
            left = world.left._replace(failures=world.left.failures - 1)
            after = after._replace(left=left, held=said is Said.STOP)
        else:
            continue
        topic, outcome = outcome_of(placed, said)
        sent = Work(work.topic, work.offset, OUT, topic, outcome, True, said is Said.ANSWER)
        whose = "zombie " if process.role == ZOMBIE else ""
        yield Step(
            f"{whose}send {_named(world, work)}: {said}",
            with_process(after, place, _with_work(process, number, sent)),
        )


def _written(
    world: World, place: int, process: Process, number: int, weakening: Weakening | None
) -> Iterator[Step]:
    """The one record that says what came of it, and its acknowledgement."""
    work = process.work[number]
    topic = work.outcome_topic
    whose = "zombie writes" if process.role == ZOMBIE else "write"
    after = appended(world, topic, work.outcome)
    label = f"{whose} outcome of {_named(world, work)}"
    if weakening is Weakening.NO_MEMORY:
        memories = process.memories
    else:
        memories = (*process.memories, (topic, len(world.logs[topic]), work.outcome))
    finished = _finished(process._replace(memories=memories), number)
    yield Step(label, with_process(after, place, finished))
    if world.left.doubles:
        left = world.left._replace(doubles=world.left.doubles - 1)
        # It stands in the log: a kill from here on cuts no answer off.
        unacknowledged = _with_work(process, number, work._replace(called=False, paid=False))
        yield Step(
            f"{label}, acknowledgement lost",
            with_process(after._replace(left=left), place, unacknowledged),
            fault=True,
        )


def _lost(
    world: World, place: int, process: Process, weakening: Weakening | None
) -> Iterator[Step]:
    """The owner is killed, frozen or drained; what of its work was committed is open."""
    cut_off = world.cut_off + sum(work.paid for work in process.work)
    may_ask_again = world.may_ask_again + sum(work.called for work in process.work)
    out = any(work.phase == OUT for work in process.work)
    ends = [_committable(process, topic, weakening) for topic in (CONTACTS, DUE)]
    ranges = [range(low, high + 1) for low, high in zip(world.committed, ends, strict=True)]
    idle = Process(memories=process.memories)
    for contacts, due in product(*ranges):
        after = world._replace(committed=(contacts, due))
        told = f"with {contacts} contacts and {due} due committed"
        if world.left.kills:
            left = world.left._replace(kills=world.left.kills - 1)
            fewer = after._replace(left=left, cut_off=cut_off, may_ask_again=may_ask_again)
            yield Step(f"kill -9 {told}", with_process(fewer, place, Process()), fault=True)
            frozen = process._replace(role=ZOMBIE, done=(0, 0), ends=())
            yield Step(f"freeze {told}", with_process(fewer, place, frozen), fault=True)
        if world.left.moves and not out:
            left = world.left._replace(moves=world.left.moves - 1)
            drained = after._replace(left=left)
            yield Step(f"rebalance {told}", with_process(drained, place, idle), fault=True)
            yield Step(f"stop {told}", with_process(drained, place, Process()), fault=True)


def _committable(process: Process, topic: int, weakening: Weakening | None) -> int:
    upto = process.done[topic]
    if weakening is Weakening.EARLY_COMMIT:
        for work in process.work:
            if work.topic == topic and work.offset == upto and work.phase in {OUT, DONE}:
                upto += 1
    return upto


def _woken(world: World, place: int, process: Process) -> Iterator[Step]:
    """A zombie learns that its partition moved: it awaits what is out and drops the rest."""
    if all(work.phase != OUT for work in process.work):
        idle = Process(memories=process.memories)
        yield Step("zombie learns that it is one", with_process(world, place, idle))


def _finished(process: Process, number: int) -> Process:
    """Done with a record; what is done moves on in order alone."""
    work = list(process.work)
    work[number] = Work(work[number].topic, work[number].offset, DONE)
    if process.role == ZOMBIE:
        return process._replace(work=tuple(w for w in work if w.phase != DONE))
    done = list(process.done)
    for head in tuple(work):
        if head.phase == DONE and head.offset == done[head.topic]:
            done[head.topic] += 1
            work.remove(head)
    return process._replace(work=tuple(work), done=(done[0], done[1]))


def _with_work(process: Process, number: int, work: Work) -> Process:
    return process._replace(work=replaced(process.work, number, work))


def _named(world: World, work: Work) -> str:
    placed = world.logs[work.topic][work.offset]
    topic = "contact" if work.topic == CONTACTS else "due"
    return f"{topic} {placed.request} generation {placed.generation} turn {placed.turn}"
