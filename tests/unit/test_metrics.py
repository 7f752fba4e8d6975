"""The metric table keeps Prometheus's own rules and ours."""

from __future__ import annotations

import re

import pytest
from prometheus_client import generate_latest

from services.runtime.metric_table import ALL, Metric, Service
from services.runtime.metrics import TABLE, registry_for

#: Units other than Prometheus's base units, which are converted where they are read.
OTHER_UNITS = re.compile(
    r"_(ms|milliseconds|minutes|hours|days|kb|mb|kilobytes|megabytes|percent)\b"
)
METRICS = pytest.mark.parametrize("metric", TABLE, ids=lambda metric: metric.name)


def test_names_are_there_once() -> None:
    """Two metrics of one name would be one."""
    names = [metric.name for metric in TABLE]
    assert len(names) == len(set(names))


@METRICS
def test_names_keep_the_rules(metric: Metric) -> None:
    """Lower case, base units, `_total` on counters and on nothing else."""
    assert re.fullmatch(r"(lookup|ingest|twilio|scheduler|results)_[a-z0-9_]+", metric.name)
    assert not OTHER_UNITS.search(metric.name)
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert not metric.name.endswith(("_count", "_sum", "_bucket", "_created"))
    assert "counter" not in metric.name
    if "duration" in metric.name or "age" in metric.name.split("_"):
        assert metric.name.endswith("_seconds")
    if metric.kind == "histogram":
        assert metric.name.endswith(("_seconds", "_bytes", "_records"))


@METRICS
def test_each_says_what_to_do(metric: Metric) -> None:
    """Whoever is woken by it reads its meaning and the remedy, each a sentence."""
    assert metric.help.endswith(".")
    assert metric.remedy.endswith(".")
    assert metric.services


@pytest.mark.parametrize("service", ALL)
def test_a_service_exposes_its_own(service: Service) -> None:
    """Those of the table that are its own, its process's, and nothing of another service."""
    text = generate_latest(registry_for(service)).decode()
    for metric in TABLE:
        # The exposition format names a counter's family with its suffix, too.
        assert (f"# TYPE {metric.name} " in text) == (service in metric.services), metric.name
    assert "process_cpu_seconds_total" in text
