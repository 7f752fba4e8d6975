"""`lookup.control` as a program sees it: what is held, and for which causes.

The topic is compacted and has one partition, so reading it whole gives every cause's last
state. Whoever sets one waits until Kafka has it and this program has read it back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from services.contracts.codec import UndecodableError, decode, encode
from services.contracts.control import ACCOUNT_CAUSES, check_key
from services.contracts.messages import ControlState
from services.contracts.topics import Topic
from services.runtime.kafka import Publisher
from services.runtime.logs import get_logger
from services.runtime.twilio_metrics import ACCOUNT_HELD, PACKAGE_HELD

log = get_logger(__name__)
T = TypeVar("T")
_RETRY_AFTER = 0.5

#: Told of each state as it is read.
OnState = Callable[[ControlState], Awaitable[None]]


class ControlTopic:
    """Reads every state, keeps the last of each key, and sets new ones."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        publisher: Publisher,
        topic: Topic,
        on_state: OnState | None = None,
    ) -> None:
        """Read with `consumer`, which has no group; write with `publisher`."""
        self._consumer = consumer
        self._publisher = publisher
        self._topic = topic
        self._on_state = on_state
        self._changed = asyncio.Event()
        self._read_up_to = 0
        self.states: dict[str, ControlState] = {}
        #: The keys that hold something now.
        self.held: frozenset[str] = frozenset()
        #: Set once everything that stood there at the start was read.
        self.caught_up = asyncio.Event()

    async def changed(self) -> None:
        """Wait for the next change."""
        await self._changed.wait()

    async def run(self) -> None:
        """Read until cancelled.

        Raises:
            NewerVersionError: A state is of a later version than this program reads.
        """
        place = TopicPartition(self._topic.name, 0)
        self._consumer.assign([place])
        await self._again(lambda: self._consumer.seek_to_beginning(place))
        end = (await self._again(lambda: self._consumer.end_offsets([place])))[place]
        while True:
            if not self.caught_up.is_set():
                # By position, since a compacted log may end in offsets that are gone.
                position = await self._again(lambda: self._consumer.position(place))
                if position >= end:
                    log.info("control read to its end", keys=len(self.states), held=len(self.held))
                    self.caught_up.set()
            batches = await self._consumer.getmany(timeout_ms=200)
            for records in batches.values():
                for record in records:
                    await self._apply(record.value)
                    self._read_up_to = record.offset + 1
                self._changed.set()
                self._changed = asyncio.Event()

    async def set(self, key: str, *, held: bool, why: str, by: str) -> None:
        """Set or clear one cause; returns when Kafka has it and this program has read it.

        Raises:
            ValueError: The key is none of `services.contracts.control`.
            ProduceError: Kafka refuses it.
        """
        state = ControlState(key=check_key(key), held=held, why=why, by=by, at=datetime.now(UTC))
        ack = await self._publisher.publish(
            self._topic.name, encode(state), key=key.encode(), partition=0
        )
        while self._read_up_to <= ack.offset:
            await self.changed()

    async def _apply(self, value: bytes | None) -> None:
        if value is None:
            return
        try:
            state = decode(value, ControlState)
        except UndecodableError as error:
            log.warning("a control record cannot be read; it holds nothing", reason=str(error))
            return
        self.states[state.key] = state
        self.held = self.held | {state.key} if state.held else self.held - {state.key}
        _show(state.key, held=state.held)
        log.info("control", key=state.key, held=state.held, why=state.why, by=state.by)
        if self._on_state is not None:
            await self._on_state(state)

    async def _again(self, call: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                return await call()
            except KafkaError as error:
                log.warning("control cannot be read, trying again", reason=type(error).__name__)
                await asyncio.sleep(_RETRY_AFTER)


def show_running(account: str) -> None:
    """Have the metric say that nothing holds the account, before anything else is known."""
    for cause in ACCOUNT_CAUSES:
        ACCOUNT_HELD.labels(account=account, cause=cause).set(0)


def _show(key: str, *, held: bool) -> None:
    match key.split(":"):
        case ["account", account, cause]:
            ACCOUNT_HELD.labels(account=account, cause=cause).set(held)
        case ["account", account, "package", package]:
            PACKAGE_HELD.labels(account=account, package=package).set(held)
