"""Rules and alerts: Prometheus takes them, and each does what it says and stays silent else."""

from __future__ import annotations

import copy
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest

from deploy.grafana.alerts import managed
from services.runtime.metric_table import ALL, Service
from services.runtime.metrics import TABLE, registry_for
from services.runtime.standing import Standing, show_standing
from tests.deploy.promql import selectors, tokens
from tests.deploy.tools import ToolError, run

ROOT = Path(__file__).parents[2] / "deploy" / "prometheus"
RULES = sorted((ROOT / "rules").glob("*.yaml"))
TESTS = sorted((ROOT / "tests").glob("*.yaml"))
RUNBOOKS = "https://github.com/bulk-lookup/bulk-lookup/blob/main/docs/runbooks/"

Rule = Mapping[str, Any]
needs_prometheus = pytest.mark.needs_prometheus
each_rules_file = pytest.mark.parametrize("file", RULES, ids=lambda file: file.name)
each_test_file = pytest.mark.parametrize("file", TESTS, ids=lambda file: file.name)

#: What a target's series carry beside a metric's own labels.
OF_TARGETS = {"namespace", "job", "instance", "pod"}
#: Metrics that are not ours, with the labels that rules may use.
OF_OTHERS: dict[str, set[str]] = {
    "up": set(),
    "process_start_time_seconds": set(),
    "kafka_consumergroup_lag": {"consumergroup", "topic", "partition"},
    "kafka_consumergroup_current_offset": {"consumergroup", "topic", "partition"},
    "kube_horizontalpodautoscaler_status_current_replicas": {"horizontalpodautoscaler"},
    "kube_horizontalpodautoscaler_spec_max_replicas": {"horizontalpodautoscaler"},
    "kube_job_failed": {"job_name", "condition"},
}
_SUFFIXES: dict[str, dict[str, tuple[str, ...]]] = {
    "counter": {"": ()},
    "gauge": {"": ()},
    "histogram": {"_bucket": ("le",), "_count": (), "_sum": ()},
}
OURS: dict[str, set[str]] = {
    f"{metric.name}{suffix}": {*metric.labels, *more}
    for metric in TABLE
    for suffix, more in _SUFFIXES[metric.kind].items()
}


def groups(files: Iterable[Path] = RULES) -> Iterator[dict[str, Any]]:
    """Every group of rules."""
    for file in files:
        yield from yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]


def alerts() -> list[dict[str, Any]]:
    """Every alerting rule."""
    return [rule for group in groups() for rule in group["rules"] if "alert" in rule]


def records() -> list[dict[str, Any]]:
    """Every recording rule."""
    return [rule for group in groups() for rule in group["rules"] if "record" in rule]


def seconds(duration: str) -> float:
    """Of a duration with one unit, as rules have them."""
    unit = {"s": 1, "m": 60, "h": 3600, "d": 86400}[duration[-1]]
    return timedelta(seconds=int(duration[:-1]) * unit).total_seconds()


# By the tool


@needs_prometheus
@each_rules_file
def test_prometheus_takes_the_rules(file: Path) -> None:
    """Also in the subset that Prometheus 2.42 knows, which is what Debian has."""
    run("promtool", "check", "rules", file)


@needs_prometheus
@each_test_file
def test_the_rules_do_what_they_say(file: Path) -> None:
    """Each alert fires with its labels and its words, and is silent where it comes near."""
    run("promtool", "test", "rules", file)


@needs_prometheus
@pytest.mark.parametrize(
    ("file", "before", "after"),
    [
        ("flow.yaml", "> 3600", "> 36000"),
        ("flow.yaml", '{cause="hold"}', '{cause="lease"}'),
        ("twilio.yaml", '"refused|flood|budget"', '"refused|flood|person"'),
        ("twilio.yaml", "for: 1m", "for: 1h"),
        ("processes.yaml", "summary: No process", "summary: Some process"),
        ("processes.yaml", "min by (namespace, job)", "max by (namespace, job)"),
        ("processes.yaml", "for: 15m", "for: 20m"),
        ("exporters.yaml", 'up{job=~"bulk-lookup-.+"}', "up"),
    ],
)
def test_a_changed_rule_fails_its_tests(file: str, before: str, after: str, tmp_path: Path) -> None:
    """A threshold, a cause, a duration, a word or a selector that changes is seen."""
    shutil.copytree(ROOT, tmp_path, dirs_exist_ok=True)
    changed = tmp_path / "rules" / file
    text = changed.read_text(encoding="utf-8")
    assert before in text
    changed.write_text(text.replace(before, after), encoding="utf-8")
    with pytest.raises(ToolError, match="FAILED"):
        run("promtool", "test", "rules", tmp_path / "tests" / file)


def _check_metrics(text: bytes) -> str:
    """What promtool finds in a program's metrics; nothing if they are well made."""
    done = subprocess.run(
        [shutil.which("promtool") or "promtool", "check", "metrics"],
        input=text,
        capture_output=True,
        check=False,
    )
    return (done.stdout + done.stderr).decode()


@needs_prometheus
@pytest.mark.parametrize("service", ALL)
def test_prometheus_takes_what_a_program_exposes(service: Service) -> None:
    """Names, units, help and suffixes keep Prometheus's own conventions."""
    show_standing("group", ["topic"], lambda: [Standing("topic", 0, 1, 2)])
    assert _check_metrics(generate_latest(registry_for(service))) == ""


@needs_prometheus
def test_a_metric_that_is_badly_made_is_seen() -> None:
    """A unit that is none, and no help."""
    registry = CollectorRegistry()
    found = generate_latest(registry) + b"# TYPE lookup_wait_milliseconds gauge\n"
    assert "milliseconds" in _check_metrics(found + b"lookup_wait_milliseconds 1\n")


# Each alert is tried


def tried(files: Iterable[Path] = TESTS) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """Alerts by name and severity: those seen firing, and those asked about and silent."""
    firing: set[tuple[str, str]] = set()
    silent: set[tuple[str, str]] = set()
    for file in files:
        for test in yaml.safe_load(file.read_text(encoding="utf-8"))["tests"]:
            for case in test.get("alert_rule_test", ()):
                seen = {alert["exp_labels"]["severity"] for alert in case.get("exp_alerts", ())}
                firing |= {(case["alertname"], severity) for severity in seen}
                silent |= {
                    (case["alertname"], severity) for severity in {"critical", "warning"} - seen
                }
    return firing, silent


def test_every_alert_is_seen_firing_and_staying_silent() -> None:
    """By name and severity, and no test is of an alert that is gone."""
    there = {(rule["alert"], rule["labels"]["severity"]) for rule in alerts()}
    firing, silent = tried()
    assert there - firing == set()
    assert there - silent == set()
    assert firing - there == set()


def test_an_alert_that_nobody_tried_is_seen() -> None:
    """Without its file of tests it is missing in both."""
    firing, silent = tried(file for file in TESTS if file.name != "exporters.yaml")
    assert ("LookupMigrationFailed", "warning") not in firing | silent


def test_every_recording_rule_has_a_value_that_is_checked_or_an_alert_on_it() -> None:
    """By a test of its own, or through an alert that is tried."""
    asked = " ".join(
        [
            case["expr"]
            for file in TESTS
            for test in yaml.safe_load(file.read_text(encoding="utf-8"))["tests"]
            for case in test.get("promql_expr_test", ())
        ]
        + [rule["expr"] for rule in [*alerts(), *records()]]
    )
    assert [rule["record"] for rule in records() if rule["record"] not in asked] == []


# Each page is worth waking somebody

#: All alerts that may page, and what gets worse until morning. Any other is a ticket.
PAGES = {
    "IngestAvailabilityBudgetBurn": "senders are refused now",
    "IngestLatencyBudgetBurn": "a month's slow answers are used up within hours",
    "LookupConsumerGroupStalled": "a program does nothing, and has work",
    "LookupDeadLetterBudgetBurn": "contacts die by the thousand, each to be sent again",
    "LookupFreshnessBudgetBurn": "what is paid for reaches nobody in time",
    "LookupNotReady": "no process of ingest takes uploads",
    "LookupProduceFailing": "nothing moves on without Kafka",
    "LookupPrometheusGone": "no other page can come",
    "LookupTargetMissing": "a program has no process left",
    "LookupUnfinishedTooOld": "Kafka forgets what is not done when its retention is over",
    "ResultsWriteErrors": "nothing is stored, and lookup stops when its memory is full",
    "TwilioAccountStopped": "nothing goes on over this account until a person acts",
}


def pages(rules: Iterable[Rule]) -> set[str]:
    """The alerts among them that wake somebody."""
    return {
        rule.get("alert") or rule["title"]
        for rule in rules
        if rule["labels"]["severity"] == "critical"
    }


def test_only_what_cannot_wait_for_morning_pages() -> None:
    """By a closed list with a reason each; of a failed migration the old release goes on."""
    assert pages([*alerts(), *managed()]) == set(PAGES)


def test_one_page_more_is_seen() -> None:
    """An alert that is made critical without a reason here."""
    changed = copy.deepcopy([*alerts(), *managed()])
    for rule in changed:
        if rule.get("alert") == "LookupMigrationFailed":
            rule["labels"]["severity"] = "critical"
    assert pages(changed) - set(PAGES) == {"LookupMigrationFailed"}


# Each alert says what a person needs


def faults(rule: Rule) -> list[str]:
    """What an alerting rule lacks."""
    return [fault for fault, met in _wanted(rule).items() if not met]


def _wanted(rule: Rule) -> dict[str, object]:
    name, labels, said = rule["alert"], rule["labels"], rule["annotations"]
    severity, service, description = labels["severity"], labels["service"], said["description"]
    shown = {"value", *re.findall(r"\$labels\.(\w+)", description)} - {"namespace"}
    if "$value" not in description:
        shown.discard("value")
    everywhere = "absent(" in rule["expr"]  # of no installation in particular
    plain_share = re.search(r"\s/ ", rule["expr"]) and "{{ $value }}" in description
    early, late = 60, {"critical": 900, "warning": 86400}.get(severity, 0)
    return {
        "name: not what it is about": re.fullmatch(
            r"(Ingest|Lookup|Twilio|Results)([A-Z][a-z]+)+", name
        ),
        "severity": severity in {"critical", "warning"},
        "service": service in ALL or re.fullmatch(r"\{\{ reReplaceAll .+ \}\}", service),
        "summary: no sentence that is the same each time": re.fullmatch(
            r"[A-Z][^\n{]{10,90}\.", said["summary"]
        ),
        "description: neither the value nor what is concerned": shown,
        "description: not which installation": "$labels.namespace" in description or everywhere,
        "description: no sentence": description.rstrip().endswith("."),
        "description: a share that is hard to read": not plain_share,
        "runbook_url": said["runbook_url"] == f"{RUNBOOKS}{name}.md",
        "for: too early or too late": early <= seconds(rule.get("for", "0s")) <= late,
    }


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_an_alert_says_what_a_person_needs(rule: Rule) -> None:
    """How bad, whose, what, how much, where to read on; and not at a single sample."""
    assert faults(rule) == []


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        (("alert",), "SomethingBad", "name"),
        (("labels", "severity"), "major", "severity"),
        (("labels", "service"), "billing", "service"),
        (("annotations", "summary"), "{{ $labels.topic }} has records.", "summary"),
        (("annotations", "description"), "Bad ({{ $labels.namespace }}).", "description: neither"),
        (("annotations", "description"), "{{ $value | humanize }}.", "description: not which"),
        (("annotations", "description"), "{{ $value }} of all.", "description: a share"),
        (("annotations", "runbook_url"), f"{RUNBOOKS}Other.md", "runbook_url"),
        (("for",), "0s", "for"),
    ],
)
def test_an_alert_that_does_not_is_seen(path: tuple[str, ...], value: str, fault: str) -> None:
    """Each fault is found in an alert that has it."""
    rule = copy.deepcopy(next(r for r in alerts() if r["alert"] == "LookupProduceFailing"))
    place = rule
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    assert any(found.startswith(fault) for found in faults(rule))


def test_names_are_there_once() -> None:
    """Groups by name; alerts by name and labels, where one name has several causes."""
    names = Counter(group["name"] for group in groups())
    of_alerts = Counter((rule["alert"], *sorted(rule["labels"].items())) for rule in alerts())
    assert [name for name, count in (names + of_alerts).items() if count > 1] == []


def test_no_lag_pages_by_its_size() -> None:
    """A backlog is no fault: a page on lag compares it with nothing but 0."""
    for rule in alerts():
        if rule["labels"]["severity"] == "critical" and "lag" in rule["expr"]:
            assert set(re.findall(r"[<>=]=? *(\d+)", rule["expr"])) == {"0"}


# What rules read is there


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


# Numbers that must agree


def _ranges(expression: str) -> list[str]:
    return [t.text.strip("[]") for t in tokens(expression) if t.kind == "brackets"]


def test_intervals_and_ranges_fit_together() -> None:
    """Prometheus forgets a sample after five minutes; a rate needs several scrapes."""
    for group in groups():
        interval = seconds(group["interval"])
        assert interval <= 120, group["name"]
        for rule in group["rules"]:
            assert all(seconds(found) >= 4 * 30 for found in _ranges(rule["expr"])), rule
            assert seconds(rule.get("for", "1h")) >= interval


def test_the_burn_rates_are_those_of_the_objectives() -> None:
    """Each level has a page and a ticket, with the windows and factors for 30 days."""
    objectives = {
        rule["labels"]["slo"]: float(re.sub(r"[^\d.]", "", rule["expr"]))
        for rule in records()
        if rule["record"] == "slo:lookup_slo_objective:ratio"
    }
    assert objectives == {
        "ingest-availability": 0.999,
        "ingest-latency": 0.99,
        "freshness": 0.99,
        "completeness": 0.999,
    }
    seen = {}
    for rule in alerts():
        if not rule["alert"].endswith("BudgetBurn"):
            continue
        [slo] = set(re.findall(r'slo="([a-z-]+)"', rule["expr"]))
        terms = re.findall(r"ratio_rate(\w+)\{[^}]*\} > ([\d.]+) \* ([\d.]+)", rule["expr"])
        assert {round(1 - float(budget), 6) for *_, budget in terms} == {objectives[slo]}
        counted = re.findall(r"rate5m\{[^}]*\}\[(\w+)\]\) \* (\d+) >= 5", rule["expr"])
        windows = [(window, float(factor)) for window, factor, _ in terms]
        assert [window for window, _ in counted] == [window for window, _ in windows[::2]]
        assert {int(step) for _, step in counted} == {_step_of_rates()}
        seen[slo, rule["labels"]["severity"]] = windows
    page = [("1h", 14.4), ("5m", 14.4), ("6h", 6.0), ("30m", 6.0)]
    ticket = [("1d", 3.0), ("2h", 3.0), ("3d", 1.0), ("6h", 1.0)]
    assert seen == {
        (slo, severity): windows
        for slo in objectives
        for severity, windows in (("critical", page), ("warning", ticket))
    }


def _step_of_rates() -> float:
    [interval] = {
        seconds(group["interval"])
        for group in groups()
        if any(rule.get("record", "").endswith(":rate5m") for rule in group["rules"])
    }
    return interval
