"""Every metric has a purpose: made in one table, set in the code, looked at by somebody, bounded."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from services.runtime import metrics, twilio_metrics
from services.runtime.metric_table import Metric
from services.runtime.metrics import TABLE
from tests.deploy import promql
from tests.deploy.asked import rule_files, rules
from tests.deploy.runbooks import ROOT, blocks, runbooks, text_of

SERVICES = ROOT / "services"
DASHBOARDS = ROOT / "deploy" / "grafana" / "dashboards"
#: Metrics that no rule, panel or runbook reads, each with the reason why it is there all the same.
LOOKED_AT_BY_NOBODY: dict[str, str] = {}
#: Every label there is, with what bounds the number of its values.
BOUNDS = {
    "account": "the Twilio accounts of the settings; contacts may name no other",
    "age": "5m, 1h",
    "billed": "yes, no, unknown",
    "cause": "what records wait for, or what holds an account: both closed lists",
    "code": "HTTP statuses that our own routes answer",
    "condition": "what a program waits for: a closed list",
    "event": "assigned, revoked",
    "group": "one consumer group for each program",
    "method": "HTTP methods that are served; any other is `other`",
    "outcome": "a closed list for each metric",
    "package": "the packages of Twilio Lookup that we know",
    "partition": "the partitions of a topic, at most 1,000 and shared out over the processes",
    "place": "http, package",
    "reason": "reasons for a rejection or a dead letter: closed lists",
    "revision": "one for each process",
    "route": "the templates of our own routes; what fits none is `unmatched`",
    "service": "the four programs",
    "state": "states of a request, or of a connection: closed lists",
    "status": "HTTP statuses",
    "topic": "the topic table",
    "version": "one for each process",
    "way": "http, inbound",
}
#: What a label's value is never made of: as many as there are contacts, or a secret.
UNBOUNDED = {
    "caller",
    "detail",
    "headers",
    "job_id",
    "key",
    "offset",
    "path",
    "phone",
    "reference",
    "request_id",
    "secret",
    "sid",
    "text",
    "token",
    "why",
}
MAKERS = {"Counter", "Enum", "Gauge", "Histogram", "Info", "Summary", "MeasuredGauge"}
#: Where metrics are made.
MADE_IN = {"metric_table.py", "metrics.py", "twilio_metrics.py", "measured.py"}


@cache
def modules() -> dict[str, ast.Module]:
    """The code of all programs, by path."""
    return {
        str(file.relative_to(ROOT)): ast.parse(file.read_text(encoding="utf-8"))
        for file in SERVICES.rglob("*.py")
    }


# Looked at


def panels(found: Any) -> Iterator[str]:
    """Every PromQL expression anywhere in a dashboard."""
    if isinstance(found, dict):
        if isinstance(expression := found.get("expr"), str):
            yield expression
        found = list(found.values())
    if isinstance(found, list):
        for item in found:
            yield from panels(item)


@cache
def read_somewhere() -> set[str]:
    """The metrics, with their suffixes, that rules, panels and runbooks read."""
    expressions = [rule["expr"] for _, rule in rules(rule_files())]
    for file in DASHBOARDS.glob("*.json"):
        expressions += panels(json.loads(file.read_text(encoding="utf-8")))
    for page in runbooks():
        expressions += [block.text for block in blocks(text_of(page), "promql")]
    return {name for expression in expressions for name in promql.metrics(expression)}


def unread(rows: Iterable[Metric], read: set[str]) -> set[str]:
    """The metrics of which no part is read."""
    return {
        row.name
        for row in rows
        if read.isdisjoint(
            {row.name, *(f"{row.name}_{part}" for part in ("bucket", "count", "sum"))}
        )
    }


def test_every_metric_is_looked_at() -> None:
    """By a rule, a panel or a runbook; one that is not is named here with its reason."""
    assert unread(TABLE, read_somewhere()) == set(LOOKED_AT_BY_NOBODY)
    assert all(reason.endswith(".") for reason in LOOKED_AT_BY_NOBODY.values())


def test_a_metric_that_nobody_looks_at_is_seen() -> None:
    """Take away what reads it, and it is named."""
    read = read_somewhere()
    histogram = next(row for row in TABLE if row.name == "results_answer_delay_seconds")
    assert unread([histogram], read) == set()
    others = {name for name in read if not name.startswith(histogram.name)}
    assert unread([histogram], others) == {histogram.name}


# Made and set


def made_elsewhere(code: Mapping[str, ast.Module]) -> list[str]:
    """Places that make a metric of their own."""
    found = []
    for path, tree in code.items():
        if Path(path).name in MADE_IN:
            continue
        imported = {
            alias.asname or alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            and (node.module or "").startswith(("prometheus_client", "services.runtime.m"))
            for alias in node.names
            if alias.name in MAKERS
        }
        for node in ast.walk(tree):
            match node:
                case ast.Call(func=ast.Name(id=name)) if name in imported:
                    found.append(f"{path}:{node.lineno}")
                case ast.Import(names=names) if any(
                    alias.name.startswith("prometheus_client") for alias in names
                ):
                    found.append(f"{path}:{node.lineno}")
    return found


def test_metrics_are_made_in_the_table_alone() -> None:
    """So that each has a meaning, a remedy, and a place in the reference."""
    assert made_elsewhere(modules()) == []


@pytest.mark.parametrize(
    "code",
    [
        "from prometheus_client import Counter\nseen = Counter('a', 'b')",
        "from prometheus_client import Gauge as G\nseen = G('a', 'b')",
        "import prometheus_client",
    ],
)
def test_a_metric_made_elsewhere_is_seen(code: str) -> None:
    """By its name, by another name, and by the whole library."""
    assert made_elsewhere({"services/lookup/a.py": ast.parse(code)}) != []


def never_set(code: Mapping[str, ast.Module], constants: Mapping[str, Metric]) -> set[str]:
    """Metrics of the table that no other module names."""
    named = {
        node.id
        for path, tree in code.items()
        if Path(path).name not in MADE_IN
        for node in ast.walk(tree)
        if isinstance(node, ast.Name)
    }
    return {metric.name for constant, metric in constants.items() if constant not in named}


def constants() -> dict[str, Metric]:
    """The table's rows by the names that they have in the code."""
    by_collector = {id(row.collector): row for row in TABLE}
    named = vars(metrics) | vars(twilio_metrics)
    found = {name: by_collector.get(id(value)) for name, value in named.items()}
    return {name: row for name, row in found.items() if row is not None}


def test_every_metric_is_set() -> None:
    """One in the table that no program sets would stand at 0 for ever."""
    assert len(constants()) == len(TABLE)
    assert never_set(modules(), constants()) == set()


def test_a_metric_that_nobody_sets_is_seen() -> None:
    """Leave the module out that sets it, and it is named."""
    without = {path: tree for path, tree in modules().items() if "scheduler" not in path}
    assert "scheduler_overdue_seconds" in never_set(without, constants())


# Bounded


def test_every_label_has_its_bound() -> None:
    """A label that is not in the list, or that no metric has any more, is a finding."""
    assert {label for row in TABLE for label in row.labels} == set(BOUNDS)


def unbounded(code: Mapping[str, ast.Module]) -> list[str]:
    """Calls that give a label a value of which there are as many as contacts."""
    found = []
    for path, tree in code.items():
        for node in ast.walk(tree):
            match node:
                case ast.Call(func=ast.Attribute(attr="labels"), args=args, keywords=keywords):
                    values = [*args, *(keyword.value for keyword in keywords)]
                    names = {
                        part.attr if isinstance(part, ast.Attribute) else part.id
                        for value in values
                        for part in ast.walk(value)
                        if isinstance(part, ast.Attribute | ast.Name)
                    }
                    found += [f"{path}:{node.lineno}: {name}" for name in names & UNBOUNDED]
    return found


def test_no_label_is_made_of_what_has_no_bound() -> None:
    """No number, id, reference or free text becomes the value of a label."""
    assert unbounded(modules()) == []


@pytest.mark.parametrize(
    "code",
    [
        "SEEN.labels(account=request.phone).inc()",
        "SEEN.labels(str(request.job_id)).inc()",
        "SEEN.labels(topic=topic, reason=f'{why}').inc()",
    ],
)
def test_a_label_without_bound_is_seen(code: str) -> None:
    """By name, by place, and inside of another text."""
    assert unbounded({"services/lookup/a.py": ast.parse(code)}) != []
