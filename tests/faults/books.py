"""What is known of a run from outside, and how its records are read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from services.contracts.codec import NewerVersionError, UndecodableError, decode
from services.contracts.messages import DeadLetter, Message
from services.contracts.topics import Topics
from services.local.twilio.ledger import Call
from services.results.records import Taken, readers
from services.results.rows import Place, Sighting
from services.runtime.kafka import partition_of
from tests.faults.stored import Stored
from tests.faults.topics import Seen, of

#: Findings of one kind that are told; the rest is counted.
_TOLD = 5

M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True)
class Contact:
    """One that was handed in, and the states it may end in."""

    reference: str
    phone: str
    ends: frozenset[str] = frozenset({"completed"})


@dataclass(frozen=True, slots=True)
class Loss:
    """A process that lost what it had out: killed, frozen past its session, or its session gone."""

    why: str
    process: str
    at: datetime
    #: What it had been assigned, as its log says.
    partitions: frozenset[int]
    #: The earliest it can have been, where nobody saw it happen; else the same.
    since: datetime


@dataclass(frozen=True, slots=True)
class Stopped:
    """An account that every process has acknowledged as stopped, until it was let go on."""

    account: str
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Books:
    """All that is known of a run from outside."""

    topics: Topics
    prefix: str
    submitted: Sequence[Contact]
    records: Sequence[Seen]
    stored: Stored
    calls: Sequence[Call]
    losses: Sequence[Loss] = ()
    stops: Sequence[Stopped] = ()
    #: Most calls that an account may have out.
    limit: int = 0
    #: Whether an answer may have been cut off between Twilio and lookup.
    cuts: bool = False
    #: Records that were put on the topics and cannot be read.
    garbage: Sequence[Seen] = ()
    #: Records that were put on the topics once more, as they stood.
    doubled: Sequence[Seen] = ()


@dataclass(slots=True)
class Verdict:
    """What came of the comparison."""

    findings: list[str] = field(default_factory=list)
    #: Whole answers of a paid package beyond the first.
    repeats: int = 0
    #: By loss, in its order: calls that were out.
    in_flight: list[int] = field(default_factory=list)
    #: Answers that Twilio gave whole and that lookup says it never got whole.
    cut: int = 0
    #: Of each retry that was released: how long after its time.
    lateness: list[timedelta] = field(default_factory=list)

    def find(self, kind: str, what: Iterable[object]) -> None:
        """Add findings of a kind, if there are any."""
        found = [str(one) for one in what]
        if found:
            more = f", and {len(found) - _TOLD} more" if len(found) > _TOLD else ""
            self.findings.append(f"{kind}: {'; '.join(found[:_TOLD])}{more}")


def decoded(record: Seen, model: type[M]) -> M | None:
    """What a record says; None if it cannot be read, or is of a newer version."""
    try:
        return decode(record.value, model)
    except (UndecodableError, NewerVersionError):
        return None


def letters(books: Books) -> Iterator[DeadLetter]:
    """Every dead letter that can be read.

    Raises:
        NewerVersionError: One is of a newer version. Nobody here writes such: it is not passed over.
    """
    for record in of(books.records, "lookup.dead-letters"):
        try:
            letter = decode(record.value, DeadLetter)
        except UndecodableError:
            continue
        yield letter


def sightings(books: Books) -> Iterator[tuple[Seen, Sighting]]:
    """What each record says of a request, topic after topic."""
    read = readers(books.topics)
    for record in books.records:
        topic = f"{books.prefix}{record.topic}"
        if topic not in read:
            continue
        place = Place(topic, record.partition, record.offset, record.at)
        try:
            sighting = Taken(place, read[topic](record.value, record.at)).sighting
        except (UndecodableError, NewerVersionError):
            continue
        if sighting is not None:
            yield record, sighting


def partition(books: Books, number: str) -> int:
    """Where the records of a number are."""
    return partition_of(number.encode(), books.topics.partitions)


def time_of(text: str) -> datetime:
    """A time of the ledger."""
    return datetime.fromisoformat(text)


def masked(number: str) -> str:
    """A number as a finding names it."""
    return f"{number[:3]}…{number[-2:]}"
