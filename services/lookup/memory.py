"""What this process had acknowledged, until PostgreSQL is known to hold it.

Between Kafka's acknowledgement of an outcome and its row in PostgreSQL, only the process
that wrote it knows of it; a second request for the number, or the next turn of the same
one, must not be asked again. Entries go when the stored offset of their topic's partition
has passed them. Bounded: without room nothing more is asked.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from services.contracts.packages import Answers, newest
from services.contracts.turns import Record, Row, next_row
from services.runtime.metrics import MEMORY_LIMIT, MEMORY_RECORDS

#: The next offset that results will store, by topic and partition.
Offsets = Mapping[tuple[str, int], int]
NumberKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Remembered:
    """One acknowledged outcome."""

    request_id: UUID
    account: str
    phone: str
    record: Record


class Memory:
    """Acknowledged outcomes by their place on Kafka."""

    def __init__(self, limit: int) -> None:
        self._places: dict[tuple[str, int], dict[int, Remembered]] = defaultdict(dict)
        self._by_request: dict[UUID, list[Remembered]] = defaultdict(list)
        self._by_number: dict[NumberKey, list[Remembered]] = defaultdict(list)
        self._room = asyncio.Semaphore(limit)
        self._size = 0
        self._stored: Offsets = {}
        MEMORY_LIMIT.set(limit)

    async def reserve(self) -> None:
        """Wait until there is room for one more; given back by `give_back` or kept by `remember`."""
        await self._room.acquire()

    def give_back(self) -> None:
        """Nothing came of a reservation."""
        self._room.release()

    def remember(self, topic: str, partition: int, offset: int, outcome: Remembered) -> None:
        """Keep an outcome that Kafka acknowledged at this place; takes up one reservation."""
        self._places[topic, partition][offset] = outcome
        self._by_request[outcome.request_id].append(outcome)
        self._by_number[outcome.account, outcome.phone].append(outcome)
        self._size += 1
        MEMORY_RECORDS.set(self._size)

    def row(self, request_id: UUID, stored: Row | None) -> Row | None:
        """A request's row with what PostgreSQL may not know yet."""
        for outcome in self._by_request.get(request_id, ()):
            stored = next_row(stored, outcome.record)
        return stored

    def answers(self, account: str, phone: str) -> Answers:
        """The newest answers this process got for a number, from any request."""
        found: Answers = {}
        for outcome in self._by_number.get((account, phone), ()):
            reusable = {p: a for p, a in outcome.record.answers.items() if a.is_reusable}
            found = newest(found, reusable)
        return found

    def forget_stored(self, offsets: Offsets) -> None:
        """Let go of what PostgreSQL holds by now."""
        self._stored = offsets
        for place, kept in self._places.items():
            following = offsets.get(place, 0)
            for offset in [o for o in kept if o < following]:
                self._drop(kept.pop(offset))
        MEMORY_RECORDS.set(self._size)

    def stored(self, topic: str, partition: int) -> int:
        """The next offset that results will store there, as last told; 0 if nothing was."""
        return self._stored.get((topic, partition), 0)

    def __len__(self) -> int:
        """How many outcomes are kept."""
        return self._size

    def _drop(self, outcome: Remembered) -> None:
        for index, key in (
            (self._by_request, outcome.request_id),
            (self._by_number, (outcome.account, outcome.phone)),
        ):
            entries = index[key]  # type: ignore[index]  # two indexes, two kinds of key
            entries.remove(outcome)
            if not entries:
                del index[key]  # type: ignore[arg-type]  # the same
        self._size -= 1
        self._room.release()
