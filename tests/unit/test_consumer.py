"""Faust's consumer without a broker: what it commits, when it drains, what it may fetch.

Each rule is one that Faust 0.15.3 breaks by itself, with records lost.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError, TopicAuthorizationFailedError
from aiokafka.structs import TopicPartition
from faust.transport import consumer as faust_consumer
from faust.transport.drivers import aiokafka as driver

from services.lookup import consumer as our_consumer
from services.lookup.app import make_faust_app
from services.lookup.consumer import Consumer, Parts
from services.lookup.intake import Intake, Taken
from services.lookup.lease import Lease
from services.lookup.settings import LookupSettings
from services.runtime.standing import Standing

ONE, TWO, THREE = (TopicPartition("contacts", number) for number in (1, 2, 3))
GENERATION = 5


class Told:
    """The consumer under test, and what it did, in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.events: list[str] = []
        self.committed: list[Mapping[Any, int]] = []
        self.commits_succeed = True
        self.flowing: set[TopicPartition] = set()
        intake = Intake(self.never, slots=4, drain_limit=1, on_fault=lambda _: None)
        parts = Parts(
            intake,
            Lease(10),
            lambda partitions, generation: self.events.append(
                f"assigned {sorted(partitions)} in {generation}"
            ),
            lambda: self.events.append("told of revocation"),
        )
        app = make_faust_app(LookupSettings(), parts, slots=4)
        monkeypatch.setattr(type(app), "consumer_generation_id", GENERATION, raising=False)
        self.consumer: Consumer = app.consumer
        monkeypatch.setattr(self.consumer, "_commit", self.commit)
        monkeypatch.setattr(self.consumer, "assignment", lambda: {ONE, TWO})

    async def never(self, _: Taken) -> None:
        raise AssertionError("no record is taken here")

    async def commit(self, offsets: Mapping[Any, int]) -> bool:
        self.committed.append(dict(offsets))
        return self.commits_succeed


@pytest.fixture
async def told(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Told]:
    told = Told(monkeypatch)
    yield told
    # The thread that it is for was never started, and so never closed it.
    told.consumer._thread.thread_loop.close()


async def test_only_what_the_intake_is_done_with_is_committed(told: Told) -> None:
    """Faust's own book of acknowledgements, which jumps over holes, is never asked."""
    consumer = told.consumer
    consumer._acked[ONE] = [7, 8, 9]
    consumer._acked_index[ONE] = {7, 8, 9}
    assert not await consumer.force_commit()
    consumer.intake.done_up_to[ONE] = 4
    assert await consumer.force_commit()
    assert told.committed == [{ONE: 4}]


async def test_a_commit_counts_once_the_broker_confirmed_it(told: Told) -> None:
    """One that failed is tried again with the next; one that succeeded is not repeated."""
    consumer = told.consumer
    consumer.intake.done_up_to[ONE] = 4
    told.commits_succeed = False
    assert not await consumer.force_commit()
    assert (consumer.uncommitted(), consumer.confirmed) == ({ONE: 4}, {})
    told.commits_succeed = True
    assert await consumer.force_commit()
    assert not await consumer.force_commit()
    assert (consumer.uncommitted(), consumer.confirmed) == ({}, {ONE: 4})
    assert told.committed == [{ONE: 4}, {ONE: 4}]


async def test_a_revocation_drains_before_faust_forgets(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was done is committed while Faust still has the partitions."""

    async def forget(_: Consumer, __: set[TopicPartition]) -> None:
        told.events.append(f"faust forgets after {len(told.committed)} commits")

    monkeypatch.setattr(faust_consumer.Consumer, "on_partitions_revoked", forget)
    told.consumer.intake.done_up_to[ONE] = 4
    await told.consumer.on_partitions_revoked({ONE, TWO})
    assert told.events == ["told of revocation", "faust forgets after 1 commits"]
    assert told.committed == [{ONE: 4}]


async def test_a_partition_flows_only_once_it_is_released(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither an assignment nor Faust's resuming of everything opens a barred partition."""

    async def assigned(_: Consumer, __: set[TopicPartition], ___: int = 0) -> None:
        return

    monkeypatch.setattr(faust_consumer.Consumer, "on_partitions_assigned", assigned)
    monkeypatch.setattr(
        faust_consumer.Consumer, "resume_partitions", lambda _, tps: told.flowing.update(tps)
    )
    consumer = told.consumer
    await consumer.on_partitions_assigned({ONE, TWO}, GENERATION)
    assert told.events == [f"assigned [1, 2] in {GENERATION}"]

    consumer.release(1, GENERATION)  # before Faust has seeked: not yet
    assert told.flowing == set()
    consumer.resume_partitions({ONE, TWO})
    assert told.flowing == {ONE}
    consumer.release(2, GENERATION - 1)  # the barrier of an assignment that is gone
    assert told.flowing == {ONE}
    consumer.release(2, GENERATION)
    assert told.flowing == {ONE, TWO}


class Fetching:
    """An aiokafka consumer, as far as a fetch needs it."""

    def __init__(self) -> None:
        self.sought: list[tuple[TopicPartition, int]] = []

    def assignment(self) -> set[TopicPartition]:
        return {ONE, TWO}

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self.sought.append((tp, offset))


async def test_what_faust_would_drop_is_fetched_again(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fetch that waited over an assignment brings barred partitions: their places go back."""
    gone = TopicPartition("contacts", 3)
    found = {
        tp: [SimpleNamespace(offset=88), SimpleNamespace(offset=89)] for tp in (ONE, TWO, gone)
    }

    async def all_of_them(*_: Any, **__: Any) -> Any:
        return dict(found)

    monkeypatch.setattr(driver.AIOKafkaConsumerThread, "_fetch_records", all_of_them)
    consumer, fetching = told.consumer, Fetching()
    consumer._active_partitions = {ONE}
    kept = await consumer._thread._fetch_records(fetching, set(), timeout=1)
    assert kept == {ONE: found[ONE]}
    assert fetching.sought == [(TWO, 88)]

    # Full ones are not asked for, but Faust takes what comes of them.
    consumer._active_partitions, consumer._buffered_partitions = set(), {ONE, TWO}
    kept = await consumer._thread._fetch_records(Fetching(), set(), timeout=1)
    assert kept == {ONE: found[ONE], TWO: found[TWO]}


async def test_it_stands_where_the_broker_confirmed(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A place never committed is the log's start; a partition just taken away is left out."""

    def highwater(partition: TopicPartition) -> int:
        assert partition != THREE, "Partition is not assigned"
        return 9

    monkeypatch.setattr(told.consumer, "assignment", lambda: [ONE, TWO, THREE])
    monkeypatch.setattr(told.consumer, "highwater", highwater)
    told.consumer.confirmed[ONE] = 4
    told.consumer._committed_offset[TWO] = -1
    assert told.consumer.standings() == [
        Standing("contacts", 1, 4, 9),
        Standing("contacts", 2, 0, 9),
    ]


async def test_a_stop_commits_once_and_no_more(told: Told) -> None:
    """Faust's own commits at its stop would only wait, if this one could not be done."""
    told.consumer.intake.done_up_to[ONE] = 4
    told.commits_succeed = False
    await told.consumer.stop_taking()
    before = list(told.committed)
    await told.consumer.wait_empty()
    assert told.committed == before
    assert before[-1] == {ONE: 4}


class Running:
    """The consumer's thread with its event loop running, and a stand-in for aiokafka's consumer."""

    def __init__(self, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(our_consumer, "_COMMIT_SECONDS", 0.01)
        monkeypatch.setattr(our_consumer, "_RETRY_AFTER", 0)
        monkeypatch.setattr(driver.AIOKafkaConsumerThread, "on_start", self.start)
        self.thread: Any = told.consumer._thread
        monkeypatch.setattr(self.thread, "assignment", lambda: {ONE, TWO})
        self.thread._consumer = self
        self.starts: list[Exception | None] = []
        self._coordinator: Any = None
        self.done: list[str] = []
        self.loop = threading.Thread(target=self.thread.thread_loop.run_forever)

    async def start(self) -> None:
        self.done.append("started")
        if (error := self.starts.pop(0)) is not None:
            raise error

    async def stop(self) -> None:
        self.done.append("stopped")

    async def commit(self, _: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self.done.append("commit ended")

    async def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        running = asyncio.run_coroutine_threadsafe(work, self.thread.thread_loop)
        return await asyncio.wrap_future(running)


@pytest.fixture
async def running(told: Told, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    running = Running(told, monkeypatch)
    running.loop.start()
    yield running
    running.thread.thread_loop.call_soon_threadsafe(running.thread.thread_loop.stop)
    running.loop.join()


async def test_a_commit_that_kafka_does_not_answer_ends(running: Running) -> None:
    """The library's own tries for as long as Kafka is away, and keeps the process with it."""
    assert not await running.thread.commit({ONE: 4})
    await running.run(asyncio.sleep(0))  # its cancellation is heard in the thread
    assert running.done == ["commit ended"]


async def test_the_group_is_joined_once_kafka_is_there(running: Running) -> None:
    """A Kafka that goes away right then is waited for; each try ends before the next."""
    running.starts = [KafkaConnectionError("away"), KafkaConnectionError("away"), None]
    assert await running.run(running.thread._connect())
    assert running.done == ["started", "stopped", "started", "stopped", "started"]


async def test_a_join_that_is_refused_is_not_tried_again(running: Running) -> None:
    """Waiting does not help: the program ends, and says so."""
    running.starts = [TopicAuthorizationFailedError("contacts")]
    with pytest.raises(TopicAuthorizationFailedError):
        await running.run(running.thread._connect())


async def test_a_stop_ends_the_join(running: Running) -> None:
    """Nobody waits for a Kafka that is away before the program may end."""
    running.thread._stopped_set()
    assert not await running.run(running.thread._connect())
    assert running.done == []


@pytest.mark.parametrize(("succeeds", "renewed"), [(True, [100.0]), (False, [])])
async def test_the_lease_is_told_when_a_heartbeat_was_sent(
    told: Told,
    running: Running,
    monkeypatch: pytest.MonkeyPatch,
    *,
    succeeds: bool,
    renewed: list[float],
) -> None:
    """Not when it was answered, which may be much later; one that failed renews nothing."""
    found: list[float] = []
    clock = iter([100.0, 107.0])
    monkeypatch.setattr(our_consumer, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setattr(told.consumer, "lease", SimpleNamespace(renew=found.append))

    async def beat() -> bool:
        return succeeds

    running._coordinator = SimpleNamespace(_do_heartbeat=beat)
    running.starts = [None]
    await running.run(running.thread.on_start())
    assert await running.run(running._coordinator._do_heartbeat()) is succeeds
    assert found == renewed
