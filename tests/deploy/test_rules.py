"""Rules: Prometheus takes them, each is tried, and their numbers agree."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest

from services.local.prometheus import shipped_rules
from services.runtime.metric_table import ALL, Service
from services.runtime.metrics import registry_for
from services.runtime.standing import Standing, show_standing
from tests.deploy.promql import tokens
from tests.deploy.rules import alerts, groups, records, seconds
from tests.deploy.tools import ToolError, run

ROOT = Path(__file__).parents[2] / "deploy" / "prometheus"
TESTS = sorted((ROOT / "tests").glob("*.yaml"))

needs_prometheus = pytest.mark.needs_prometheus
each_rules_file = pytest.mark.parametrize("file", shipped_rules(), ids=lambda file: file.name)
each_test_file = pytest.mark.parametrize("file", TESTS, ids=lambda file: file.name)


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
        ("twilio.yaml", '"refused|budget"', '"refused|person"'),
        ("twilio.yaml", '"flood|person|budget"', '"flood|budget"'),
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
