"""Where this process stands in its partitions: as PostgreSQL says, whatever Kafka delivers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka.errors import IllegalStateError
from aiokafka.structs import ConsumerRecord, TopicPartition

from services.results.store import Move, Partition, Store
from services.runtime.health import Readiness
from services.runtime.logs import get_logger
from services.runtime.metrics import CONSUMER_REBALANCES
from services.runtime.program import FaultError
from services.runtime.standing import Standing

log = get_logger(__name__)


class PlaceOutsideLogError(FaultError):
    """The next offset to store is not in Kafka's log: records are gone, or the topic is new."""


def check_place(partition: Partition, stored: int, start: int, end: int) -> None:
    """Whether the log holds what comes next.

    Args:
        partition: Topic and partition.
        stored: The next offset to read, as stored.
        start: The log's first offset.
        end: The offset after its last.

    Raises:
        PlaceOutsideLogError: It does not; says the way out.
    """
    if start <= stored <= end:
        return
    topic, number = partition
    where = f"{topic}, partition {number}"
    go_on = (
        f"UPDATE stored_offsets SET next_offset = {start} "  # noqa: S608 - for a person to read
        f"WHERE topic = '{topic}' AND partition = {number}"
    )
    if stored < start:
        raise PlaceOutsideLogError(
            f"{where}: Kafka no longer has the records {stored} to {start - 1}, which were not "
            "stored yet: their retention was shorter than this stop. To go on without them: "
            f"{go_on}. What they said is lost: contacts that were not stored otherwise are "
            "missing, or stay unfinished. Send the files of those days again, each under another "
            "idempotency key, as a new job (under the same key nothing is published again); what "
            "is stored as answered is reused within its freshness."
        )
    raise PlaceOutsideLogError(
        f"{where}: the next record to store is {stored}, but the log ends at {end}: the topic was "
        "made anew, or Kafka has lost records, or DATABASE_URL and KAFKA_BOOTSTRAP_SERVERS belong "
        f"to two installations. To read the log there is from its start: {go_on}"
    )


class Places(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka has no types
    """The next offset of each assigned partition; a listener of the consumer's assignments."""

    def __init__(self, consumer: AIOKafkaConsumer, store: Store, readiness: Readiness) -> None:
        self._consumer = consumer
        self._store = store
        self._readiness = readiness
        self._next: dict[Partition, int] = {}
        #: The log's ends as they were when the places were read.
        self._ends: Mapping[Partition, int] = {}
        self._settled = False
        # Counts assignments and revocations: what was asked before one says nothing after it.
        self._epoch = 0
        #: Where a hole was met once already, by partition.
        self._holes: dict[Partition, int] = {}

    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """A batch under way may still be stored: the compare-and-set decides."""
        if revoked:
            CONSUMER_REBALANCES.labels(event="revoked").inc()
        self._readiness.unmet("assignment", "revoked")
        self.lose()

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Nothing is taken from them before their places are read from PostgreSQL."""
        CONSUMER_REBALANCES.labels(event="assigned").inc()
        log.info("partitions assigned", count=len(assigned))
        self.lose()
        self._readiness.met("assignment")

    def lose(self) -> None:
        """Forget every place, to read them anew."""
        self._settled = False
        self._epoch += 1
        self._next.clear()

    async def settle(self) -> None:
        """Go to the stored places, if they are not known; stores the start of new partitions.

        Raises:
            PlaceOutsideLogError: One is not in the log.
        """
        while not self._settled:
            epoch = self._epoch
            mine = sorted(self._consumer.assignment())
            if not mine:
                return
            starts = await self._consumer.beginning_offsets(mine)
            stored = await self._store.places(starts)
            # Read after the stored places: an end read before them could lie below.
            ends = await self._consumer.end_offsets(mine)
            if epoch != self._epoch:
                continue
            for partition in mine:
                check_place(partition, stored[partition], starts[partition], ends[partition])
            try:
                for partition in mine:
                    self._consumer.seek(partition, stored[partition])
            except IllegalStateError:
                # Assigned to somebody else, and the listener has not heard of it yet.
                self.lose()
                continue
            self._next = dict(stored)
            self._ends = ends
            self._settled = True

    def admit(
        self, batches: Mapping[TopicPartition, Sequence[ConsumerRecord]]
    ) -> list[ConsumerRecord]:
        """The records that follow the stored places, the topics' partitions one after another.

        aiokafka sometimes delivers from before a seek: such records were stored. If a batch
        begins later, it is left and the partition read again; only when the log begins there
        once more is the hole the log's own, as a transaction leaves one.
        """
        admitted: list[ConsumerRecord] = []
        for partition, records in batches.items():
            expected = self._next.get(partition)
            if expected is None:
                continue
            fresh = [record for record in records if record.offset >= expected]
            if fresh and (fresh[0].offset == expected or self._holes.get(partition) == expected):
                admitted += fresh
                continue
            if fresh:
                self._holes[partition] = expected
            log.warning(
                "a batch does not follow what is stored; reading again",
                topic=partition.topic,
                partition=partition.partition,
                expected=expected,
                first=records[0].offset,
            )
            self._settled = False
        return admitted

    def moves(self, records: Sequence[tuple[Partition, int]]) -> dict[Partition, Move]:
        """How far records go, given as partition and offset, in order.

        Raises:
            KeyError: A partition's place is not known (any more).
        """
        last = dict(records)
        return {p: Move(self._next[p], offset + 1) for p, offset in last.items()}

    def advance(self, moves: Mapping[Partition, Move]) -> None:
        """They are stored. Without effect on partitions whose place was lost meanwhile."""
        for partition, move in moves.items():
            if self._next.get(partition) == move.expected:
                self._next[partition] = move.next
                self._holes.pop(partition, None)

    def standings(self) -> Iterable[Standing]:
        """Where each partition stands, by what is stored; its end as the last fetch said."""
        for tp in self._consumer.assignment():
            heard = (self._ends.get(tp), self._consumer.highwater(tp))
            end = max((known for known in heard if known is not None), default=None)
            yield Standing(tp.topic, tp.partition, self._next.get(tp), end)
