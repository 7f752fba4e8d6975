"""The system that the faults strike: a stack with traffic, watched by a real Prometheus."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from services.local.environment import without_settings
from services.local.postgres import PostgresServer
from services.local.processes import free_port
from services.local.prometheus import PrometheusServer, shipped_rules, targets
from services.local.stack import Plan, Stack
from services.local.twilio.config import Latency, SimulatorConfig
from tests.alerts.shorten import shorten
from tests.pipeline.books import PACKAGE
from tests.pipeline.harness import TOKEN, Pipeline
from tests.pipeline.traffic import Traffic

#: An hour of a rule is a minute here.
FACTOR = 60.0
#: What a rate needs for a few scrapes.
_FLOOR = timedelta(seconds=5)
_SCRAPE_SECONDS = 1.0
_PROGRAMS = ("ingest", "lookup-1", "lookup-2", "scheduler", "results")
_SETTINGS = {
    "API_TOKENS": f"tests:{TOKEN}",
    # Every number is asked for anew, from both doors.
    "FRESH_FOR": "0s",
    "RETRY_DELAYS": "2s,10s,30s",
    # The least that Kafka allows: a worker's partitions are not to stand for long.
    "KAFKA_SESSION_TIMEOUT": "6s",
    "KAFKA_PARTITIONS": "4",
    # A flood is to last until its alert fires.
    "FLOOD_SHARE": "1",
    "FLOOD_RUN": "1000000",
}
_CALLS_AT_ONCE = 20
#: Short, so that few calls are out at any time: their number does not shrink with the windows,
#: and each that a fault cuts off, or leaves unstored, would weigh as much as sixty.
LATENCY = Latency(median_seconds=0.05, spread=0.2)
_ROWS, _RECORDS = 18, 4


@dataclass(slots=True)
class Watch:
    """Which alerts fire, and when each was first and last seen since the last `begin`."""

    prometheus: PrometheusServer
    first_seen: dict[str, float] = field(default_factory=dict)
    last_seen: dict[str, float] = field(default_factory=dict)
    _since: float = 0.0
    #: When `firing` was last asked.
    _looked: float = 0.0

    def begin(self) -> None:
        """Forget what was seen; times count from now."""
        self.first_seen.clear()
        self.last_seen.clear()
        self._looked = 0.0
        self._since = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since `begin`."""
        return time.monotonic() - self._since

    def firing(self) -> frozenset[str]:
        """What fires now, as `Name severity`; what came and went since the last look is seen too."""
        firing = frozenset(
            _name(alert["labels"])
            for alert in self.prometheus.ask("alerts")["alerts"]
            if alert["state"] == "firing"
        )
        # Whole seconds, and none too few.
        query = (
            'group by (alertname, severity) (last_over_time(ALERTS{alertstate="firing"}'
            f"[{math.ceil(self.seconds - self._looked)}s]))"
        )
        between = {
            _name(series["metric"])
            for series in self.prometheus.ask("query", {"query": query})["result"]
        }
        self._looked = self.seconds
        for name in firing | between:
            self.first_seen.setdefault(name, self.seconds)
            self.last_seen[name] = self.seconds
        return firing


def _name(labels: Mapping[str, str]) -> str:
    return f"{labels['alertname']} {labels['severity']}"


@dataclass(frozen=True, slots=True)
class Stage:
    """What a fault may lay hands on."""

    pipeline: Pipeline
    watch: Watch

    @property
    def postgres(self) -> PostgresServer:
        """The stack's own PostgreSQL."""
        assert self.pipeline.stack.postgres is not None
        return self.pipeline.stack.postgres

    def environ(self) -> Mapping[str, str]:
        """Settings of a person who works with it: where it is, and a token."""
        return {
            "INGEST_URL": self.pipeline["ingest"].url,
            "RESULTS_URL": self.pipeline["results"].url,
            "API_TOKEN": TOKEN,
        }


@contextmanager
def stage(directory: Path) -> Iterator[Stage]:
    """Start all of it with servers of its own, and stop it in the end."""
    (account,) = SimulatorConfig().accounts
    plan = Plan(
        environ=without_settings(os.environ),
        settings=_SETTINGS,
        # A worker that comes back is found where it was.
        ports={name: free_port() for name in _PROGRAMS},
        simulator=SimulatorConfig(
            accounts=(account.model_copy(update={"concurrency": _CALLS_AT_ONCE}),),
            latency=LATENCY,
        ),
        durable=False,
    )
    with Stack(directory / "stack", plan) as stack:
        pipeline = Pipeline(stack)
        prometheus = PrometheusServer(
            directory / "prometheus",
            scraped=targets(stack.programs.values()),
            rules=_shortened_rules(directory / "rules"),
            scrape_seconds=_SCRAPE_SECONDS,
            evaluation_seconds=_SCRAPE_SECONDS,
        )
        traffic = Traffic(
            pipeline,
            Pipeline.numbers(4_000),
            rows=_ROWS,
            records=_RECORDS,
            packages=PACKAGE,
        )
        with prometheus, traffic:
            yield Stage(pipeline, Watch(prometheus))


def _shortened_rules(directory: Path) -> list[Path]:
    directory.mkdir()
    written = []
    for file in shipped_rules():
        written.append(directory / file.name)
        text = shorten(file.read_text(encoding="utf-8"), FACTOR, _FLOOR)
        written[-1].write_text(text, encoding="utf-8")
    return written
