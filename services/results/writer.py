"""Reads every topic that says something about a request, and stores it exactly once."""

from __future__ import annotations

import asyncio
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord

from services.contracts.codec import NewerVersionError, UndecodableError, encode
from services.contracts.dead_letters import make_dead_letter, tool_headers
from services.contracts.messages import DeadReason, LookupRequest
from services.contracts.topics import Topics
from services.results.places import Places
from services.results.records import Letter, Reader, Taken, left_to_others, readers
from services.results.rows import Folded, Place
from services.results.store import Partition, StalePlaceError, Store, UnstorableError
from services.runtime.database import UNAVAILABLE
from services.runtime.health import Readiness
from services.runtime.kafka import Publisher
from services.runtime.logs import get_logger
from services.runtime.metrics import (
    ANSWER_DELAY,
    DEAD_LETTERS,
    END_TO_END,
    RESULTS_BATCH_DURATION,
    RESULTS_WRITE_ERRORS,
    RESULTS_WRITTEN,
)
from services.runtime.program import FaultError

log = get_logger(__name__)

#: Most records of one transaction.
BATCH = 1000
_POLL_MS = 100
_RETRY_AFTER = 0.5
#: Records in a row that our own code cannot store: then it is the code, not the records.
_MOST_FAULTS = 20
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

#: Told what requests wait for that were just parked.
OnParked = Callable[[set[frozenset[str]]], None]


@dataclass(frozen=True, slots=True)
class Batch:
    """Records as they came, with what they say."""

    records: list[ConsumerRecord]
    taken: list[Taken]

    def halves(self) -> tuple[Batch, Batch]:
        """Two batches, one after the other."""
        middle = len(self.taken) // 2
        return (
            Batch(self.records[:middle], self.taken[:middle]),
            Batch(self.records[middle:], self.taken[middle:]),
        )


class Writer:
    """The consumer's loop: take, read, store, again."""

    def __init__(
        self,
        *,
        consumer: AIOKafkaConsumer,
        places: Places,
        store: Store,
        publisher: Publisher,
        topics: Topics,
        readiness: Readiness,
        on_parked: OnParked,
    ) -> None:
        self._consumer = consumer
        self._places = places
        self._store = store
        self._publisher = publisher
        self._topics = topics
        self._readiness = readiness
        self._on_parked = on_parked
        self._readers = readers(topics)
        self._left_to_others = left_to_others(topics)
        self._faults_in_a_row = 0
        #: PostgreSQL was away when last asked.
        self._refused = False

    async def run(self) -> None:
        """Store records until cancelled; a batch under way is then rolled back, and comes again.

        Raises:
            FaultError: It cannot go on, and says the way out.
        """
        self._consumer.subscribe(sorted(self._readers), listener=self._places)
        while True:
            try:
                await self.step()
                if self._refused:
                    # The places were read anew, whether or not there was anything to store.
                    self._answered()
            except StalePlaceError:
                log.info("another process has stored these partitions; reading their places anew")
                self._places.lose()
            except KafkaError as error:
                if not error.retriable:
                    raise FaultError(
                        f"Kafka refuses to let results read: {error}; check its rights"
                    ) from error
                log.warning("kafka cannot be read, trying again", reason=type(error).__name__)
                await asyncio.sleep(_RETRY_AFTER)
            except UNAVAILABLE as error:
                self._unavailable(error)
                await asyncio.sleep(_RETRY_AFTER)
            except asyncpg.PostgresError as error:
                raise FaultError(
                    f"PostgreSQL refuses what results does ({type(error).__name__}: "
                    f"{error.args[0]}): run `bulk-lookup migrate` and check the role's rights"
                ) from error

    async def step(self) -> None:
        """Take what there is and store it.

        Raises:
            StalePlaceError: Another process has stored it.
            KafkaError: Kafka is away.
            PostgresError: PostgreSQL refuses what no record is to blame for.
            FaultError: It cannot go on.
        """
        await self._places.settle()
        batches = await self._consumer.getmany(timeout_ms=_POLL_MS, max_records=BATCH)
        records = self._places.admit(batches)
        if records:
            await self._store_batch(Batch(records, [await self._read(r) for r in records]))

    async def _read(self, record: ConsumerRecord) -> Taken:
        """What a record says; one that cannot be read is a dead letter before it is passed."""
        place = Place(record.topic, record.partition, record.offset, stamp(record.timestamp))
        reader: Reader = self._readers[record.topic]
        try:
            return Taken(place, reader(record.value, place.at))
        except NewerVersionError as error:
            raise FaultError(
                f"{record.topic}, partition {record.partition}, offset {record.offset}: {error}"
            ) from error
        except UndecodableError as error:
            RESULTS_WRITTEN.labels(topic=record.topic, outcome="undecodable").inc()
            if record.topic not in self._left_to_others:
                await self._bury(record, "undecodable", str(error))
            return Taken(place, None)
        except Exception as error:  # noqa: BLE001 - our own fault on a record, as when storing it
            self._count_fault(record, error)
            return (await self._instead(record, Taken(place, None), error))[0]

    async def _store_batch(self, batch: Batch) -> None:
        """Store a batch; if it cannot be, store its halves, down to the record at fault."""
        try:
            await self._write(batch.taken)
        except UnstorableError as error:
            fault = error.__cause__ or error
        else:
            self._faults_in_a_row = 0
            return
        if len(batch.taken) > 1:
            for half in batch.halves():
                await self._store_batch(half)
            return
        self._count_fault(batch.records[0], fault)
        for passed in await self._instead(batch.records[0], batch.taken[0], fault):
            try:
                await self._write([passed])
            except UnstorableError as error:
                fault = error.__cause__ or error
            else:
                return
        raise FaultError(
            f"not even a record's bytes can be stored ({type(fault).__name__}): this release is "
            "at fault, or the schema"
        ) from fault

    def _count_fault(self, record: ConsumerRecord, fault: BaseException) -> None:
        """Say that our own code failed on a record.

        Raises:
            FaultError: It did so on too many in a row.
        """
        self._faults_in_a_row += 1
        if self._faults_in_a_row > _MOST_FAULTS:
            raise FaultError(
                f"more than {_MOST_FAULTS} records in a row could not be stored "
                f"({type(fault).__name__}): this release is at fault, or the schema; nothing more "
                "is passed over"
            ) from fault
        log.error(
            "a record cannot be stored",
            fault=type(fault).__name__,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            where=traceback.format_tb(fault.__traceback__),
        )

    async def _instead(
        self, record: ConsumerRecord, taken: Taken, fault: BaseException
    ) -> list[Taken]:
        """What is stored in place of a record on which our own code failed: the first that can be.

        Its dead letter is appended before, so that the contact does not wait for ever.
        """
        # The fault's own text may quote what the record holds: it is said nowhere.
        detail = f"results could not store it: {type(fault).__name__}"
        if record.topic == self._topics.dead_letters.name:
            letter = taken.said if isinstance(taken.said, Letter) else Letter(record.value, None)
            return [Taken(taken.place, lesser) for lesser in letter.lesser(detail)]
        await self._bury(record, "internal-error", detail, taken.request)
        return [Taken(taken.place, None)]

    async def _bury(
        self,
        record: ConsumerRecord,
        reason: DeadReason,
        detail: str,
        request: LookupRequest | None = None,
    ) -> None:
        """Append the record's dead letter; the same one if it is read again after a kill."""
        letter = make_dead_letter(
            reason=reason,
            detail=detail,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            timestamp=stamp(record.timestamp),
            key=record.key,
            value=record.value,
            headers=record.headers,
            failed_at=datetime.now(UTC),
            request=request,
        )
        same_number = any(t.name == record.topic and t.aligned for t in self._topics.all)
        await self._publisher.publish(
            self._topics.dead_letters.name,
            encode(letter),
            key=letter.original_key,
            partition=record.partition if same_number else None,
            headers=tool_headers(letter),
        )
        DEAD_LETTERS.labels(reason=reason).inc()

    async def _write(self, taken: Sequence[Taken]) -> None:
        """One transaction, tried again for as long as PostgreSQL is away."""
        while True:
            places: list[tuple[Partition, int]] = [
                ((t.place.topic, t.place.partition), t.place.offset) for t in taken
            ]
            try:
                moves = self._places.moves(places)
            except KeyError:
                # Revoked meanwhile: whoever has it now reads it again.
                raise StalePlaceError from None
            started = time.perf_counter()
            try:
                folded = await self._store.write(taken, moves)
            except UNAVAILABLE as error:
                self._unavailable(error)
                await asyncio.sleep(_RETRY_AFTER)
            else:
                self._answered()
                RESULTS_BATCH_DURATION.observe(time.perf_counter() - started)
                self._places.advance(moves)
                self._tell(taken, folded)
                return

    def _unavailable(self, error: BaseException) -> None:
        RESULTS_WRITE_ERRORS.inc()
        self._refused = True
        self._readiness.unmet("postgresql", type(error).__name__)
        log.warning("postgresql does not take it, trying again", reason=type(error).__name__)

    def _answered(self) -> None:
        self._refused = False
        self._readiness.met("postgresql")

    def _tell(self, taken: Sequence[Taken], folded: Folded) -> None:
        changed = {change.place for change in folded.history}
        told = Counter((record.place.topic, record.place in changed) for record in taken)
        for (topic, did), count in told.items():
            outcome = "changed" if did else "unchanged"
            RESULTS_WRITTEN.labels(topic=topic, outcome=outcome).inc(count)
        now = datetime.now(UTC)
        for state, accepted_at in folded.ended:
            END_TO_END.labels(state=state).observe(max(0.0, (now - accepted_at).total_seconds()))
        for looked_up_at in folded.answered:
            ANSWER_DELAY.observe(max(0.0, (now - looked_up_at).total_seconds()))
        if folded.parked_for:
            self._on_parked(folded.parked_for)


def stamp(milliseconds: int) -> datetime:
    """A record's timestamp; the epoch where it has none, or one that is no time."""
    try:
        return _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return _EPOCH
