"""Prometheus beside the stack: what it is told, and what `up` says where there is none."""

import json
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from services.local import supervisor, up
from services.local.home import Home
from services.local.processes import ServerError
from services.local.prometheus import PrometheusServer, Target, configuration, shipped_rules

RUNNING = {
    "ingest": "http://127.0.0.1:8001",
    "results": "http://127.0.0.1:8004",
    "kafka": "127.0.0.1:9092",
    "postgres": "postgresql://postgres@127.0.0.1:5432/bulk_lookup",
    "twilio": "http://127.0.0.1:8010",
    "prometheus": None,
    "alerts": None,
    "token_file": "/state/token",
    "logs": "/state/logs",
}


def test_each_program_is_a_job_of_the_local_namespace() -> None:
    """Rules select by job and namespace; several lookups are one job, told apart by name."""
    told = configuration(
        [
            Target("ingest", "ingest", "127.0.0.1:1"),
            Target("lookup", "lookup-1", "127.0.0.1:2"),
            Target("lookup", "lookup-2", "127.0.0.1:3"),
        ],
        [Path("/rules/a.yaml")],
        1,
        0.5,
    )

    assert told["global"] == {"scrape_interval": "1000ms", "evaluation_interval": "500ms"}
    assert told["rule_files"] == ["/rules/a.yaml"]
    assert {
        scrape["job_name"]: [
            (*group["targets"], *sorted(group["labels"].values()))
            for group in scrape["static_configs"]
        ]
        for scrape in told["scrape_configs"]
    } == {
        "bulk-lookup-ingest": [("127.0.0.1:1", "ingest", "local")],
        "bulk-lookup-lookup": [
            ("127.0.0.1:2", "local", "lookup-1"),
            ("127.0.0.1:3", "local", "lookup-2"),
        ],
    }


def test_rules_are_those_of_the_project_folder(tmp_path: Path) -> None:
    """All its rule files in a fixed order; none, and no error, where there is no such folder."""
    for name in ("b.yaml", "a.yaml", "notes.md"):
        (tmp_path / name).touch()

    assert [rule.name for rule in shipped_rules(tmp_path)] == ["a.yaml", "b.yaml"]
    assert shipped_rules(tmp_path / "not there") == ()


def _stack(directory: Path) -> Any:
    return SimpleNamespace(
        directory=directory, programs={}, plan=SimpleNamespace(ports={"prometheus": 9090})
    )


def test_without_prometheus_the_stack_is_up_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is missing and how to get it is said in a line; it is no error."""
    monkeypatch.setattr("shutil.which", lambda _: None)

    assert supervisor._prometheus(_stack(tmp_path)) is None

    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert "no `prometheus` on the PATH" in said
    assert "apt install" in said
    assert list(tmp_path.iterdir()) == []


def test_a_prometheus_that_does_not_start_is_no_error_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its reason is said, and that there are no rules where the project's folder is not."""

    def refuse(_: object) -> None:
        raise ServerError("Prometheus ended at its start: reason")

    monkeypatch.setattr(supervisor, "installed", lambda: "/usr/bin/prometheus")
    monkeypatch.setattr(supervisor, "shipped_rules", lambda: ())
    monkeypatch.setattr(PrometheusServer, "start", refuse)

    assert supervisor._prometheus(_stack(tmp_path)) is None

    said = capsys.readouterr().out
    assert "ended at its start: reason" in said
    assert "No alert rules" in said


@pytest.mark.parametrize(
    ("prometheus", "alerts"),
    [(None, None), ("http://127.0.0.1:9090", "http://127.0.0.1:9090/alerts")],
)
def test_up_shows_where_the_alerts_are(
    tmp_path: Path, prometheus: str | None, alerts: str | None
) -> None:
    """Two lines of the table, or neither."""
    text = StringIO()
    running = RUNNING | {"prometheus": prometheus, "alerts": alerts}

    up._tell(Console(file=text, soft_wrap=True), Home(tmp_path), running)

    lines = [line.split() for line in text.getvalue().splitlines()]
    shown = [line for line in lines if line[:1] in (["Prometheus"], ["alerts"])]
    assert shown == ([["Prometheus", prometheus], ["alerts", alerts]] if prometheus else [])


def test_programs_keep_their_ports_for_prometheus(tmp_path: Path) -> None:
    """Every program of the stack that `up` starts has a port of its own, kept for next time."""
    home = Home(tmp_path)
    ports = home.choose_ports()
    assert {"ingest", "lookup-1", "lookup-2", "scheduler", "results", "prometheus"} <= set(ports)
    assert len(set(ports.values())) == len(ports)
    assert json.loads((tmp_path / "ports.json").read_text(encoding="utf-8")) == ports
