"""The doors: one record says what came of a turn, and it counts once Kafka has it.

Every outcome goes to the partition number of the record it came from, and is remembered
until PostgreSQL holds it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from services.contracts.codec import encode
from services.contracts.dead_letters import make_dead_letter, tool_headers
from services.contracts.messages import DeadReason, LookupRequest, LookupResult, Message
from services.contracts.packages import Answers
from services.contracts.topics import Topics
from services.contracts.turns import Record, State
from services.lookup.intake import Taken
from services.lookup.memory import Memory, Remembered
from services.runtime.kafka import Headers, Publisher
from services.runtime.metrics import CONSUMER_RECORDS, DEAD_LETTERS
from services.runtime.program import FaultError

#: Topic, partition and offset of an acknowledged record.
Place = tuple[str, int, int]


class Outlet:
    """Writes outcomes; each call returns after Kafka's acknowledgement.

    The caller has reserved room in the memory for every outcome of a request. Each raises
    `FaultError` if Kafka finally refuses it, or is not the Kafka that results has read.
    """

    def __init__(self, publisher: Publisher, topics: Topics, memory: Memory) -> None:
        self._publisher = publisher
        self._topics = topics
        self._retries = dict(topics.retries)
        self._memory = memory

    async def finish(self, taken: Taken, result: LookupResult) -> None:
        """The contact is completed, or no number to Twilio."""
        topic = self._topics.results.name
        place = await self._publish(taken, topic, result, key=taken.key)
        self._remember(place, result, State(result.state), result.turn, result.answers)
        CONSUMER_RECORDS.labels(topic=taken.topic, outcome="ok").inc()

    async def retry(self, taken: Taken, delay: timedelta, following: LookupRequest) -> None:
        """It is tried again after the delay; `following` carries the next turn."""
        place = await self._publish(taken, self._retries[delay].name, following, key=taken.key)
        self._remember(place, following, State.RETRYING, following.turn - 1, following.answers)
        CONSUMER_RECORDS.labels(topic=taken.topic, outcome="retry").inc()

    async def park(self, taken: Taken, request: LookupRequest) -> None:
        """It is held until what it waits for is gone; `request` carries the turn that ended."""
        topic = self._topics.parked.name
        place = await self._publish(taken, topic, request, key=taken.key)
        self._remember(place, request, State.PARKED, request.turn, request.answers)
        CONSUMER_RECORDS.labels(topic=taken.topic, outcome="parked").inc()

    async def bury(
        self, taken: Taken, reason: DeadReason, detail: str, request: LookupRequest | None
    ) -> None:
        """It goes no further; whole, with what was paid."""
        letter = make_dead_letter(
            reason=reason,
            detail=detail,
            topic=taken.topic,
            partition=taken.partition,
            offset=taken.offset,
            timestamp=taken.timestamp,
            key=taken.key,
            value=taken.value,
            headers=taken.headers,
            failed_at=datetime.now(UTC),
            request=request,
        )
        topic = self._topics.dead_letters.name
        headers = tool_headers(letter)
        place = await self._publish(taken, topic, letter, key=letter.original_key, headers=headers)
        if request is not None:
            self._remember(place, request, State.DEAD, request.turn, request.answers)
        CONSUMER_RECORDS.labels(topic=taken.topic, outcome="dead_letter").inc()
        DEAD_LETTERS.labels(reason=reason).inc()

    async def _publish(
        self,
        taken: Taken,
        topic: str,
        message: Message,
        *,
        key: bytes | None,
        headers: Headers | None = None,
    ) -> Place:
        stored = self._memory.stored(topic, taken.partition)
        ack = await self._publisher.publish(
            topic, encode(message), key=key, partition=taken.partition, headers=headers
        )
        if ack.offset < stored:
            # Memory and barrier would take what is appended from now on for stored.
            raise FaultError(
                f"{topic}, partition {taken.partition}: what was appended stands at {ack.offset}, "
                f"but results has stored all below {stored}: the topic was made anew, or "
                "DATABASE_URL and KAFKA_BOOTSTRAP_SERVERS belong to two installations. Stop every "
                "program, and see `Kafka is lost` in docs/operations.md"
            )
        return topic, taken.partition, ack.offset

    def _remember(
        self,
        place: Place,
        request: LookupRequest | LookupResult,
        state: State,
        ended: int,
        answers: Answers,
    ) -> None:
        waits_for = request.waits_for if isinstance(request, LookupRequest) else ()
        record = Record(
            state=state,
            generation=request.generation,
            turn=ended,
            causes=frozenset(waits_for),
            answers=answers,
        )
        outcome = Remembered(request.request_id, request.account, request.phone, record)
        self._memory.remember(*place, outcome)
