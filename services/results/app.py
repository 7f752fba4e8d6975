"""The results program: everything put together, started, and stopped in order."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any

from services.contracts.messages import ControlState
from services.results.api import build_api
from services.results.control import Actions, Holds
from services.results.gauges import keep_measuring
from services.results.places import Places
from services.results.records import readers
from services.results.release import Releaser
from services.results.settings import ResultsSettings
from services.results.store import Store
from services.results.writer import Writer
from services.runtime.api import Tokens, make_api
from services.runtime.control_topic import ControlTopic
from services.runtime.database import close_pool, open_pool, watch_postgresql
from services.runtime.health import Readiness
from services.runtime.http import listening_host, serve_http
from services.runtime.kafka import Publisher, close_consumer, make_consumer, make_member
from services.runtime.kafka_rights import check_kafka
from services.runtime.kafka_watch import wait_for_kafka, watch_kafka
from services.runtime.metrics import TOPIC_RETENTION, registry_for
from services.runtime.program import Stop, run_program
from services.runtime.standing import show_standing

#: A standstill of PostgreSQL is waited for, not left the group for.
_NEVER_MS = 30 * 24 * 3600 * 1000


async def serve(settings: ResultsSettings, stop: Stop) -> None:
    """Run results until a stop is asked for.

    A stop needs no drain: what is not stored comes again, and what is stored is not repeated.
    """
    topics = settings.topics
    readiness = Readiness("kafka", "postgresql", "control", "assignment")
    tokens = Tokens.from_settings(settings)
    api = make_api("results", readiness, registry_for("results"), tokens, "Bulk Lookup: results")
    host = listening_host(settings.http_host, has_tokens=bool(tokens))
    async with AsyncExitStack() as stack:
        http = serve_http(api, host, settings.http_port, settings.drain_limit.total_seconds())
        await stack.enter_async_context(http)
        partitions = await wait_for_kafka(
            settings, lambda: check_kafka(settings, "results"), readiness, stop
        )
        TOPIC_RETENTION.set(settings.kafka_retention.total_seconds())
        pool = await open_pool(settings, "results", readiness, stop)
        stack.push_async_callback(close_pool, pool, settings.drain_limit.total_seconds())
        publisher = Publisher(settings)
        stack.push_async_callback(publisher.stop)
        consumer = make_member(
            settings,
            "results",
            max_poll_interval_ms=_NEVER_MS,
            rebalance_timeout_ms=int(settings.kafka_session_timeout.total_seconds() * 1000),
        )
        stack.push_async_callback(close_consumer, consumer)
        control_consumer = make_consumer(settings)
        stack.push_async_callback(close_consumer, control_consumer)
        for client in (publisher, consumer, control_consumer):
            await wait_for_kafka(settings, client.start, readiness, stop)

        holds = Holds(pool)

        async def on_state(state: ControlState) -> None:
            await holds.note(state)
            releaser.wake()

        control = ControlTopic(control_consumer, publisher, topics.control, on_state)
        releaser = Releaser(
            pool=pool,
            publisher=publisher,
            topic=topics.due.name,
            partitions=partitions,
            held=lambda: control.held,
        )
        store = Store(pool)
        places = Places(consumer, store, readiness)
        show_standing(settings.group("results"), readers(topics), places.standings)
        writer = Writer(
            consumer=consumer,
            places=places,
            store=store,
            publisher=publisher,
            topics=topics,
            readiness=readiness,
            on_parked=releaser.on_parked,
        )
        build_api(api, pool, Actions(control, holds))

        async def release() -> None:
            # Not one release before it is known what is held.
            await control.caught_up.wait()
            readiness.met("control")
            await releaser.run()

        # The API answers from PostgreSQL; a load balancer that left it out would show nobody
        # what is stored.
        readiness.serve_without("kafka")
        await _until_stopped(
            stop,
            control.run(),
            holds.run(),
            writer.run(),
            release(),
            keep_measuring(pool),
            watch_kafka(publisher, readiness),
            watch_postgresql(pool, readiness),
        )


async def _until_stopped(stop: Stop, *runs: Coroutine[Any, Any, None]) -> None:
    tasks = [stop.watch(asyncio.create_task(run)) for run in runs]
    try:
        await stop.wait()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def main() -> int:
    """Run results."""
    return run_program("results", ResultsSettings, serve)


if __name__ == "__main__":
    sys.exit(main())
