"""What rules read is there: metrics, labels, and names that tell their labels."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from tests.deploy.promql import selectors
from tests.deploy.rules import Rule, alerts, records
from tests.deploy.series import OF_KUBERNETES, OF_TARGETS, OURS

#: Metrics that are not ours, with the labels that rules may use.
OF_OTHERS: dict[str, set[str]] = {
    "up": set(),
    "process_start_time_seconds": set(),
    "kafka_consumergroup_lag": {"consumergroup", "topic", "partition"},
    "kafka_consumergroup_current_offset": {"consumergroup", "topic", "partition"},
    **OF_KUBERNETES,
}


def unknown(expression: str, recorded: Mapping[str, set[str]]) -> list[str]:
    """Metrics and labels in an expression that nobody exposes."""
    found, known = [], set(OF_TARGETS)
    for selector in selectors(expression):
        name, _, matchers = selector.partition("{")
        labels = OURS.get(name, OF_OTHERS.get(name, recorded.get(name)))
        if labels is None:
            found.append(name)
            continue
        known |= labels
        if name not in recorded:
            labels = labels | OF_TARGETS
        used = re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers)
        found += [f"{name}: {label}" for label in used if label not in labels]
    known |= set(re.findall(r'label_replace\(.*?"(\w+)", "', expression, re.DOTALL))
    for listed in re.findall(r"(?:by|on) \(([^)]*)\)", expression):
        found += [label for label in re.findall(r"\w+", listed) if label not in known]
    return found


def recorded_labels() -> dict[str, set[str]]:
    """The labels of what is recorded, as its name tells them."""
    return {rule["record"]: set(rule["record"].partition(":")[0].split("_")) for rule in records()}


@pytest.mark.parametrize(
    "rule", [*records(), *alerts()], ids=lambda rule: rule.get("record") or rule["alert"]
)
def test_what_a_rule_reads_is_there(rule: Rule) -> None:
    """Each metric is in the code's table, or known of somebody else, with the labels used."""
    assert unknown(rule["expr"], recorded_labels()) == []


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_an_alert_speaks_of_labels_that_it_has(rule: Rule) -> None:
    """A template with a label that its expression has dropped would say nothing."""
    spoken = " ".join([*rule["annotations"].values(), *rule["labels"].values()])
    assert set(re.findall(r"\$labels\.(\w+)", spoken)) <= _kept(rule["expr"])


def _kept(expression: str) -> set[str]:
    """The labels that an expression's left side keeps."""
    left = re.split(r"\b(?:and|unless)\b", expression)[0]
    lists = [set(re.findall(r"\w+", found)) for found in re.findall(r"by \(([^)]*)\)", left)]
    if lists:
        return set.union(*lists)
    names = {selector.partition("{")[0] for selector in selectors(left)}
    return set().union(*(recorded_labels().get(name, OF_TARGETS) for name in names))


def test_a_label_that_was_dropped_is_seen() -> None:
    """Summed up without it, or read from what never had it."""
    assert "topic" not in _kept('sum by (namespace, group) (x{topic="a"}) > 0')
    assert _kept("up == 0") == OF_TARGETS
    assert "cause" in _kept("namespace_account_cause:twilio_account_held:max == 1")


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("lookup_consumer_lagg_records > 0", ["lookup_consumer_lagg_records"]),
        ('lookup_consumer_lag_records{shard="1"}', ["lookup_consumer_lag_records: shard"]),
        ("sum by (namespace, shard) (lookup_consumer_lag_records)", ["shard"]),
        ("rate(results_answer_delay_seconds[5m])", ["results_answer_delay_seconds"]),
        ('up{job="x"} and on (job) results_answer_delay_seconds_count', []),
    ],
)
def test_what_is_not_there_is_seen(expression: str, found: list[str]) -> None:
    """A misspelt metric or label, a histogram without its suffix."""
    assert unknown(expression, recorded_labels()) == found


@pytest.mark.parametrize("rule", records(), ids=lambda rule: rule["record"])
def test_a_recorded_name_says_its_labels(rule: Rule) -> None:
    """level:metric:operation, with every label in the level, and the installation kept."""
    level, metric, operation = rule["record"].split(":")
    assert metric
    assert operation
    lists = [
        set(re.findall(r"\w+", found)) for found in re.findall(r"by \(([^)]*)\)", rule["expr"])
    ]
    labels = set(level.split("_"))
    assert "namespace" in labels or level == "slo"
    for listed in lists:
        assert labels == listed | set(rule.get("labels", {}))
