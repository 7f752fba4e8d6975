"""The one figure that says whether contacts flow, by promtool on made-up systems."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.grafana.queries import dashboards, every_query
from tests.deploy.tools import ToolError, run

QUERY = next(query for query in every_query() if query.name.startswith("overview: Flow "))
CASES = [
    # pending, retrying, parked, lag, contacts ended a second, and what the figure says
    pytest.param(0, 0, 0, 0, 0, "Idle", id="nothing is there"),
    pytest.param(500, 0, 0, 40, 7, "Flowing", id="a backlog is worked off"),
    pytest.param(500, 0, 0, 40, 0, "STANDING", id="a backlog is not worked off"),
    pytest.param(0, 0, 0, 40, 0, "STANDING", id="records stand that results has not seen"),
    pytest.param(0, 300, 0, 0, 0, "WAITING", id="Twilio failed all that is left"),
    pytest.param(0, 0, 300, 0, 0, "WAITING", id="all that is left is held"),
    pytest.param(500, 300, 0, 0, 0, "STANDING", id="some wait for no reason"),
    pytest.param(500, 300, 300, 0, 7, "Flowing", id="one account is held and another works"),
    pytest.param(0, 0, 300, 0, 7, "Flowing", id="the last ones end and others are held"),
]


def values_of(word: str) -> list[int]:
    """The values for which the committed panel shows a word."""
    panel = next(p for p in dashboards()["overview"]["panels"] if p["title"] == "Flow")
    shown = panel["fieldConfig"]["defaults"]["mappings"][0]["options"]
    return [int(value) for value, looks in shown.items() if looks["text"] == word]


def series(name: str, job: str, label: str, start: int, step: int = 0) -> dict[str, str]:
    """A series that begins at `start` and grows by `step` every 15 s."""
    chosen = f'job="bulk-lookup-{job}",namespace="local",instance="i",{label}'
    return {"series": f"{name}{{{chosen}}}", "values": f"{start}+{step}x40"}


def judge(directory: Path, given: list[dict[str, str]], word: str) -> None:
    """Have promtool say whether the figure shows a word; raises `ToolError` if not."""
    values = " or ".join(f"{QUERY.filled_in()} == {value}" for value in values_of(word))
    asked = {
        "expr": f"count({values})",
        "eval_time": "8m",
        "exp_samples": [{"labels": "{}", "value": 1}],
    }
    test: dict[str, Any] = {
        "evaluation_interval": "15s",
        "tests": [{"interval": "15s", "input_series": given, "promql_expr_test": [asked]}],
    }
    file = directory / "flow.yaml"
    file.write_text(yaml.safe_dump(test), encoding="utf-8")
    run("promtool", "test", "rules", file)


@pytest.mark.needs_prometheus
@pytest.mark.parametrize(("pending", "retrying", "parked", "lag", "pace", "word"), CASES)
def test_the_figure_says_whether_contacts_flow(
    tmp_path: Path, pending: int, retrying: int, parked: int, lag: int, pace: int, word: str
) -> None:
    """Standing is red, waiting for a retry or a hold is not idle, and it says nothing else."""
    states = {"pending": pending, "releasing": 0, "retrying": retrying, "parked": parked}
    given = [series("lookup_requests", "results", f'state="{s}"', n) for s, n in states.items()]
    given.append(series("lookup_consumer_lag_records", "lookup", 'group="lookup"', lag))
    ended = "lookup_end_to_end_duration_seconds_count"
    given.append(series(ended, "results", 'state="completed"', 0, pace * 15))
    judge(tmp_path, given, word)
    for other in {"Idle", "Flowing", "STANDING", "WAITING"} - {word}:
        with pytest.raises(ToolError):
            judge(tmp_path, given, other)
