"""The lookup program: everything put together, started, and stopped in order."""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import faust
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from fastapi import FastAPI

from services.lookup.accounts import Account, load_accounts
from services.lookup.agents import Agents
from services.lookup.assignment import Assignment
from services.lookup.barrier import Barrier, read_ends
from services.lookup.consumer import App, Parts, Transport
from services.lookup.flights import Flights
from services.lookup.flood import Flood, Limits
from services.lookup.intake import Intake
from services.lookup.lease import Lease
from services.lookup.memory import Memory, Offsets
from services.lookup.outlet import Outlet
from services.lookup.paid import PaidCheck
from services.lookup.probe import Probe
from services.lookup.resumption import Resumption
from services.lookup.route import Policy
from services.lookup.settings import LookupSettings
from services.lookup.throttle import Throttle
from services.lookup.twilio import TwilioClient
from services.lookup.watchdog import watchdog
from services.runtime.control_topic import ControlTopic, show_running
from services.runtime.database import Pool, close_pool, open_pool, watch_postgresql
from services.runtime.health import Readiness, health_router
from services.runtime.http import LOOPBACK, serve_http
from services.runtime.kafka import Publisher, client_options, close_consumer, make_consumer
from services.runtime.kafka_rights import check_kafka, reading_refused
from services.runtime.kafka_watch import wait_for_kafka, watch_kafka
from services.runtime.logs import get_logger
from services.runtime.metrics import registry_for
from services.runtime.program import Stop, first_of, run_program
from services.runtime.standing import show_standing

log = get_logger(__name__)

_DAY = timedelta(days=1).total_seconds()


def make_faust_app(settings: LookupSettings, parts: Parts, slots: int) -> faust.App:
    """The Faust app: it keeps the group, the assignment and the delivery, and no more.

    Made inside the running loop, to which everything of it is bound.
    """
    options = client_options(settings)
    servers = str(options["bootstrap_servers"]).split(",")
    context: ssl.SSLContext | None = options.get("ssl_context")
    credentials: Any = None
    if settings.kafka_security_protocol.startswith("SASL"):
        credentials = faust.SASLCredentials(
            username=options["sasl_plain_username"],
            password=options["sasl_plain_password"],
            mechanism=options["sasl_mechanism"],
            ssl_context=context,
        )
    elif context is not None:
        credentials = faust.SSLCredentials(context)
    app = App(
        settings.group("lookup"),
        broker=[f"kafka://{server.strip()}" for server in servers],
        broker_credentials=credentials,
        autodiscover=False,
        key_serializer="raw",
        value_serializer="raw",
        stream_wait_empty=True,
        stream_buffer_maxsize=slots,
        broker_session_timeout=settings.kafka_session_timeout.total_seconds(),
        broker_heartbeat_interval=settings.kafka_session_timeout.total_seconds() / 10,
        broker_rebalance_timeout=settings.drain_limit.total_seconds() + 15,
        broker_commit_interval=0.2,
        broker_max_poll_records=500,
        # Topics that somebody gave more partitions are noticed as soon as a lost session is.
        consumer_metadata_max_age_ms=int(settings.kafka_session_timeout.total_seconds() * 1000),
        # The drain and the watchdog end what hangs; leaving the group would not.
        broker_max_poll_interval=30 * _DAY,
        # Topics with one number of partitions go to one process together.
        table_standby_replicas=1,
        topic_disable_leader=True,
        topic_allow_declare=False,
        web_enabled=False,
    )
    app.transport = Transport(app.conf.broker_consumer, app, parts)
    topics = settings.topics
    for topic in (topics.contacts, topics.due):
        channel = app.topic(topic.name, key_serializer="raw", value_serializer="raw")

        @app.agent(channel, name=topic.name)  # type: ignore[untyped-decorator]  # Faust has no types
        async def agent(stream: Any) -> None:
            await parts.intake.take(stream.noack().events(), app.consumer)

    return app


@dataclass(frozen=True, slots=True)
class _Parts:
    """What runs, once everything is connected."""

    app: faust.App
    #: What it takes from.
    topics: tuple[str, ...]
    assignment: Assignment
    paid: PaidCheck
    lease: Lease
    control: ControlTopic
    probe: Probe


def _build(
    settings: LookupSettings,
    stop: Stop,
    readiness: Readiness,
    *,
    accounts: Mapping[str, Account],
    client: TwilioClient,
    pool: Pool,
    publisher: Publisher,
    controls: AIOKafkaConsumer,
    ends: AIOKafkaConsumer,
    partitions: int,
) -> _Parts:
    topics = settings.topics
    outcomes = [topic.name for topic in topics.outcomes]
    memory = Memory(settings.memory_limit)
    lease = Lease(settings.kafka_session_timeout.total_seconds())

    def release(partition: int, generation: int) -> None:
        app.consumer.release(partition, generation)

    barrier = Barrier(release)

    def on_offsets(offsets: Offsets) -> None:
        memory.forget_stored(offsets)
        barrier.seen(offsets)

    paid = PaidCheck(
        pool,
        outcomes,
        readiness=readiness,
        on_offsets=on_offsets,
        offsets_wanted=lambda: barrier.waits or len(memory) > 0,
    )
    throttles = {name: Throttle(name) for name in accounts}
    floods = {name: Flood(Limits(settings.flood_share, settings.flood_run)) for name in accounts}

    def resume(account: str) -> None:
        floods[account].forget()
        throttles[account].restart()

    resumption = Resumption(accounts, resume)
    control = ControlTopic(controls, publisher, topics.control, resumption.note)
    agents = Agents(
        accounts=accounts,
        throttles=throttles,
        floods=floods,
        client=client,
        policy=Policy(
            retry_delays=settings.retry_delays,
            max_attempts=settings.max_attempts,
            max_age=settings.max_age,
            unavailable_package=settings.unavailable_package,
        ),
        paid=paid,
        memory=memory,
        flights=Flights(),
        lease=lease,
        control=control,
        outlet=Outlet(publisher, topics, memory),
    )
    # Twice what may be in flight, so that the next call is ready when one ends.
    slots = 2 * sum(account.concurrency for account in accounts.values())
    intake = Intake(
        agents.handle,
        slots=slots,
        drain_limit=settings.drain_limit.total_seconds(),
        on_fault=stop.fail,
    )
    assignment = Assignment(
        barrier=barrier,
        paid=paid,
        lease=lease,
        ends=lambda wanted: read_ends(ends, outcomes, wanted),
        shares={name: (throttles[name], account) for name, account in accounts.items()},
        partitions=partitions,
        readiness=readiness,
        watch=stop.watch,
    )
    probe = Probe(
        accounts=accounts,
        client=client,
        control=control,
        interval=settings.probe_interval.total_seconds(),
        is_ours=lambda: assignment.has_first,
    )
    parts = Parts(intake, lease, assignment.assigned, assignment.revoked)
    app = make_faust_app(settings, parts, slots)
    taken_from = (topics.contacts.name, topics.due.name)
    return _Parts(app, taken_from, assignment, paid, lease, control, probe)


async def serve(settings: LookupSettings, stop: Stop) -> None:
    """Start lookup, wait for the stop, drain."""
    accounts = load_accounts(settings)
    readiness = Readiness("kafka", "postgresql", "control", "partitions")
    web = FastAPI(title="Bulk Lookup: lookup")
    web.include_router(health_router("lookup", readiness, registry_for("lookup")))
    async with AsyncExitStack() as stack:
        host = settings.http_host or LOOPBACK
        await stack.enter_async_context(serve_http(web, host, settings.http_port, grace=1))
        partitions = await wait_for_kafka(
            settings, lambda: check_kafka(settings, "lookup"), readiness, stop
        )
        pool = await open_pool(settings, "lookup", readiness, stop)
        stack.push_async_callback(close_pool, pool, 1)
        publisher = Publisher(settings)
        stack.push_async_callback(publisher.stop)
        control_consumer, ends_consumer = make_consumer(settings), make_consumer(settings)
        for consumer in (control_consumer, ends_consumer):
            stack.push_async_callback(close_consumer, consumer)
        for client_of_kafka in (publisher, control_consumer, ends_consumer):
            await wait_for_kafka(settings, client_of_kafka.start, readiness, stop)
        client = TwilioClient(accounts)
        stack.push_async_callback(client.close)
        for account in accounts:
            show_running(account)
        parts = _build(
            settings,
            stop,
            readiness,
            accounts=accounts,
            client=client,
            pool=pool,
            publisher=publisher,
            controls=control_consumer,
            ends=ends_consumer,
            partitions=partitions,
        )
        for watch in (
            watch_kafka(publisher, readiness, parts.assignment.why_unheard),
            watch_postgresql(pool, readiness),
        ):
            stack.callback(stop.watch(asyncio.create_task(watch)).cancel)
        longest = max(a.connect_timeout + a.read_timeout for a in accounts.values())
        await _run(parts, readiness, stop, longest)


async def _run(
    parts: _Parts,
    readiness: Readiness,
    stop: Stop,
    longest: float,
) -> None:
    app, control = parts.app, parts.control
    tasks = [stop.watch(asyncio.create_task(run)) for run in (control.run(), parts.paid.run())]
    try:
        # Not one call before it is known what is held.
        await first_of(control.caught_up.wait(), stop.wait())
        if stop.asked:
            return
        readiness.met("control")
        try:
            await _start(app, stop)
            show_standing(app.conf.id, parts.topics, app.consumer.standings)
            watch = watchdog(app.consumer, parts.lease, longest)
            tasks += [stop.watch(asyncio.create_task(run)) for run in (watch, parts.probe.run())]
            await first_of(stop.wait(), app.wait_until_stopped())
            if app.crash_reason is not None:
                stop.fail(_fault_of(app.crash_reason))
            log.info("stopping", fault=stop.fault is not None)
            await app.consumer.stop_taking()
        finally:
            # Whatever came of the drain: the consumer's thread would keep the process alive.
            await app.stop()
    finally:
        parts.assignment.revoked()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _start(app: faust.App, stop: Stop) -> None:
    """Start Faust, which waits for Kafka; a stop asked for meanwhile does not wait with it."""
    starting = asyncio.create_task(app.start())
    try:
        await first_of(asyncio.wait({starting}), stop.wait())
        if starting.done():
            starting.result()
    except BaseException as error:
        # Before Faust is stopped, which may take all the time that a stop has.
        stop.fail(error)
        raise
    finally:
        starting.cancel()


def _fault_of(crash: BaseException) -> BaseException:
    if isinstance(crash, KafkaError) and not crash.retriable:
        return reading_refused(crash)
    return crash


def main() -> int:
    """Run lookup."""
    return run_program("lookup", LookupSettings, serve)


if __name__ == "__main__":
    sys.exit(main())
