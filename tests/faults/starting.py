"""Starts what a case describes: servers that faults may stop, and the system on them."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from services.local.environment import without_settings
from services.local.kafka import Guards, KafkaServer
from services.local.postgres import PostgresServer
from services.local.processes import HOST, free_port
from services.local.programs import Program
from services.local.stack import Plan, Stack
from services.local.twilio.config import Account, SimulatorConfig
from services.runtime.settings import ProgramSettings, parse_duration
from tests.faults.books import Contact
from tests.faults.cases import Case
from tests.faults.feeding import Feeder
from tests.faults.proxy import Proxy
from tests.faults.scene import Scene
from tests.faults.stored import Sampler
from tests.faults.topics import remove
from tests.pipeline.books import PACKAGE
from tests.pipeline.harness import TOKEN, Pipeline

#: Calls that the account may have out.
CONCURRENCY = 20
_PARTITIONS = 4
#: In the file that is handed in first.
_ROWS = 600
#: Numbers kept for the steps that need some of their own.
_SPARE = 500


@dataclass(frozen=True, slots=True)
class Servers:
    """Kafka with a second way in through a proxy's port, and PostgreSQL."""

    kafka: KafkaServer
    #: Where the listener is that says it were at `kafka_proxy`.
    kafka_behind: int
    kafka_proxy: int
    postgres: PostgresServer

    def mend(self) -> None:
        """Start what a case that failed left stopped."""
        for server in (self.kafka, self.postgres):
            if not server.running:
                server.start()


@contextmanager
def run_servers() -> Iterator[Servers]:
    """Start servers that nothing else uses; they end with the context."""
    directory = Path(tempfile.mkdtemp(prefix="bulk-lookup-faults-"))
    # PostgreSQL started by root runs as somebody else, who must be able to pass through.
    directory.chmod(0o711)
    port, behind, proxy = free_port(), free_port(), free_port()
    advertised = f"CLIENTS://{HOST}:{port},PLAINTEXT://{HOST}:{proxy}"
    guards = Guards({"PLAINTEXT": behind}, (f"advertised.listeners={advertised}",))
    kafka = KafkaServer(directory / "kafka", port, guards)
    postgres = PostgresServer(directory / "postgres", durable=False)
    try:
        with kafka, postgres:
            yield Servers(kafka, behind, proxy, postgres)
    finally:
        shutil.rmtree(directory)


def start_case(
    case: Case,
    servers: Servers,
    directory: Path,
    stack: ExitStack,
    further: Sequence[str] | None = None,
) -> Scene:
    """Start a case, whose contacts begin to come in; it is ended by the stack.

    Args:
        case: What is started.
        servers: Where.
        directory: For logs and ledger.
        stack: Ends it; after a failure, at once.
        further: Numbers that come in after the first file; without them, the sample's others.
    """
    servers.mend()
    name = f"t{uuid.uuid4().hex[:12]}"
    url = servers.postgres.create_database(name)
    settings = ProgramSettings(
        kafka_bootstrap_servers=servers.kafka.bootstrap_servers,
        kafka_topic_prefix=f"{name}.",
        kafka_partitions=_PARTITIONS,
        # The least that Kafka takes.
        kafka_session_timeout=parse_duration("6s"),
        retry_delays=tuple(map(parse_duration, ("300ms", "600ms", "1200ms"))),
    )
    plan = Plan(
        environ=without_settings(os.environ)
        | {"KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers, "DATABASE_URL": url},
        settings={
            "API_TOKENS": f"tests:{TOKEN}",
            "KAFKA_TOPIC_PREFIX": settings.kafka_topic_prefix,
            "KAFKA_PARTITIONS": str(_PARTITIONS),
            "KAFKA_SESSION_TIMEOUT": "6s",
            "RETRY_DELAYS": "300ms,600ms,1200ms",
            **case.settings,
        },
        lookups=2,
        simulator=SimulatorConfig(
            accounts=(
                Account(
                    name="default", sid="SK" + "0" * 32, secret="simulated", concurrency=CONCURRENCY
                ),
            ),
            latency=case.latency,
            faults=case.faults,
        ),
        durable=False,
    )
    system = Stack(directory / "system", plan)
    stack.callback(_remove_topics, servers, settings)
    stack.push(lambda kind, *_: _end(system, kill=kind is not None))
    system.start_servers()
    for name in (*case.started, *case.later):
        if name not in system.programs:
            like = next(p for p in system.programs.values() if name.startswith(p.kind))
            environ = {**like.environ, "HTTP_PORT": "0"}
            system.programs[name] = Program(like.kind, name, system.directory, environ)
    proxies = _proxies(case, system, servers, stack, url)
    for name in case.started:
        system.programs[name].start()
    for name in case.started:
        system.programs[name].wait_ready()
    numbers = Pipeline.all_numbers()
    rows, spare = numbers[:_ROWS], numbers[-_SPARE:]
    sampler = stack.enter_context(Sampler(url))
    Pipeline(system).submit(rows, packages=PACKAGE)
    feeder = stack.enter_context(
        Feeder(
            settings.kafka_bootstrap_servers,
            settings.topics.inbound.name,
            numbers[_ROWS:-_SPARE] if further is None else further,
            PACKAGE,
        )
    )
    return Scene(
        stack=system,
        kafka=servers.kafka,
        postgres=servers.postgres,
        url=url,
        settings=settings,
        proxies=proxies,
        sampler=sampler,
        feeder=feeder,
        contacts=[Contact(f"c{n}", phone) for n, phone in enumerate(rows, start=2)],
        spare=spare,
        may_end=case.may_end,
    )


def _proxies(
    case: Case, system: Stack, servers: Servers, stack: ExitStack, url: str
) -> dict[str, Proxy]:
    """Lead the programs' ways through proxies, as the case says."""
    assert system.simulator is not None
    made = {
        "kafka": Proxy(servers.kafka_behind, servers.kafka_proxy),
        "postgres": Proxy(servers.postgres.port),
        "twilio": Proxy(system.simulator.port),
    }
    proxies = {part: stack.enter_context(made[part]) for part in case.through}
    ways = {
        "kafka": ("KAFKA_BOOTSTRAP_SERVERS", f"{HOST}:{made['kafka'].port}"),
        "postgres": (
            "DATABASE_URL",
            url.replace(f":{servers.postgres.port}/", f":{made['postgres'].port}/"),
        ),
        "twilio": ("TWILIO_BASE_URL", f"http://{HOST}:{made['twilio'].port}"),
    }
    for part, programs in case.through.items():
        setting, value = ways[part]
        for name in programs:
            system.programs[name].environ[setting] = value
    return proxies


def _remove_topics(servers: Servers, settings: ProgramSettings) -> None:
    servers.mend()
    asyncio.run(remove(settings))


def _end(system: Stack, *, kill: bool) -> None:
    """In order, but after a failure at once: what hangs or stands still would be waited for."""
    if kill:
        system.kill()
    system.stop()
