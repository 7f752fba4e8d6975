"""The topic table: every topic there is, who writes it, who reads it, how long it keeps.

Development creates its topics from it, every program checks the broker against it at
start, and the Kubernetes manifests are tested against it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

Key = Literal["any", "E.164", "job id", "as the original", "control key"]

#: Retry delays by the name that stands in the topic, shortest first.
DEFAULT_RETRY_DELAYS = (timedelta(seconds=15), timedelta(minutes=1), timedelta(minutes=5))


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic: its name with the prefix, and what it is for."""

    name: str
    value: str
    key: Key
    written_by: tuple[str, ...]
    read_by: tuple[str, ...]
    purpose: str
    partitions: int
    retention: timedelta | None
    compacted: bool = False
    #: Stamped by the broker, not by the producer.
    log_append_time: bool = False
    #: Its partition follows the request's: the number is one for all of these.
    aligned: bool = True
    #: An outcome of lookup: what came of a turn.
    outcome: bool = False

    @property
    def config(self) -> dict[str, str]:
        """The broker's settings for it."""
        config = {
            "cleanup.policy": "compact" if self.compacted else "delete",
            "message.timestamp.type": "LogAppendTime" if self.log_append_time else "CreateTime",
        }
        if self.retention is not None:
            config["retention.ms"] = str(int(self.retention.total_seconds() * 1000))
        return config


@dataclass(frozen=True, slots=True)
class Topics:
    """All topics of one installation."""

    inbound: Topic
    contacts: Topic
    rejected: Topic
    #: By delay, shortest first.
    retries: tuple[tuple[timedelta, Topic], ...]
    parked: Topic
    due: Topic
    results: Topic
    dead_letters: Topic
    control: Topic

    @property
    def all(self) -> tuple[Topic, ...]:
        """Every topic, in the order of the pipeline."""
        return (
            self.inbound,
            self.contacts,
            self.rejected,
            *(topic for _, topic in self.retries),
            self.parked,
            self.due,
            self.results,
            self.dead_letters,
            self.control,
        )

    @property
    def outcomes(self) -> tuple[Topic, ...]:
        """The topics on which lookup says what came of a turn."""
        return tuple(topic for topic in self.all if topic.outcome)

    @property
    def partitions(self) -> int:
        """The number of partitions that all aligned topics share."""
        return self.contacts.partitions


def delay_name(delay: timedelta) -> str:
    """A delay as it stands in a topic's name: `15s`, `1m`, `250ms`.

    >>> delay_name(timedelta(seconds=90))
    '90s'
    """
    milliseconds = round(delay / timedelta(milliseconds=1))
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if milliseconds % size == 0:
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms"


def topic_table(
    *,
    prefix: str = "",
    partitions: int = 12,
    retry_delays: tuple[timedelta, ...] = DEFAULT_RETRY_DELAYS,
    retention: timedelta = timedelta(days=30),
) -> Topics:
    """The topics of an installation.

    Args:
        prefix: Stands before every name, for clusters that several installations share.
        partitions: Of every aligned topic; changed only while nothing is on its way.
        retry_delays: One retry topic each, shortest first.
        retention: How long work topics keep records: longer than the longest stop.
    """

    def topic(
        name: str,
        value: str,
        written_by: str,
        read_by: str,
        purpose: str,
        *,
        key: Key = "E.164",
        count: int = partitions,
        keep: timedelta | None = retention,
        compacted: bool = False,
        log_append_time: bool = False,
        aligned: bool = True,
        outcome: bool = False,
    ) -> Topic:
        return Topic(
            name=f"{prefix}{name}",
            value=value,
            key=key,
            written_by=tuple(written_by.split()),
            read_by=tuple(read_by.split()),
            purpose=purpose,
            partitions=count,
            retention=keep,
            compacted=compacted,
            log_append_time=log_append_time,
            aligned=aligned,
            outcome=outcome,
        )

    return Topics(
        inbound=topic(
            "contacts.inbound",
            "InboundContact",
            "upstream",
            "ingest",
            "contacts as an upstream system knows them",
            key="any",
            aligned=False,
        ),
        contacts=topic(
            "contacts", "LookupRequest", "ingest", "lookup results", "contacts to look up"
        ),
        rejected=topic(
            "contacts.rejected",
            "RejectedContact",
            "ingest",
            "results",
            "rows that cannot be a number, with the reason",
            key="job id",
            aligned=False,
        ),
        retries=tuple(
            (
                delay,
                topic(
                    f"lookup.retry.{delay_name(delay)}",
                    "LookupRequest",
                    "lookup",
                    "scheduler results",
                    f"requests to try again {delay_name(delay)} after the broker's stamp",
                    log_append_time=True,
                    outcome=True,
                ),
            )
            for delay in retry_delays
        ),
        parked=topic(
            "lookup.parked",
            "LookupRequest",
            "lookup",
            "results",
            "requests held until what they wait for is gone",
            outcome=True,
        ),
        due=topic(
            "lookup.due",
            "LookupRequest",
            "scheduler results",
            "lookup results",
            "requests put before lookup again: retries when due, held ones when released",
        ),
        results=topic(
            "lookup.results",
            "LookupResult",
            "lookup",
            "results downstream",
            "what came of each contact",
            outcome=True,
        ),
        dead_letters=topic(
            "lookup.dead-letters",
            "DeadLetter",
            "ingest lookup results",
            "results",
            "records that go no further, whole, with the reason",
            key="as the original",
            outcome=True,
        ),
        control=topic(
            "lookup.control",
            "ControlState",
            "lookup results",
            "lookup results",
            "what is held, by cause",
            key="control key",
            count=1,
            keep=None,
            compacted=True,
            aligned=False,
        ),
    )
