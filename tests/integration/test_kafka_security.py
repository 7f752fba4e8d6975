"""Kafka over TLS, passwords and certificates, under access rules: every way in, every refusal."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiokafka import AIOKafkaConsumer

from services.cli.topic_report import find_topics
from services.ingest import app as ingest
from services.ingest.settings import IngestSettings
from services.lookup import app as lookup
from services.lookup import scheduler
from services.lookup.scheduler import SchedulerSettings
from services.lookup.settings import LookupSettings
from services.results import app as results
from services.results.settings import ResultsSettings
from services.runtime.health import Readiness
from services.runtime.kafka import ProduceError, Publisher, make_admin, make_consumer
from services.runtime.kafka_reach import find_trouble
from services.runtime.kafka_rights import RightsError, check_kafka
from services.runtime.kafka_topics import TopicsError, check_topics
from services.runtime.kafka_watch import wait_for_kafka, watch_kafka
from services.runtime.program import FaultError, Stop
from services.runtime.settings import ProgramSettings, SettingsError
from tests.secured_kafka import LISTENERS, OPERATOR, PROGRAMS, SecuredKafka, read_settings

ROOT = Path(__file__).parents[2]
Serve = Callable[[Any, Stop], Coroutine[Any, Any, None]]
SERVES: dict[str, tuple[Serve, type[ProgramSettings]]] = {
    "ingest": (ingest.serve, IngestSettings),
    "lookup": (lookup.serve, LookupSettings),
    "scheduler": (scheduler.serve, SchedulerSettings),
    "results": (results.serve, ResultsSettings),
}
#: Needed to start, asked for nothing here.
TWILIO = {"TWILIO_API_KEY": "SK" + "0" * 32, "TWILIO_API_SECRET": "secret"}


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    """A broker with every kind of listener, for all tests of this file."""
    kafka = SecuredKafka(tmp_path_factory.mktemp("secured"))
    with kafka.server:
        yield kafka


def small(prefix: str, **more: str) -> dict[str, str]:
    """Few partitions, under a prefix."""
    return {"KAFKA_TOPIC_PREFIX": prefix, "KAFKA_PARTITIONS": "1", **more}


async def next_value(consumer: AIOKafkaConsumer) -> bytes:
    async with asyncio.timeout(60):
        return bytes((await consumer.getone()).value)


@pytest.mark.parametrize("listener", LISTENERS)
async def test_every_client_is_let_in(
    secured: SecuredKafka, listener: str, topic_prefix: str
) -> None:
    """What the programs and the command line connect with goes through every kind of listener."""
    settings = read_settings(secured.settings(listener) | small(topic_prefix), ProgramSettings)
    topic = settings.topics.results.name
    publisher = Publisher(settings)
    consumer = make_consumer(settings, topic, group_id=f"{topic_prefix}results")
    try:
        assert await check_kafka(settings, "results") == 1
        assert await find_trouble(settings) is None
        assert set(await find_topics(settings)) == {topic.name for topic in settings.topics.all}
        await publisher.start()
        assert await publisher.trouble(20) is None
        await publisher.publish(topic, b"hello", key=b"k")
        await consumer.start()
        assert await next_value(consumer) == b"hello"
        await consumer.commit()
    finally:
        await consumer.stop()
        await publisher.stop()


REFUSED: list[tuple[str, dict[str, str], str]] = [
    (
        "SASL_SSL",
        {"KAFKA_SASL_PASSWORD": "wrong"},
        "refuses KAFKA_SASL_USERNAME='operator' or its password by SCRAM-SHA-512; check both",
    ),
    ("SASL_PLAINTEXT", {"KAFKA_SASL_USERNAME": "nobody"}, "refuses KAFKA_SASL_USERNAME='nobody'"),
    (
        "SASL_PLAINTEXT",
        {"KAFKA_SASL_MECHANISM": "SCRAM-SHA-256"},
        "does not take KAFKA_SASL_MECHANISM=SCRAM-SHA-256; name one of its sasl.enabled.mechanisms",
    ),
    (
        "SSL",
        {
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_USERNAME": OPERATOR,
            "KAFKA_SASL_PASSWORD": "any",
        },
        "asks for no password on this port, and KAFKA_SECURITY_PROTOCOL=SASL_SSL gives one: say SSL",
    ),
    (
        "SSL",
        {"KAFKA_SSL_CA_FILE": "of others"},
        "is not signed by any of KAFKA_SSL_CA_FILE=of othe",
    ),
    (
        "MUTUAL_TLS",
        {"KAFKA_SSL_CERTIFICATE_FILE": "none"},
        "it wants a certificate of ours: set KAFKA_SSL_CERTIFICATE_FILE",
    ),
    (
        "MUTUAL_TLS",
        {"KAFKA_SSL_CERTIFICATE_FILE": "expired"},
        "refuses KAFKA_SSL_CERTIFICATE_FILE=expired: has it expired, and does Kafka trust who",
    ),
    (
        "MUTUAL_TLS",
        {"KAFKA_SSL_CERTIFICATE_FILE": "of others"},
        "refuses KAFKA_SSL_CERTIFICATE_FILE=of others: has it expired, and does Kafka trust who",
    ),
]


@pytest.mark.parametrize(("listener", "changes", "said"), REFUSED)
async def test_what_kafka_refuses_ends_the_start(
    secured: SecuredKafka,
    listener: str,
    changes: dict[str, str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Settings that Kafka refuses are named with the way out, and not tried again for ever."""
    others = trustme.CA()
    others.cert_pem.write_to_path(tmp_path / "of others")
    if listener == "MUTUAL_TLS":
        of_others = secured.client_file("stranger", authority=others)
        (tmp_path / "of others").write_bytes(of_others.read_bytes())
        expired = secured.client_file("expired", expired=True)
        (tmp_path / "expired").write_bytes(expired.read_bytes())
    monkeypatch.chdir(tmp_path)  # the files are named as they stand in the table
    environ = secured.settings(listener) | changes
    if environ.get("KAFKA_SSL_CERTIFICATE_FILE") == "none":
        del environ["KAFKA_SSL_CERTIFICATE_FILE"]
    with pytest.raises(SettingsError) as caught:
        await scheduler.serve(read_settings(environ, SchedulerSettings), Stop())
    assert f"Kafka at 127.0.0.1:{secured.ports[listener]}: it" in str(caught.value)
    assert said in str(caught.value)
    assert "wrong'" not in str(caught.value)


@pytest.mark.parametrize("program", PROGRAMS)
async def test_each_program_ends_on_a_wrong_password(secured: SecuredKafka, program: str) -> None:
    """None of the four waits for a password to become right by itself."""
    serve, model = SERVES[program]
    environ = secured.settings("SASL_SSL", program, KAFKA_SASL_PASSWORD="wrong") | TWILIO
    with pytest.raises(SettingsError, match=f"refuses KAFKA_SASL_USERNAME='{program}'"):
        await serve(read_settings(environ, model), Stop())


def test_the_process_says_what_is_wrong_and_exits_with_78(secured: SecuredKafka) -> None:
    """On standard error, in one line, without a traceback and without the password."""
    environ = secured.settings("SASL_SSL", KAFKA_SASL_PASSWORD="wrong-secret")
    ended = subprocess.run(
        [sys.executable, "-m", "services.lookup.scheduler"],
        cwd=ROOT,
        env=os.environ | environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 78
    assert ended.stderr.startswith("Kafka at 127.0.0.1:")
    assert "check both" in ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
    assert "wrong-secret" not in ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("listener", "protocol"),
    [("SSL", "PLAINTEXT"), ("SASL_PLAINTEXT", "PLAINTEXT"), ("SASL_PLAINTEXT", "SSL")],
)
async def test_the_wrong_protocol_for_a_port(
    secured: SecuredKafka, listener: str, protocol: str
) -> None:
    """Kafka only hangs up, as when it ends, so it is waited for; the setting is named."""
    changed = secured.settings(listener, KAFKA_SECURITY_PROTOCOL=protocol)
    trouble = str(await find_trouble(read_settings(changed, ProgramSettings)))
    assert f"is KAFKA_SECURITY_PROTOCOL={protocol} right for it?" in trouble


async def test_a_program_waits_for_a_kafka_that_is_not_there_yet(tmp_path: Path) -> None:
    """Before: not ready, and why. Then it starts. Gone: not ready again. Back: it goes on."""
    kafka = SecuredKafka(tmp_path)
    settings = read_settings(kafka.settings("SASL_SSL") | small("later."), ProgramSettings)
    port = kafka.ports["SASL_SSL"]
    readiness, stop = Readiness("kafka"), Stop()
    publisher = Publisher(settings)

    async def until(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(90):
            while not condition():  # noqa: ASYNC110 - nothing tells it
                await asyncio.sleep(0.05)

    def gone() -> bool:
        return f"127.0.0.1:{port}: nobody listens there" in readiness.missing.get("kafka", "")

    starting = asyncio.create_task(wait_for_kafka(settings, publisher.start, readiness, stop))
    watching: asyncio.Task[None] | None = None
    try:
        await until(gone)
        kafka.server.start()
        await starting
        assert readiness.missing == {}
        watching = asyncio.create_task(watch_kafka(publisher, readiness))
        await check_topics(settings)
        kafka.server.stop()
        await until(gone)
        kafka.server.start()
        await until(lambda: not readiness.missing)
        await publisher.publish(settings.topics.results.name, b"on", key=b"k")
    finally:
        for task in filter(None, (starting, watching)):
            task.cancel()
        await publisher.stop()
        kafka.server.stop()


async def test_certificates_are_renewed_under_way(tmp_path: Path) -> None:
    """Clients that run go on when every certificate, the authority's too, is replaced on disk."""
    kafka = SecuredKafka(tmp_path)
    settings = read_settings(kafka.settings("MUTUAL_TLS") | small("renewed."), ProgramSettings)
    topic = settings.topics.results.name
    publisher = Publisher(settings)
    consumer = make_consumer(settings, topic, group_id="renewed.results")
    clients = (tmp_path / "files" / "ca.pem", tmp_path / "files" / f"{OPERATOR}.pem")
    with kafka.server:
        try:
            await check_topics(settings)
            await publisher.start()
            await consumer.start()
            await publisher.publish(topic, b"before", key=b"k")
            assert await next_value(consumer) == b"before"

            kafka.server.stop()
            old = [file.read_bytes() for file in clients]
            kafka.authority = trustme.CA()
            kafka.renew()
            new = [file.read_bytes() for file in clients]
            kafka.server.start()
            for file, content in zip(clients, old, strict=True):
                file.write_bytes(content)
            publishing = asyncio.create_task(publisher.publish(topic, b"after", key=b"k"))
            assert "is not signed by any of KAFKA_SSL_CA_FILE" in str(await publisher.trouble(120))
            assert not publishing.done()

            for file, content in zip(clients, new, strict=True):
                file.write_bytes(content)
            await publishing
            assert await next_value(consumer) == b"after"
        finally:
            await consumer.stop()
            await publisher.stop()


@pytest.mark.parametrize("program", PROGRAMS)
async def test_the_topic_table_is_enough(
    secured: SecuredKafka, program: str, topic_prefix: str
) -> None:
    """A program with the rights that the table gives it, and none besides, is content."""
    operator = read_settings(secured.settings("SASL_SSL") | small(topic_prefix), ProgramSettings)
    await check_topics(operator)
    await secured.allow(operator.topics, topic_prefix, {program: program})
    settings = read_settings(
        secured.settings("SASL_SSL", program) | small(topic_prefix), ProgramSettings
    )
    assert await check_kafka(settings, program) == 1


async def test_rights_that_are_missing_are_all_named_at_the_start(
    secured: SecuredKafka, topic_prefix: str
) -> None:
    """Which topic, which right, which user: before anything is done, not when it is needed."""
    operator = read_settings(secured.settings("SASL_SSL") | small(topic_prefix), ProgramSettings)
    await check_topics(operator)
    missing = (
        f"Read on {topic_prefix}contacts",
        f"Write on {topic_prefix}lookup.parked",
        f"Write on {topic_prefix}lookup.control",
        f"Read on the group {topic_prefix}lookup",
    )
    await secured.allow(operator.topics, topic_prefix, {"lookup": "lookup"}, but=missing)
    environ = secured.settings("SASL_SSL", "lookup") | small(topic_prefix) | TWILIO
    with pytest.raises(RightsError) as caught:
        await lookup.serve(read_settings(environ, LookupSettings), Stop())
    assert f"lookup as 'lookup' do all it has to. It lacks {', '.join(missing)}." in str(
        caught.value
    )


async def test_topics_that_may_not_be_made(secured: SecuredKafka, topic_prefix: str) -> None:
    """Without Create the error names the topics that lack, the right and the other way out."""
    environ = secured.settings("SASL_SSL", "ingest") | small(topic_prefix)
    settings = read_settings(environ, ProgramSettings)
    await secured.allow(settings.topics, topic_prefix, {"ingest": "ingest"})
    with pytest.raises(TopicsError) as caught:
        await check_kafka(settings, "ingest")
    topics = settings.topics
    seen = (topics.inbound, topics.contacts, topics.rejected, topics.dead_letters)
    names = ", ".join(topic.name for topic in seen)
    assert str(caught.value) == (
        f"Kafka does not let this program make {names}: allow it Create on them, or make them as "
        "docs/reference/topics.md says"
    )


@pytest.mark.parametrize(("right", "fault"), [("Write", ProduceError), ("Read", RightsError)])
async def test_a_right_that_is_taken_away_under_way(
    secured: SecuredKafka, right: str, fault: type[FaultError], topic_prefix: str
) -> None:
    """The program ends by a fault that names the topic; what it had taken is not committed."""
    shape = small(topic_prefix, RETRY_DELAYS="10ms")
    operator = read_settings(secured.settings("SASL_SSL") | shape, ProgramSettings)
    await check_topics(operator)
    await secured.allow(operator.topics, topic_prefix, {"scheduler": "scheduler"})
    retry, due = operator.topics.retries[0][1].name, operator.topics.due.name
    denied = due if right == "Write" else retry

    settings = read_settings(secured.settings("SASL_SSL", "scheduler") | shape, ProgramSettings)
    group = f"{topic_prefix}scheduler"
    readiness, stop = Readiness("partitions"), Stop()
    publisher, upstream = Publisher(settings), Publisher(operator)
    consumer = make_consumer(settings, group_id=group)
    admin = make_admin(operator)
    mover = scheduler.Scheduler(settings, consumer, publisher, readiness)
    try:
        for client in (publisher, upstream, consumer, admin):
            await client.start()
        moving = asyncio.create_task(mover.run(stop))
        async with asyncio.timeout(60):
            while readiness.missing:  # noqa: ASYNC110 - nothing tells it
                await asyncio.sleep(0.05)
        await secured.deny(denied, "scheduler", right)
        await upstream.publish(retry, b"a retry", key=b"k")
        with pytest.raises(fault, match=denied.replace(".", r"\.")):
            await moving
        assert await admin.list_consumer_group_offsets(group) == {}
    finally:
        await consumer.stop()
        await publisher.stop()
        await upstream.stop()
        await admin.close()
