"""Which retries are due, of those taken from the retry topics. Pure.

A record is due when the broker's stamp on it is as old as its topic's delay. All of a
topic wait equally long, so the head of a partition is always its next one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, Protocol, TypeVar


class Stamped(Protocol):
    """A record as far as its time matters."""

    @property
    def topic(self) -> str:
        """Its topic."""

    @property
    def timestamp(self) -> int:
        """The broker's stamp, milliseconds since 1970."""


R = TypeVar("R", bound=Stamped)
P = TypeVar("P", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Due(Generic[P, R]):
    """A record that is due."""

    partition: P
    record: R
    #: Milliseconds since 1970.
    since: int


class Waiting(Generic[P, R]):
    """Records taken and not yet due, by partition, in the order of the log.

    Args:
        delays: By topic.
        enough: From so many records on, a partition needs no more for now.
    """

    def __init__(self, delays: Mapping[str, timedelta], enough: int) -> None:
        self._delays = {t: round(delay / timedelta(milliseconds=1)) for t, delay in delays.items()}
        self._enough = enough
        self._records: dict[P, deque[R]] = {}

    def add(self, partition: P, records: Iterable[R]) -> None:
        """Keep records, which follow in the log those kept already."""
        self._records.setdefault(partition, deque()).extend(records)

    def drop(self, partitions: Iterable[P]) -> None:
        """Forget partitions that were taken away."""
        for partition in partitions:
            self._records.pop(partition, None)

    def full(self) -> set[P]:
        """Partitions with enough records waiting."""
        return {p for p, records in self._records.items() if len(records) >= self._enough}

    def take_due(self, now: int, most: int) -> list[Due[P, R]]:
        """Hand over what is due at `now` (milliseconds since 1970), at most so many."""
        taken: list[Due[P, R]] = []
        for partition, records in self._records.items():
            while records and len(taken) < most:
                since = self._due(records[0])
                if since > now:
                    break
                taken.append(Due(partition, records.popleft(), since))
        return taken

    def next_due(self) -> int | None:
        """When the next record is due, milliseconds since 1970; None if none waits."""
        return min((self._due(r[0]) for r in self._records.values() if r), default=None)

    def waiting(self, partition: P) -> int:
        """How many records of a partition wait."""
        return len(self._records.get(partition, ()))

    def _due(self, record: R) -> int:
        return record.timestamp + self._delays[record.topic]
