"""Prometheus for one machine: the `prometheus` of the PATH, scraping the stack's programs."""

import json
import shutil
import signal
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlencode

from services.local.processes import (
    HOST,
    LocalServer,
    ServerError,
    http_get,
    log_tail,
    start_child,
)
from services.local.programs import Program

#: How to get what no wheel brings.
INSTALL = (
    "there is no `prometheus` on the PATH. On Debian and Ubuntu: "
    "apt install --no-install-recommends prometheus"
)

_RULES = Path(__file__).parents[2] / "deploy" / "prometheus" / "rules"
_HTTP_SECONDS = 10.0
_OK = 200
#: The page of the alerts: the usual one, and that of Debian's package, which has only the old pages.
_ALERT_PAGES = ("/alerts", "/classic/alerts")
_NAMESPACE = "local"


@dataclass(frozen=True, slots=True)
class Target:
    """A program to scrape: which one it is (the job), its name here, and its `host:port`."""

    kind: str
    name: str
    address: str


def installed() -> str | None:
    """Path of the `prometheus` that would be run, or None."""
    return shutil.which("prometheus")


def targets(programs: Iterable[Program]) -> tuple[Target, ...]:
    """Where programs answer now. One that is to be found there again needs a port of its own."""
    return tuple(
        Target(program.kind, program.name, program.url.removeprefix("http://"))
        for program in programs
    )


def shipped_rules(directory: Path = _RULES) -> tuple[Path, ...]:
    """The project's rule files; none where it is installed without its `deploy` folder."""
    return tuple(sorted(directory.glob("*.yaml")))


def configuration(
    scraped: Sequence[Target],
    rules: Sequence[Path],
    scrape_seconds: float,
    evaluation_seconds: float,
) -> dict[str, Any]:
    """What Prometheus is told: each program under the job and namespace that rules select by.

    Targets are fixed: who restarts a program gives it the same port, and between the two it is
    seen as down, as it should be.
    """
    return {
        "global": {
            "scrape_interval": _duration(scrape_seconds),
            "evaluation_interval": _duration(evaluation_seconds),
        },
        "rule_files": [str(rule) for rule in rules],
        "scrape_configs": [
            {
                "job_name": f"bulk-lookup-{kind}",
                "static_configs": [
                    {
                        "targets": [target.address],
                        "labels": {"namespace": _NAMESPACE, "pod": target.name},
                    }
                    for target in scraped
                    if target.kind == kind
                ],
            }
            for kind in dict.fromkeys(target.kind for target in scraped)
        ],
    }


def _duration(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"


class PrometheusServer(LocalServer):
    """Prometheus on 127.0.0.1, without an Alertmanager: its own pages show what fires.

    Args:
        directory: Where its configuration, log and series are kept.
        port: Where it listens; without one, a free port.
        scraped: The programs it watches.
        rules: Rule files that it evaluates.
        scrape_seconds: Time between two scrapes of a program.
        evaluation_seconds: Time between two evaluations of a group without an interval of its own.
    """

    name: ClassVar[str] = "Prometheus"
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(
        self,
        directory: Path,
        port: int | None = None,
        *,
        scraped: Sequence[Target] = (),
        rules: Sequence[Path] = (),
        scrape_seconds: float = 5,
        evaluation_seconds: float = 5,
    ) -> None:
        super().__init__(directory, port)
        self._configuration = configuration(scraped, rules, scrape_seconds, evaluation_seconds)
        self._log = self.directory / "prometheus.log"

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{HOST}:{self.port}"

    def start(self) -> None:
        """Start Prometheus and wait until it answers queries.

        Raises:
            ServerError: It is not installed or does not start; nothing is left running.
        """
        program = installed()
        if program is None:
            raise ServerError(f"Prometheus cannot be started: {INSTALL}")
        self._require_startable()
        self.directory.mkdir(parents=True, exist_ok=True)
        file = self.directory / "prometheus.json"
        # Prometheus reads YAML, and JSON is YAML.
        file.write_text(json.dumps(self._configuration, indent=2) + "\n", encoding="utf-8")
        process = start_child(
            [
                *(program, f"--config.file={file}"),
                f"--web.listen-address={HOST}:{self.port}",
                f"--storage.tsdb.path={self.directory / 'data'}",
                # What the service levels look back on, as far as a gigabyte goes.
                *("--storage.tsdb.retention.time=30d", "--storage.tsdb.retention.size=1GB"),
            ],
            directory=self.directory,
            output=self._log,
            # Certain to end it; its log of samples is made for that.
            death_signal=signal.SIGKILL,
        )
        if not self._await_answer(process):
            raise ServerError(
                f"Prometheus ended at its start. {self._log} says:\n{log_tail(self._log)}"
            )
        self._process = process

    def alerts_page(self) -> str:
        """Address of the page of this Prometheus that shows its alerts."""
        usual, other = _ALERT_PAGES
        return self.url + (usual if self._get(usual)[0] == _OK else other)

    def ask(self, path: str, parameters: Mapping[str, str] | None = None) -> Any:
        """The `data` of an answer of its HTTP API, such as `query` with a `query`.

        Raises:
            ServerError: It refuses; the message has its reason.
            OSError, HTTPException: Nothing answers.
        """
        query = f"?{urlencode(parameters)}" if parameters else ""
        status, body = self._get(f"/api/v1/{path}{query}")
        if status != _OK:
            raise ServerError(f"Prometheus refuses {path}: {body.decode(errors='replace')}")
        return json.loads(body)["data"]

    def _answers(self, process: subprocess.Popen[bytes]) -> bool:
        del process  # the port was free before, so it is this process that answers
        try:
            return self._get("/-/ready")[0] == _OK
        except (OSError, HTTPException):
            return False

    def _get(self, path: str) -> tuple[int, bytes]:
        return http_get(self.port, path, _HTTP_SECONDS)
