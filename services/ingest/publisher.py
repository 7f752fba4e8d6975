"""Publishes a file's contacts to Kafka, a bounded number on their way at any time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import islice
from typing import TypeVar

from services.contracts.topics import Topics
from services.ingest.accept import Accepted, Judge, Rejected, Terms
from services.ingest.jobs import Counts
from services.ingest.parse import BadRow, Contacts, Row
from services.ingest.tables.table import Scratch
from services.ingest.tally import Tally
from services.runtime.kafka import Outgoing, Publisher, partition_of
from services.runtime.logs import get_logger
from services.runtime.metrics import INGEST_ACCEPTED, INGEST_REJECTED

T = TypeVar("T")
log = get_logger(__name__)

#: Rows that a worker thread turns into records at a time: enough to fill a batch of Kafka's for
#: each of a dozen partitions.
_BATCH = 2_000
#: Batches on their way at a time: 4,000 records without an acknowledgement.
_WINDOW = 2
#: Rows that are only read at a time.
_READ_BATCH = 5_000


async def check_whole(contacts: Contacts) -> None:
    """Read the whole file once, so that one that breaks off later is never half published.

    Raises:
        ParseError: It cannot be taken.
    """
    rows = contacts.filled()
    while await asyncio.to_thread(_skip, rows, _READ_BATCH):
        pass


class FilePublisher:
    """Publishes files, one record per contact.

    Args:
        publisher: Where records go.
        topics: The topic table.
        partitions: The number of partitions of `contacts`.
    """

    def __init__(self, publisher: Publisher, topics: Topics, partitions: int) -> None:
        self._publisher = publisher
        self._topics = topics
        self._partitions = partitions

    async def publish(
        self,
        contacts: Contacts,
        terms: Terms,
        scratch: Callable[[], Scratch],
        on_progress: Callable[[], None],
    ) -> Counts:
        """Publish every row and wait for the last acknowledgement.

        `scratch` makes a file for what is too much for memory, and `on_progress` is called
        whenever records were acknowledged. Publishing the same file with the same terms again
        makes the same records.

        Raises:
            SpoolFullError: There is no room for that file.
            ProduceError: Kafka refuses a record for good.
        """
        tally = Tally(scratch)
        records = self._records(contacts.rows(), Judge(terms), tally)
        window: deque[asyncio.Task[None]] = deque()
        try:
            async for batch in _batches(records, _BATCH):
                window.append(asyncio.create_task(self._publisher.publish_many(batch)))
                if len(window) == _WINDOW:
                    await window.popleft()
                    on_progress()
            while window:
                await window.popleft()
                on_progress()
        finally:
            for task in window:
                task.cancel()
            await asyncio.gather(*window, return_exceptions=True)
        counts = await asyncio.to_thread(tally.counts)
        INGEST_ACCEPTED.labels(way="http").inc(counts.accepted)
        for reason, count in tally.rejected.items():
            INGEST_REJECTED.labels(way="http", reason=reason).inc(count)
        return counts

    def _records(
        self, rows: Iterator[Row | BadRow], judge: Judge, tally: Tally
    ) -> Iterator[Outgoing]:
        contacts, rejected = self._topics.contacts.name, self._topics.rejected.name
        job_key = str(judge.job_id).encode()
        for row in rows:
            outcome = _judge(row, judge)
            if isinstance(outcome, Accepted):
                tally.accept(outcome.phone)
                key = outcome.phone.encode()
                partition = partition_of(key, self._partitions)
                yield Outgoing(contacts, outcome.value, key, partition)
            else:
                tally.reject(outcome.reason)
                yield Outgoing(rejected, outcome.value, job_key)


def _judge(row: Row | BadRow, judge: Judge) -> Accepted | Rejected:
    """Judge a row; one on which our own code fails does not keep the others back."""
    try:
        return judge.judge(row)
    except Exception as error:
        log.exception("a row could not be judged", row=row.number, error=type(error).__name__)
        return judge.reject(row, "internal-error")


def _skip(rows: Iterator[object], count: int) -> bool:
    """Read rows, and hold none of them; tells whether there may be more."""
    return sum(1 for _ in islice(rows, count)) == count


async def _batches(items: Iterator[T], size: int) -> AsyncIterator[list[T]]:
    """Take items in lists, each list in a worker thread."""
    while batch := await asyncio.to_thread(lambda: list(islice(items, size))):
        yield batch
