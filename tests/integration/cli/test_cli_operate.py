"""topics, migrate and check against real Kafka, PostgreSQL, and the Twilio simulator."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from services.local.twilio.config import Account, Latency, SimulatorConfig
from services.local.twilio.process import TwilioSimulator
from services.runtime.kafka import make_admin
from services.runtime.kafka_topics import check_topics
from services.runtime.settings import ProgramSettings

ACCOUNT = Account(name="default", sid="AC" + "1" * 32, secret="of-the-simulator")


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[str]:
    """Address of a Twilio that knows one account."""
    config = SimulatorConfig(accounts=(ACCOUNT,), latency=Latency(median_seconds=0))
    with TwilioSimulator(tmp_path, config) as running:
        yield running.base_url


def settings_of(kafka: str, prefix: str) -> dict[str, str]:
    return {
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "KAFKA_TOPIC_PREFIX": prefix,
        "KAFKA_PARTITIONS": "2",
    }


def read(ended: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ended.out.splitlines()]


async def test_topics(command: Any, kafka: str, topic_prefix: str) -> None:
    """Topics that are missing or have another retention are told, with 1; else it is 0."""
    environ = settings_of(kafka, topic_prefix)
    missing = await command("topics", "--json", **environ)
    assert missing.code == 1
    assert {tuple(line["differs"]) for line in read(missing)} == {("is not there",)}

    settings = ProgramSettings(
        kafka_bootstrap_servers=kafka, kafka_topic_prefix=topic_prefix, kafka_partitions=2
    )
    await check_topics(settings)
    fine = await command("topics", **environ)
    assert (fine.code, fine.err) == (0, "")
    assert f"{topic_prefix}lookup.control" in fine.out

    admin = make_admin(settings)
    await admin.start()
    try:
        contacts = settings.topics.contacts
        changed = contacts.config | {"retention.ms": "60000"}
        await admin.alter_configs(
            [ConfigResource(ConfigResourceType.TOPIC, contacts.name, changed)]
        )
    finally:
        await admin.close()
    ended = await command("topics", "--json", **environ)
    assert ended.code == 1
    [different] = [line for line in read(ended) if line["differs"]]
    assert different["topic"] == contacts.name
    assert different["differs"] == ["retention.ms is 60000, should be 2592000000"]


async def test_topics_without_kafka(command: Any) -> None:
    """A Kafka that does not answer ends with 69 and one message, no library's log."""
    ended = await command("topics", "--json", KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")
    assert (ended.code, ended.out) == (69, "")
    assert ended.err.startswith("Kafka does not answer")


async def test_migrate(command: Any, postgres: str) -> None:
    """The schema is brought up to date once; the second time there is nothing to do."""
    first = await command("migrate", "--json", DATABASE_URL=postgres)
    second = await command("migrate", "--json", DATABASE_URL=postgres)
    assert (first.code, second.code) == (0, 0)
    assert read(first)[0]["applied"][0].startswith("0001_")
    assert read(second) == [{"applied": []}]


async def test_migrate_without_postgresql(command: Any) -> None:
    """A PostgreSQL that does not answer ends with 69, without the URL's password."""
    ended = await command("migrate", DATABASE_URL="postgresql://user:hidden@127.0.0.1:1/none")
    assert (ended.code, ended.out) == (69, "")
    assert "DATABASE_URL" in ended.err
    assert "hidden" not in ended.err


async def test_check(
    command: Any, kafka: str, topic_prefix: str, postgres: str, simulator: str
) -> None:
    """All is checked, one line each: first what is missing and how to mend it, then all is ok."""
    environ = settings_of(kafka, topic_prefix) | {
        "DATABASE_URL": postgres,
        "TWILIO_ACCOUNT_SID": ACCOUNT.sid,
        "TWILIO_AUTH_TOKEN": "wrong",
        "TWILIO_BASE_URL": simulator,
    }
    first = await command("check", "--json", **environ)
    found = {line["what"]: line for line in read(first)}
    assert first.code == 1
    assert {what for what, line in found.items() if not line["ok"]} == {
        "postgresql",
        "twilio account default",
    }
    assert "bulk-lookup migrate" in found["postgresql"]["detail"]
    assert "20003" in found["twilio account default"]["detail"]

    await command("migrate", DATABASE_URL=postgres)
    environ["TWILIO_AUTH_TOKEN"] = ACCOUNT.secret
    second = await command("check", **environ)
    assert second.code == 0, second.out
    assert [line.split()[0] for line in second.out.splitlines()] == ["ok"] * 7


async def test_check_finds_all_that_is_wrong(command: Any) -> None:
    """What is wrong stops no other check; wrong settings are named, secrets are not shown."""
    ended = await command(
        "check",
        "--json",
        KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1",
        DATABASE_URL="postgresql://user:hidden@127.0.0.1:1/none",
        TWILIO_ACCOUNT_SID="AC-too-short",
        API_TOKENS="short",
    )
    assert ended.code == 1
    assert [line["what"] for line in read(ended) if not line["ok"]] == [
        "settings of ingest",
        "settings of lookup",
        "settings of results",
        "kafka",
        "postgresql",
        "twilio",
    ]
    assert "TWILIO_ACCOUNT_SID" in ended.out
    for secret in ("hidden", "too-short"):
        assert secret not in ended.out + ended.err
