"""The whole system on one machine: Kafka, PostgreSQL, Twilio simulator, and all programs.

Everything is a child process of whoever makes a `Stack`, is told by environment variables
alone, and ends with its parent however that ends.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import asyncpg

from services.local.environment import (
    account_settings,
    database_url,
    inherited,
    own_database,
    own_kafka,
    own_twilio,
)
from services.local.jars import cache_directory
from services.local.kafka import KafkaServer
from services.local.postgres import PostgresServer
from services.local.processes import LocalServer, ServerError
from services.local.programs import Kind, Program, stop_together
from services.local.twilio.config import SimulatorConfig
from services.local.twilio.process import TwilioSimulator
from services.results.migrate import migrate
from services.runtime.program import FaultError

_DATABASE = "bulk_lookup"
_DEFAULT_ACCOUNT = "default"

#: Programs in the order of their stop, which is the flow's: nothing new, then calls, then results.
_FLOW: tuple[Kind, ...] = ("ingest", "lookup", "scheduler", "results")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a stack is to be.

    `environ` is the environment it starts from; a Kafka or a PostgreSQL that it names is
    used instead of a server of the stack's own. Twilio it names is used only with
    `real_twilio`. `settings` are set for every program and win. `ports` fixes ports by the
    name of a part ("kafka", "postgres", "twilio", or a program); the others are free ones.
    """

    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    settings: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=dict)
    lookups: int = 2
    simulator: SimulatorConfig = field(default_factory=SimulatorConfig)
    real_twilio: bool = False
    #: Whether what PostgreSQL wrote survives the machine.
    durable: bool = True


class Stack:
    """The servers and programs of one plan, with all they write in one directory.

    As a context manager it starts on entering and stops on leaving. `programs` has every
    program by name: ingest, lookup-1, lookup-2, scheduler, results. Use it in the main
    thread only.

    Args:
        directory: Where state and logs are kept; made if it is missing.
        plan: What to start.
        say: Told about every step, for people.
    """

    def __init__(
        self,
        directory: Path,
        plan: Plan | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.directory = directory.absolute()
        self.plan = plan or Plan()
        self.programs: dict[str, Program] = {}
        ports = self.plan.ports
        environ = self.plan.environ
        self.kafka = (
            None
            if own_kafka(environ)
            else KafkaServer(self.directory / "kafka", ports.get("kafka"))
        )
        self.postgres = (
            None
            if own_database(environ)
            else PostgresServer(
                self.directory / "postgres", ports.get("postgres"), durable=self.plan.durable
            )
        )
        self.simulator = (
            None
            if self.plan.real_twilio
            else TwilioSimulator(
                self.directory / "twilio", self.plan.simulator, ports.get("twilio")
            )
        )
        self._say = say

    @property
    def logs(self) -> Path:
        """Where the programs' logs are."""
        return self.directory / "logs"

    @property
    def servers(self) -> dict[str, LocalServer]:
        """The stack's own servers by name, in the order of their start."""
        own = {"kafka": self.kafka, "postgres": self.postgres, "twilio": self.simulator}
        return {name: server for name, server in own.items() if server is not None}

    def start(self) -> None:
        """Start all of it and wait until all of it is ready; else nothing is left running.

        Raises:
            ServerError: A part does not start.
            JarError: Kafka's jars cannot be fetched.
            FaultError: PostgreSQL's schema cannot be brought up to date.
        """
        try:
            self.start_servers()
            self.start_programs()
        except BaseException:
            self.stop()
            raise

    def start_servers(self) -> None:
        """Start the servers, and bring the schema up to date; part of `start`."""
        if self.plan.real_twilio and not own_twilio(self.plan.environ):
            raise ServerError(
                "Real Twilio is asked for, and no credentials are set: set TWILIO_API_KEY and "
                "TWILIO_API_SECRET, or TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN."
            )
        self._make_directory()
        for server in self.servers.values():
            if server is self.kafka and not cache_directory(os.environ).exists():
                self._say("Fetching Apache Kafka, 45 MB, this once")
            self._say(f"Starting {server.name}")
            server.start()
        self._say("Bringing the schema up to date")
        url = asyncio.run(self._prepare_database())
        environ = self._environ(url)
        self.programs = {
            name: Program(kind, name, self.directory, environ, self.plan.ports.get(name, 0))
            for kind in _FLOW
            for name in self._names(kind)
        }

    def _names(self, kind: Kind) -> list[str]:
        if kind != "lookup":
            return [kind]
        return [f"lookup-{number}" for number in range(1, self.plan.lookups + 1)]

    def start_programs(self) -> None:
        """Start all programs side by side and wait until they are ready; part of `start`."""
        self._say(f"Starting {', '.join(self.programs)}")
        for program in self.programs.values():
            program.start()
        for program in self.programs.values():
            program.wait_ready()

    def check(self) -> None:
        """Raise `ServerError` if a server or a program has ended by itself."""
        for server in self.servers.values():
            server.check()
        for program in self.programs.values():
            program.check()

    def stop(self) -> None:
        """Stop it in the order of the flow, the servers last; no effect on what does not run."""
        for kind in _FLOW:
            running = [p for p in self.programs.values() if p.kind == kind and p.running]
            if running:
                self._say(f"Stopping {', '.join(program.name for program in running)}")
                stop_together(running)
        for server in filter(lambda server: server.running, reversed(self.servers.values())):
            self._say(f"Stopping {server.name}")
            server.stop()

    def kill(self) -> None:
        """End everything that runs as `kill -9` does, without waiting; `stop` waits."""
        parts: list[Program | LocalServer] = [*self.programs.values(), *self.servers.values()]
        for part in parts:
            if part.running:
                os.kill(part.pid, signal.SIGKILL)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _make_directory(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            # PostgreSQL then runs as somebody else, who must be able to pass through.
            self.directory.chmod(0o711)

    async def _prepare_database(self) -> str:
        """Bring the schema up to date, the first time in a new database; gives its URL."""
        if self.postgres is None:
            url = database_url(self.plan.environ)
        else:
            connection = await asyncpg.connect(self.postgres.url())
            try:
                exists = await connection.fetchval(
                    "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", _DATABASE
                )
            finally:
                await connection.close()
            url = (
                self.postgres.url(_DATABASE) if exists else self.postgres.create_database(_DATABASE)
            )
        try:
            await migrate(url)
        except OSError as error:
            raise FaultError(f"DATABASE_URL: PostgreSQL does not answer: {error}") from error
        return url

    def _environ(self, url: str) -> dict[str, str]:
        plan = self.plan
        environ = inherited(
            plan.environ,
            kafka=self.kafka is None,
            database=self.postgres is None,
            twilio=self.simulator is None,
        )
        if self.kafka is not None:
            environ["KAFKA_BOOTSTRAP_SERVERS"] = self.kafka.bootstrap_servers
        if self.postgres is not None:
            environ["DATABASE_URL"] = url
        if self.simulator is not None:
            environ |= self._simulated_accounts(self.simulator)
        return environ | dict(plan.settings)

    def _simulated_accounts(self, simulator: TwilioSimulator) -> dict[str, str]:
        """Settings of the simulator's accounts: `default` by name, the others by a file.

        Contacts may name all of them.
        """
        accounts = {
            account.name: account_settings(account, simulator.base_url)
            for account in simulator.config.accounts
        }
        settings = {"ACCOUNTS": ",".join(accounts)}
        own = accounts.pop(_DEFAULT_ACCOUNT, {})
        settings |= {f"TWILIO_{name.upper()}": str(value) for name, value in own.items()}
        if accounts:
            file = self.directory / "twilio-accounts.json"
            file.write_text(json.dumps(accounts), encoding="utf-8")
            settings["TWILIO_ACCOUNTS_FILE"] = str(file)
        return settings
