"""Where every contact is, judged by PostgreSQL and by how far Kafka was read. Pure.

A request without an end must be carried on by something: a record that a program has not
read yet, or results itself, which gives back what was held. When everything was read and
nothing holds it, it is missing, and would stay unfinished for ever.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from services.contracts.turns import State

#: Examples named of each kind.
NAMED = 5
#: What a program does by itself it has done after this long.
PATIENCE = timedelta(minutes=5)


class Where(StrEnum):
    """What carries on a request that has no end yet; the last three are wrong."""

    UNDER_WAY = "under way"
    RETRY = "waiting for its retry"
    HELD = "held"
    RETRY_LATE = "retry late"
    NOT_GIVEN_BACK = "not given back"
    MISSING = "missing"


#: What nobody has to act on.
WELL = frozenset({Where.UNDER_WAY, Where.RETRY, Where.HELD})


@dataclass(frozen=True, slots=True)
class Unread:
    """Records of one partition that were not read yet, over the aligned topics a program reads."""

    lookup: int = 0
    scheduler: int = 0
    results: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """A request without an end, as its row says."""

    request_id: UUID
    partition: int
    state: State
    causes: frozenset[str]
    due_at: datetime | None
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Flow:
    """What the rows are judged by.

    Programs' places were read first, then the logs' ends, then PostgreSQL in one snapshot: so
    what a program had finished is in the logs, and what stood in the logs is in the rows.
    """

    #: By partition.
    unread: Mapping[int, Unread]
    #: What holds something.
    held: frozenset[str]
    #: PostgreSQL's clock before the programs' places were read: what changed since may have
    #: moved on in between.
    since: datetime


def judge(request: Request, flow: Flow) -> Where:
    """What carries a request on."""
    unread = flow.unread.get(request.partition, Unread())
    if unread.results or request.updated_at >= flow.since:
        return Where.UNDER_WAY
    waited = flow.since - request.updated_at
    if request.state is State.PARKED:
        if request.causes & flow.held:
            return Where.HELD
        return Where.NOT_GIVEN_BACK if waited > PATIENCE else Where.UNDER_WAY
    if request.state is State.RELEASING:
        return Where.NOT_GIVEN_BACK if waited > PATIENCE else Where.UNDER_WAY
    if request.state is State.RETRYING and unread.scheduler:
        late = request.due_at is not None and flow.since - request.due_at > PATIENCE
        return Where.RETRY_LATE if late else Where.RETRY
    return Where.UNDER_WAY if unread.lookup else Where.MISSING


@dataclass(frozen=True, slots=True)
class JobBooks:
    """What a job's counters say, and what its rows do."""

    job_id: UUID
    name: str
    #: Contacts and rejected rows of the whole job; None while it is received, and if it stands.
    sealed: tuple[int, int] | None
    #: By state, and `rejected`.
    counters: Mapping[str, int]
    rows: Mapping[str, int]

    @property
    def known(self) -> int:
        """Contacts that results has read."""
        return sum(n for state, n in self.rows.items() if state != "rejected")

    def faults(self, *, read_whole: bool) -> list[str]:
        """What does not add up, said for people.

        Args:
            read_whole: Results has read everything that ingest had written.
        """
        found = []
        for state in sorted(self.counters.keys() | self.rows.keys()):
            counter, rows = self.counters.get(state, 0), self.rows.get(state, 0)
            if counter != rows:
                found.append(f"its counter says {counter:,} {state}, its rows are {rows:,}")
        if self.sealed is None:
            return found
        rejected = self.rows.get("rejected", 0)
        for what, sealed, known in zip(
            ("contacts", "rejected rows"), self.sealed, (self.known, rejected), strict=True
        ):
            if known > sealed:
                found.append(f"it was sealed with {sealed:,} {what}, and {known:,} are known")
            elif known < sealed and read_whole:
                found.append(f"{sealed - known:,} of its {sealed:,} {what} never reached results")
        return found


@dataclass(slots=True)
class Unfinished:
    """The requests without an end, counted by what carries them on."""

    counts: Counter[Where] = field(default_factory=Counter)
    #: The first of each kind that is wrong.
    named: dict[Where, list[UUID]] = field(default_factory=dict)
    #: By cause.
    holds: Counter[str] = field(default_factory=Counter)

    def add(self, request: Request, where: Where, held: Collection[str]) -> None:
        """Count one."""
        self.counts[where] += 1
        if where is Where.HELD:
            self.holds.update(request.causes.intersection(held))
        if where not in WELL:
            named = self.named.setdefault(where, [])
            if len(named) < NAMED:
                named.append(request.request_id)

    @property
    def wrong(self) -> int:
        """How many somebody has to act on."""
        return sum(n for where, n in self.counts.items() if where not in WELL)


def by_partition(unread: Mapping[str, Mapping[int, int]]) -> dict[int, Unread]:
    """The same numbers, given by program, by partition."""
    partitions = {partition for counts in unread.values() for partition in counts}
    return {
        partition: Unread(**{name: counts.get(partition, 0) for name, counts in unread.items()})
        for partition in partitions
    }
