"""What the dashboards ask of Prometheus is there, parses, and agrees with the alerts."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.grafana.alerts import alerts, managed
from deploy.grafana.board import OUR_ALERTS
from deploy.grafana.queries import Asked, dashboards, every_query
from tests.deploy import dashboard_queries as checks
from tests.deploy.dashboard_rules import Dashboard, panels
from tests.deploy.tools import ToolError, run

ROOT = Path(__file__).parents[2]
BOARDS = dashboards()
#: Alerts that no panel can show, with the reason.
SHOWN_NOWHERE = {"LookupPrometheusGone": "without Prometheus no panel shows anything"}

Check = Callable[[Asked], list[str]]
CHECKS: tuple[Check, ...] = (checks.named_wrong, checks.not_chosen, checks.counted_raw)


@pytest.mark.parametrize("name", sorted(BOARDS))
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_queries_ask_for_what_there_is(name: str, check: Check) -> None:
    """Metrics and labels exist, one installation is chosen, and counters are shown as rates."""
    assert [wrong for query in checks.in_promql(BOARDS[name]) for wrong in check(query)] == []


BREAKS: list[tuple[Check, str]] = [
    (checks.named_wrong, 'twilio_calls_total{job="bulk-lookup-lookup",namespace="$namespace"}'),
    (checks.named_wrong, 'up{job="bulk-lookup-lookup",cluster="x"}'),
    (checks.named_wrong, "sum by (number) (twilio_requests_in_flight)"),
    (checks.named_wrong, "twilio_request_duration_seconds"),
    (checks.not_chosen, 'twilio_requests_in_flight{namespace="$namespace"}'),
    (checks.not_chosen, 'twilio_requests_in_flight{job="bulk-lookup-lookup"}'),
    (checks.not_chosen, "namespace_group_topic:lookup_consumer_lag:records"),
    (checks.counted_raw, "sum(twilio_requests_total)"),
    (checks.counted_raw, "max_over_time(twilio_request_duration_seconds_count[5m])"),
]


@pytest.mark.parametrize(("check", "text"), BREAKS)
def test_a_query_for_what_is_not_there_is_refused(check: Check, text: str) -> None:
    """Each check finds what it is there for."""
    assert check(Asked("overview", "Flow (A)", "promql", text))


def test_every_query_has_a_name_of_its_own() -> None:
    """So that whoever runs them can say which one was empty."""
    names = [query.name for query in every_query()]
    assert len(names) == len(set(names))
    assert not [query.name for query in every_query() if "$" in query.filled_in()]


def as_rules(queries: list[Asked]) -> str:
    """A rules file with each query as a recording rule, which promtool reads."""
    return yaml.safe_dump(
        {
            "groups": [
                {
                    "name": "dashboards",
                    "rules": [
                        {"record": f"query_{number}", "expr": query.filled_in()}
                        for number, query in enumerate(queries)
                    ],
                }
            ]
        }
    )


@pytest.mark.needs_prometheus
def test_every_query_parses(tmp_path: Path) -> None:
    """Prometheus's own parser takes each, and refuses one that is broken."""
    queries = [query for query in every_query() if query.language == "promql"]
    assert len(queries) > 100
    rules = tmp_path / "queries.yaml"
    rules.write_text(as_rules(queries), encoding="utf-8")
    assert f"{len(queries)} rules found" in run("promtool", "check", "rules", str(rules))
    broken = Asked("overview", "Flow (A)", "promql", "sum(rate(up[$__rate_interval])")
    rules.write_text(as_rules([*queries, broken]), encoding="utf-8")
    with pytest.raises(ToolError, match="could not parse"):
        run("promtool", "check", "rules", str(rules))


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_panels_link_to_the_alerts_that_watch_them(name: str) -> None:
    """A link leads to the runbook of an alert that reads what the panel shows."""
    assert checks.linked_wrong(BOARDS[name]) == []


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_colours_turn_where_alerts_fire(name: str) -> None:
    """A panel's threshold is a number of its alert, or of its service level."""
    assert checks.thresholds_of_others(BOARDS[name]) == []


def _linked(dashboard: Dashboard) -> dict[str, Any]:
    return next(panel for panel in panels(dashboard) if panel["links"])


@pytest.mark.parametrize(
    ("check", "change"),
    [
        (checks.linked_wrong, lambda panel: panel["links"][0].update(url="https://example.com/")),
        (checks.linked_wrong, lambda panel: panel["links"][0].update(title="Runbook: NoSuch")),
        (checks.linked_wrong, lambda panel: panel["targets"][0].update(expr="process_open_fds")),
        (
            checks.thresholds_of_others,
            lambda panel: panel["fieldConfig"]["defaults"]["thresholds"]["steps"].append(
                {"value": 0.123, "color": "red"}
            ),
        ),
    ],
)
def test_a_panel_that_disagrees_with_its_alert_is_found(
    check: Callable[[Dashboard], list[str]], change: Callable[[dict[str, Any]], object]
) -> None:
    """Another runbook, no such alert, nothing of what it watches, another threshold."""
    broken = copy.deepcopy(BOARDS["kafka"])
    change(_linked(broken))
    assert check(broken)


def test_every_alert_has_a_panel() -> None:
    """Whoever is woken sees what the alert watches."""
    shown = {alert for board in BOARDS.values() for alert, _ in checks.watched(board)}
    assert set(alerts()) - shown == set(SHOWN_NOWHERE)


def test_the_runbooks_that_are_linked_are_there() -> None:
    """Each link of a panel or a rule ends at a page of the repository."""
    pages = {rule.runbook_url.rpartition("/")[2] for its in alerts().values() for rule in its}
    there = {page.name for page in (ROOT / "docs" / "runbooks").glob("*.md")}
    assert pages - there == set()


def test_the_overview_takes_every_alert_of_ours() -> None:
    """The pattern by which the dashboards know our alerts leaves none out."""
    pattern = re.fullmatch(r'alertname=~"(.+)"', OUR_ALERTS)
    assert pattern is not None
    of_prometheus = set(alerts()) - {rule["title"] for rule in managed()}
    assert [name for name in of_prometheus if not re.fullmatch(pattern[1], name)] == []
