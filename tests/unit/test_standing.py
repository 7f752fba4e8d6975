"""A consumer's standing is read at the scrape, and what it has lost is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from aiokafka.structs import TopicPartition
from prometheus_client import CollectorRegistry, generate_latest

from services.contracts.topics import topic_table
from services.ingest.inbound import Inbound
from services.lookup.scheduler import Scheduler, SchedulerSettings
from services.results.places import Places
from services.runtime.health import Readiness
from services.runtime.measured import MeasuredGauge
from services.runtime.metrics import CONSUMER_ASSIGNED, CONSUMER_LAG, CONSUMER_POSITION
from services.runtime.standing import Standing, show_standing


def shown() -> set[str]:
    """The samples of the three metrics."""
    registry = CollectorRegistry()
    for metric in (CONSUMER_ASSIGNED, CONSUMER_POSITION, CONSUMER_LAG):
        registry.register(metric)
    lines = generate_latest(registry).decode().splitlines()
    return {line for line in lines if not line.startswith("#")}


def test_each_scrape_tells_what_there_is_now() -> None:
    """Nothing is left behind of a partition that went to another process."""
    standings = [Standing("due", 3, 10, 25), Standing("contacts", 4, 7, 7)]
    show_standing("lookup", ["contacts", "due"], lambda: standings)
    assert shown() == {
        'lookup_consumer_assigned_partitions{topic="contacts"} 1.0',
        'lookup_consumer_assigned_partitions{topic="due"} 1.0',
        'lookup_consumer_position_offset{group="lookup",partition="3",topic="due"} 10.0',
        'lookup_consumer_position_offset{group="lookup",partition="4",topic="contacts"} 7.0',
        'lookup_consumer_lag_records{group="lookup",partition="3",topic="due"} 15.0',
        'lookup_consumer_lag_records{group="lookup",partition="4",topic="contacts"} 0.0',
    }
    standings.clear()
    assert shown() == {
        'lookup_consumer_assigned_partitions{topic="contacts"} 0.0',
        'lookup_consumer_assigned_partitions{topic="due"} 0.0',
    }


def test_what_is_not_known_is_not_told() -> None:
    """A 0 would say that nothing is behind; an end heard before a commit is not below it."""
    show_standing("g", ["t"], lambda: [Standing("t", 0, None, 9), Standing("t", 1, 5, None)])
    assert shown() == {
        'lookup_consumer_assigned_partitions{topic="t"} 2.0',
        'lookup_consumer_position_offset{group="g",partition="1",topic="t"} 5.0',
    }
    show_standing("g", ["t"], lambda: [Standing("t", 0, 12, 9)])
    assert 'lookup_consumer_lag_records{group="g",partition="0",topic="t"} 0.0' in shown()


def test_a_gauge_that_reads_nothing_yet_has_no_series() -> None:
    """A program that is still starting answers /metrics all the same."""
    registry = CollectorRegistry()
    registry.register(MeasuredGauge("some_records", "Some.", ("topic",)))
    assert generate_latest(registry).decode().splitlines() == [
        "# HELP some_records Some.",
        "# TYPE some_records gauge",
    ]


class Given:
    """A consumer that has been given partitions, with the ends it has heard of."""

    def __init__(self, ends: dict[TopicPartition, int | None]) -> None:
        self.ends = ends

    def assignment(self) -> Iterable[TopicPartition]:
        return list(self.ends)

    def highwater(self, partition: TopicPartition) -> int | None:
        return self.ends[partition]


def test_ingest_stands_where_it_took_or_else_at_the_end() -> None:
    """Records taken and not yet acknowledged are still before it."""
    taken, idle, new = (TopicPartition("contacts.inbound", number) for number in range(3))
    given: Any = Given({taken: 9, idle: 4, new: None})
    nothing: Any = None
    inbound = Inbound(given, nothing, topic_table(), 3, nothing)
    inbound._next[taken] = 5
    assert list(inbound.standings()) == [
        Standing("contacts.inbound", 0, 5, 9),
        Standing("contacts.inbound", 1, 4, 4),
        Standing("contacts.inbound", 2, None, None),
    ]


def test_the_scheduler_stands_at_the_first_that_waits() -> None:
    """What it has fetched and not moved is before it, and late once it is due."""
    fast, slow = (TopicPartition(f"lookup.retry.{name}", 0) for name in ("15s", "5m"))
    given: Any = Given({fast: 12, slow: 3})
    nothing: Any = None
    now = 1000.0
    scheduler = Scheduler(SchedulerSettings(), given, nothing, Readiness(), clock=lambda: now)
    assert scheduler.overdue() == 0
    scheduler._waiting.add(fast, [_Record(fast.topic, 990_000), _Record(fast.topic, 991_000)])
    scheduler._fetched[fast] = 10
    assert list(scheduler.standings()) == [
        Standing(fast.topic, 0, 8, 12),
        Standing(slow.topic, 0, 3, 3),
    ]
    assert scheduler.overdue() == 0
    now = 1010.0
    assert scheduler.overdue() == 5
    scheduler._waiting.take_due(1_010_000, 10)
    scheduler._moving_since = 1_003_000  # not acknowledged yet
    assert scheduler.overdue() == 7


async def test_a_revocation_makes_the_scheduler_unready_until_the_next_assignment() -> None:
    """From before it waits for a move under way; an assignment of nothing is one too."""
    nothing: Any = None
    readiness = Readiness("partitions")
    scheduler = Scheduler(SchedulerSettings(), nothing, nothing, readiness)
    given = [TopicPartition("lookup.retry.15s", 0)]
    await scheduler.on_partitions_assigned(given)
    assert readiness.missing == {}
    async with scheduler._moving:
        revoking = asyncio.create_task(scheduler.on_partitions_revoked(given))
        await asyncio.sleep(0)
        assert readiness.missing == {"partitions": "revoked"}
    await revoking
    assert readiness.missing == {"partitions": "revoked"}
    await scheduler.on_partitions_assigned([])
    assert readiness.missing == {}


class _Record:
    def __init__(self, topic: str, timestamp: int) -> None:
        self.topic = topic
        self.timestamp = timestamp


def test_results_stands_where_postgresql_says() -> None:
    """The end is the later of the one read with the places and the last one fetched."""
    stored, fetched, lost = (TopicPartition("lookup.results", number) for number in range(3))
    given: Any = Given({stored: None, fetched: 30, lost: 7})
    nothing: Any = None
    places = Places(given, nothing, Readiness())
    places._next = {stored: 2, fetched: 20}
    places._ends = {stored: 6, fetched: 25}
    assert list(places.standings()) == [
        Standing("lookup.results", 0, 2, 6),
        Standing("lookup.results", 1, 20, 30),
        Standing("lookup.results", 2, None, 7),
    ]
