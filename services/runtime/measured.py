"""A gauge that is read when it is asked for.

What it reads changes often and is asked for seldom; so the work is done at the scrape, what
stands still is still told as it is, and a series is gone as soon as what it tells of is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector

#: Label values, in the order of the labels, and the value.
Sample = tuple[Sequence[str], float]


class MeasuredGauge(Collector):
    """One gauge with labels; it has no series before it is told what to read."""

    def __init__(self, name: str, text: str, labels: Sequence[str]) -> None:
        self._name = name
        self._text = text
        self._labels = labels
        self._read: Callable[[], Iterable[Sample]] = tuple

    def read_from(self, read: Callable[[], Iterable[Sample]]) -> None:
        """Read from here on. It is called in the program's event loop and must not raise."""
        self._read = read

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Its name, so that two of one name are noticed; nothing is read for it."""
        yield self._family()

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """What there is now."""
        family = self._family()
        for labels, value in self._read():
            family.add_metric(labels, value)
        yield family

    def _family(self) -> GaugeMetricFamily:
        return GaugeMetricFamily(self._name, self._text, labels=self._labels)
