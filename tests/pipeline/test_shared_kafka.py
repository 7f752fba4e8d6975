"""The pipeline on a Kafka that is not its own: guarded by others, shared with others."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from services.local.environment import without_settings
from services.local.postgres import PostgresServer
from services.local.stack import Plan, Stack
from services.local.twilio.config import Latency, SimulatorConfig
from services.local.twilio.faults import Fault
from services.results.migrate import migrate
from services.runtime.kafka_topics import check_topics
from services.runtime.settings import ProgramSettings
from tests.pipeline.books import PACKAGE, assert_whole, paid_again
from tests.pipeline.harness import TOKEN, Pipeline, StartPipeline
from tests.secured_kafka import PROGRAMS, SecuredKafka, read_settings

QUICK = SimulatorConfig(latency=Latency(median_seconds=0.01))


@pytest.fixture
def guarded(
    pipeline_directory: Path, postgres: str, topic_prefix: str
) -> Iterator[tuple[Pipeline, SecuredKafka]]:
    """A pipeline over SASL_SSL, each program as its own user, with the table's rights alone."""
    secured = pipeline_directory / "secured"
    secured.mkdir()
    kafka = SecuredKafka(secured)
    shape = {"KAFKA_TOPIC_PREFIX": topic_prefix, "KAFKA_PARTITIONS": "2", "RETRY_DELAYS": "200ms"}
    comes = kafka.settings("SASL_SSL") | shape
    operator = read_settings(comes, ProgramSettings)
    plan = Plan(
        environ=without_settings(os.environ) | {"DATABASE_URL": postgres} | comes,
        settings={
            "API_TOKENS": f"tests:{TOKEN}",
            "KAFKA_CREATE_TOPICS": "false",
            "LOG_LEVEL": "debug",
            **shape,
        },
        simulator=QUICK,
        durable=False,
    )
    stack = Stack(pipeline_directory / "stack", plan)
    with kafka.server:
        try:
            asyncio.run(check_topics(operator))
            users = {program: program for program in PROGRAMS}
            asyncio.run(kafka.allow(operator.topics, topic_prefix, users))
            stack.start_servers()
            for program in stack.programs.values():
                program.environ |= kafka.settings("SASL_SSL", program.kind)
            stack.start_programs()
            yield Pipeline(stack), kafka
        finally:
            stack.stop()


def test_every_program_as_its_own_user_with_its_own_rights(
    guarded: tuple[Pipeline, SecuredKafka], topic_prefix: str
) -> None:
    """Over SASL_SSL the topic table's rights are enough, and renewed certificates are taken up.

    A right that is taken away in mid-run ends lookup with the topic's name.
    """
    pipeline, kafka = guarded
    numbers = pipeline.numbers(200)
    pipeline.simulator.control.set_faults(
        Fault(name="503", kind="http_503", share=0.3, times_per_number=1)
    )
    job = pipeline.submit(numbers, packages=PACKAGE)
    pipeline.wait_complete(job)
    assert_whole(pipeline, job, numbers)

    kafka.server.stop()
    kafka.authority = trustme.CA()
    kafka.renew()
    kafka.server.start()
    pipeline["ingest"].wait_ready()
    pipeline.simulator.control.set_faults()
    more = pipeline.numbers(300)[200:]
    again = pipeline.submit(more, packages=PACKAGE)
    pipeline.wait_complete(again)
    assert pipeline.counts(again) == {"completed": 100}
    assert paid_again(pipeline.calls()) == 0

    asyncio.run(kafka.deny(f"{topic_prefix}contacts", "lookup", "Read"))
    for name in ("lookup-1", "lookup-2"):
        assert pipeline[name].wait_ended(90) == 70
        said = pipeline[name].log.read_text(encoding="utf-8")
        # Digits of the prefix may be masked.
        assert ".contacts; it needs Read" in said.partition("Kafka refuses to let this program")[2]


def test_two_installations_share_a_kafka_by_prefix(
    start_pipeline: StartPipeline, postgres_server: PostgresServer, topic_prefix: str
) -> None:
    """Neither sees the other's contacts, nor is held with it; the one's prefix begins the other's."""
    database = postgres_server.create_database(topic_prefix.strip("."))
    asyncio.run(migrate(database))
    one = start_pipeline(simulator=QUICK, lookups=1)
    two = start_pipeline(
        simulator=QUICK,
        lookups=1,
        settings={"KAFKA_TOPIC_PREFIX": f"{topic_prefix}two.", "DATABASE_URL": database},
    )
    numbers = one.numbers(100)
    with one.api as api:
        api.post("/v1/accounts/default/stop", {"why": "only this one"})
    held = one.submit(numbers[:50], packages=PACKAGE)
    free = two.submit(numbers[50:], packages=PACKAGE)

    two.wait_complete(free)
    assert_whole(two, free, numbers[50:])
    assert one.calls() == []
    with one.api as api:
        api.post("/v1/accounts/default/resume", {"why": "seen enough"})
    one.wait_complete(held)
    assert_whole(one, held, numbers[:50])
    assert len(two.calls()) == 50
