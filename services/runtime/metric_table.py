"""What the table of metrics is made of: each metric with its meaning and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeVar

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.registry import Collector

from services.runtime.measured import MeasuredGauge

Service = Literal["ingest", "lookup", "scheduler", "results"]
ALL: tuple[Service, ...] = ("ingest", "lookup", "scheduler", "results")
M = TypeVar("M", bound=Collector)


@dataclass(frozen=True)
class Metric:
    """One metric, and what a person does when it looks wrong."""

    collector: Collector
    kind: str
    name: str
    help: str
    remedy: str
    labels: tuple[str, ...]
    services: tuple[Service, ...]


class Table:
    """Makes metrics, and keeps a row of each.

    The arguments of each maker: name, the services that expose it, help, remedy, labels.
    """

    def __init__(self) -> None:
        self.rows: list[Metric] = []

    def counter(self, name: str, services: str, text: str, remedy: str, *labels: str) -> Counter:
        """How often something happened."""
        made = Counter(name, text, labels, registry=None)
        return self._keep(made, "counter", name, text, remedy, services, labels)

    def gauge(self, name: str, services: str, text: str, remedy: str, *labels: str) -> Gauge:
        """How much of something there is, told whenever it changes."""
        made = Gauge(name, text, labels, registry=None)
        return self._keep(made, "gauge", name, text, remedy, services, labels)

    def measured(
        self, name: str, services: str, text: str, remedy: str, *labels: str
    ) -> MeasuredGauge:
        """How much of something there is, read at the scrape."""
        made = MeasuredGauge(name, text, labels)
        return self._keep(made, "gauge", name, text, remedy, services, labels)

    def histogram(
        self,
        name: str,
        services: str,
        text: str,
        remedy: str,
        buckets: tuple[float, ...],
        *labels: str,
    ) -> Histogram:
        """How long something took, or how large it was."""
        made = Histogram(name, text, labels, buckets=buckets, registry=None)
        return self._keep(made, "histogram", name, text, remedy, services, labels)

    def _keep(
        self,
        made: M,
        kind: str,
        name: str,
        text: str,
        remedy: str,
        services: str,
        labels: tuple[str, ...],
    ) -> M:
        chosen = tuple(s for s in ALL if s in services.split())
        self.rows.append(Metric(made, kind, name, text, remedy, labels, chosen))
        return made
