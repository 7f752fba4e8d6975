"""What the model keeps of the system at one instant. Everything is a tuple, and small."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

from tests.model.decisions import TOPICS, Line, Memories, Placed

T = TypeVar("T")

#: A process's part in the group. A zombie was frozen, its partition moved, and it woke up.
IDLE, OWNER, ZOMBIE = range(3)
#: How far the work on a record has come; OUT: its call is sent, or its outcome being written.
ASKED, CHECKED, OUT, DONE = range(4)


class Budget(NamedTuple):
    """What may still go wrong, and what people may still do."""

    #: kill -9 of lookup or results, or a freeze until the partition has moved.
    kills: int = 1
    #: Appends that happen twice, their acknowledgement being lost.
    doubles: int = 0
    #: Calls without an answer, and holds set by a person.
    failures: int = 0
    #: Rebalances that drain.
    moves: int = 0
    redrives: int = 0
    cancels: int = 0


class Work(NamedTuple):
    """A record that a process took."""

    topic: int
    offset: int
    phase: int
    #: Of what is being written: topic, record, and whether a kill would cut off a call, and
    #: with it a whole answer.
    outcome_topic: int = 0
    outcome: Placed = Placed(0, 0, 0)
    called: bool = False
    paid: bool = False
    #: ASKED: the rows, whether an answer is known, as the statement saw them.
    lines: tuple[Line, ...] = ()
    known: bool = False


class Process(NamedTuple):
    """A process of lookup."""

    role: int = IDLE
    #: Offsets up to which it is done, of `contacts` and `due`.
    done: tuple[int, int] = (0, 0)
    work: tuple[Work, ...] = ()
    #: Ends of the outcome topics that the barrier waits for; empty: it is open.
    ends: tuple[int, ...] = ()
    memories: Memories = ()


class World(NamedTuple):
    """Kafka, PostgreSQL, Twilio and every process."""

    logs: tuple[tuple[Placed, ...], ...]
    lines: tuple[Line, ...]
    #: By request, a release under way in results: its step (1 begun, 2 appended), and row.
    releases: tuple[tuple[int, int, int], ...]
    redrives: tuple[int, ...]
    left: Budget
    stored: tuple[int, ...] = (0,) * len(TOPICS)
    #: PostgreSQL has an answer for the number.
    known: bool = False
    processes: tuple[Process, ...] = (Process(), Process())
    #: Offsets of lookup's group, of `contacts` and `due`.
    committed: tuple[int, int] = (0, 0)
    scheduled: int = 0
    held: bool = False
    #: Whole answers that Twilio gave.
    paid: int = 0
    #: Whole answers that a kill or a freeze may have cut off.
    cut_off: int = 0
    #: The turns that were asked, and how many more of them may be asked again: one for each
    #: call that was cut off.
    asked: tuple[Placed, ...] = ()
    may_ask_again: int = 0
    #: Without a row lock: the topic and the row that a writer has read.
    read: tuple[int, Line] | tuple[()] = ()


#: No release is under way.
AT_REST = (0, 0, 0)


def first_world(budget: Budget, requests: int = 1) -> World:
    """Requests for one number, appended by ingest."""
    contacts = tuple(Placed(number, 0, 1) for number in range(requests))
    return World(
        logs=(contacts, *((),) * (len(TOPICS) - 1)),
        lines=(Line(),) * requests,
        releases=(AT_REST,) * requests,
        redrives=(0,) * requests,
        left=budget,
    )


def replaced(values: tuple[T, ...], place: int, value: T) -> tuple[T, ...]:
    """The values with another one in this place."""
    return (*values[:place], value, *values[place + 1 :])


def appended(world: World, topic: int, placed: Placed) -> World:
    """A record at the end of a log."""
    log = (*world.logs[topic], placed)
    return world._replace(logs=replaced(world.logs, topic, log))


def with_process(world: World, place: int, process: Process) -> World:
    """A process as it goes on; which of the two it is does not matter."""
    return world._replace(processes=tuple(sorted(replaced(world.processes, place, process))))
