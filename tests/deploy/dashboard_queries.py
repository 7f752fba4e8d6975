"""What the queries of a dashboard must hold: metrics that are there, and thresholds that are ours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from deploy.grafana.alerts import alerts, rules
from deploy.grafana.queries import Asked, asked
from services.runtime.metrics import TABLE
from tests.deploy.dashboard_rules import Dashboard, panels
from tests.deploy.promql import metrics, selectors
from tests.deploy.series import OF_KUBERNETES, OF_TARGETS, OURS

#: What Prometheus, the client library and kube-state-metrics export, with the labels we ask by.
FOREIGN: dict[str, set[str]] = {
    "up": set(),
    "ALERTS": {"alertname", "alertstate", "severity", "service"},
    "process_cpu_seconds_total": set(),
    "process_resident_memory_bytes": set(),
    "process_open_fds": set(),
    "process_start_time_seconds": set(),
    **OF_KUBERNETES,
}
_SUFFIX = re.compile(r"_(bucket|count|sum)$")
_MATCHER = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"')
#: The only one that asks before a namespace is chosen.
_FIRST = "variable namespace"


@cache
def known() -> dict[str, set[str]]:
    """Every series that a query may name, and its labels."""
    found = {name: labels | OF_TARGETS for name, labels in (FOREIGN | OURS).items()}
    for rule in rules():
        if name := rule.get("record"):
            # level:metric:operation, where the level is what it is aggregated by.
            found[name] = {*name.partition(":")[0].split("_"), *rule.get("labels", {})}
    return found


def named_wrong(query: Asked) -> list[str]:
    """Metrics and labels that nobody exports."""
    wrong, labels = [], set[str]()
    for selector in selectors(query.text):
        metric, _, matchers = selector.partition("{")
        if metric not in known():
            wrong.append(f"{query.name}: no {metric}")
            continue
        labels |= known()[metric]
        wrong += [
            f"{query.name}: {metric} has no label {label}"
            for label in _MATCHER.findall(matchers)
            if label not in known()[metric]
        ]
    for listed in re.findall(r"\b(?:by|on) \(([\w, ]+)\)", query.text):
        wrong += [
            f"{query.name}: no label {label}" for label in listed.split(", ") if label not in labels
        ]
    return wrong


def not_chosen(query: Asked) -> list[str]:
    """Selectors that would also take other people's series, or another installation's."""
    wrong = []
    for selector in selectors(query.text):
        metric, _, matchers = selector.partition("{")
        wanted = {"namespace"} & known().get(metric, set())
        if metric in {each for each in known() if "job" in known()[each]} - {"ALERTS"}:
            wanted |= {"job"} if not metric.startswith("kube_") else set()
        if query.place != _FIRST and not wanted <= set(_MATCHER.findall(matchers)):
            wrong.append(f"{query.name}: {selector} for every {' and '.join(sorted(wanted))}")
    return wrong


def counted_raw(query: Asked) -> list[str]:
    """Counters that are shown as they are; only their increase says anything."""
    counters = {metric.name for metric in TABLE if metric.kind == "counter"}
    counters |= {name for name in known() if ":" not in name and _SUFFIX.search(name)}
    counters.add("process_cpu_seconds_total")
    # What variables ask is no value.
    if query.place.startswith("variable"):
        return []
    return [
        f"{query.name}: {name} without rate"
        for name in metrics(query.text) & counters
        if re.search(rf"(?<!rate\()(?<!increase\()\b{name}\b", query.text)
    ]


@cache
def recorded() -> dict[str, set[str]]:
    """What each recording rule reads; several may record one name, for different labels."""
    found: dict[str, set[str]] = {}
    for rule in rules():
        if name := rule.get("record"):
            found.setdefault(name, set()).update(metrics(rule["expr"]))
    return found


def base_metrics(expression: str) -> set[str]:
    """The metrics that an expression reads in the end, through recording rules."""
    recorded = {rule["record"]: rule["expr"] for rule in rules() if "record" in rule}
    # Several rules may record one name, for different labels.
    every = dict.fromkeys(recorded, "")
    for rule in rules():
        if "record" in rule:
            every[rule["record"]] += f"\n({rule['expr']})"
    found: set[str] = set()
    waiting, seen = metrics(expression), set[str]()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        if name in every:
            waiting |= {
                inner for part in every[name].split("\n") if part for inner in metrics(part)
            }
        else:
            found.add(_SUFFIX.sub("", name))
    return found


def watched(dashboard: Dashboard) -> Iterator[tuple[str, dict[str, Any]]]:
    """The alerts that panels link to, each with its panel; a link to all runbooks names none."""
    for panel in panels(dashboard):
        for link in panel["links"]:
            if link["title"] != "Runbooks":
                yield link["title"].removeprefix("Runbook: "), panel


def linked_wrong(dashboard: Dashboard) -> list[str]:
    """Panels that link to another's runbook, or show nothing of what the alert watches."""
    wrong = []
    for alert, panel in watched(dashboard):
        if alert not in alerts():
            wrong.append(f"{panel['title']}: there is no alert {alert}")
            continue
        if any(
            link["url"] != alerts()[alert][0].runbook_url
            for link in panel["links"]
            if link["title"].endswith(f" {alert}")
        ):
            wrong.append(f"{panel['title']}: another runbook than that of {alert}")
        shows = {
            name for target in panel["targets"] for name in base_metrics(target.get("expr", ""))
        }
        reads = {name for rule in alerts()[alert] for name in base_metrics(rule.expr)}
        # PostgreSQL's panels and alerts have no metrics to compare.
        if shows and reads and not shows & reads:
            wrong.append(f"{panel['title']}: shows nothing of what {alert} watches")
    return wrong


def thresholds_of_others(dashboard: Dashboard) -> list[str]:
    """Colours that turn at a number which no alert of the panel, nor its service level, knows."""
    wrong = []
    for panel in panels(dashboard):
        steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        turns = {step["value"] for step in steps if step["value"] is not None}
        ours = {1.0} if panel["title"] == "Alerts firing" else set()
        for alert in (alert for alert, its in watched(dashboard) if its is panel):
            for rule in alerts().get(alert, []):
                ours |= _numbers(rule.expr)
        if any("error_budget" in target.get("expr", "") for target in panel["targets"]):
            # Nothing left, and a quarter left.
            ours |= {0.0, 0.25}
        wrong += [f"{panel['title']}: turns at {turn}" for turn in turns if turn not in ours]
    return wrong


def _numbers(expression: str) -> set[float]:
    """What an alert compares with, there or in the service level that it is about."""
    found = re.findall(r"(?:>|<|==) ([0-9.]+)", expression)
    levels = set(re.findall(r'slo="([\w-]+)"', expression))
    for rule in rules():
        if rule.get("labels", {}).get("slo") in levels:
            found += re.findall(r'le="([0-9.]+)"', rule["expr"])
    return {float(number) for number in found}


def in_promql(dashboard: Dashboard) -> list[Asked]:
    """Its queries of Prometheus."""
    return [query for query in asked(dashboard) if query.language == "promql"]
