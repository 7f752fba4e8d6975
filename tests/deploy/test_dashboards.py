"""The committed dashboards are what the generator writes, and hold the rules."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard as Model

from deploy.grafana import generate
from deploy.grafana.panels import NO_DATA
from deploy.grafana.queries import dashboards
from tests.deploy import dashboard_rules as rules
from tests.deploy.dashboard_rules import RULES, Dashboard, Rule

BOARDS = dashboards()
EXPECTED = {"overview", "ingest", "kafka", "twilio", "results", "slo", "jobs"}
#: Of an annotation, what Grafana leaves to the Prometheus data source, and its model leaves out.
_OF_PROMETHEUS = {"step", "titleFormat", "textFormat", "tagKeys", "useValueForTime"}


def test_what_is_committed_is_what_the_generator_writes() -> None:
    """Nobody edits a dashboard by hand, and none is left behind."""
    assert generate.outdated() == []
    assert set(BOARDS) == EXPECTED


def test_a_dashboard_edited_by_hand_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """One that differs, one that is missing and one too many are each named."""
    monkeypatch.setattr(generate, "DASHBOARDS", tmp_path)
    for file, text in generate.generated().items():
        file.write_text(text, encoding="utf-8")
    assert generate.outdated() == []
    (tmp_path / "slo.json").write_text("{}\n", encoding="utf-8")
    (tmp_path / "jobs.json").unlink()
    (tmp_path / "more.json").touch()
    (tmp_path / "more.json").write_text("{}", encoding="utf-8")
    assert [file.name for file in generate.outdated()] == ["jobs.json", "more.json", "slo.json"]


@pytest.mark.parametrize("name", sorted(EXPECTED))
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_dashboards_hold_the_rules(name: str, rule: Rule) -> None:
    """Each dashboard, each rule."""
    assert rule(BOARDS[name]) == []


def test_no_two_dashboards_have_one_uid_or_title() -> None:
    """Of two with one uid, Grafana silently takes none from the whole folder."""
    assert {name: board["uid"] for name, board in BOARDS.items()} == {n: n for n in BOARDS}
    assert len({board["title"] for board in BOARDS.values()}) == len(BOARDS)


def unknown_fields(dashboard: Dashboard) -> Dashboard:
    """The dashboard read into Grafana's own model and written again, to be compared with it."""
    register_default_plugins()
    made = json.loads(JSONEncoder().encode(Model.from_json(copy.deepcopy(dashboard))))
    for given, read in zip(
        dashboard["annotations"]["list"], made["annotations"]["list"], strict=True
    ):
        read |= {field: given[field] for field in _OF_PROMETHEUS}
    assert isinstance(made, dict)
    return made


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_grafanas_model_knows_every_field(name: str) -> None:
    """A field that Grafana does not know is lost when its model reads it, and would do nothing."""
    assert unknown_fields(BOARDS[name]) == BOARDS[name]


def test_a_field_that_grafana_does_not_know_is_found() -> None:
    """A misspelt one, in a panel's options too."""
    for path in (("refesh",), ("panels", 1, "desription"), ("panels", 1, "options", "colourMode")):
        broken: Any = copy.deepcopy(BOARDS["overview"])
        part = broken
        for step in path[:-1]:
            part = part[step]
        part[path[-1]] = "x"
        assert unknown_fields(broken) != broken


Change = Callable[[Dashboard], object]


def _panel(dashboard: Dashboard) -> dict[str, Any]:
    return next(rules.panels(dashboard))


def _graph(dashboard: Dashboard) -> dict[str, Any]:
    return next(panel for panel in rules.panels(dashboard) if panel["type"] == "timeseries")


def _defaults(dashboard: Dashboard) -> dict[str, Any]:
    found = _panel(dashboard)["fieldConfig"]["defaults"]
    assert isinstance(found, dict)
    return found


def _variable(dashboard: Dashboard, place: int) -> dict[str, Any]:
    found = dashboard["templating"]["list"][place]
    assert isinstance(found, dict)
    return found


#: What each rule must find, as a change to a sound dashboard.
BREAKS: list[tuple[Rule, Change]] = [
    (rules.says_what_it_is, lambda d: d.update(title="")),
    (rules.says_what_it_is, lambda d: d.update(schemaVersion=42)),
    (rules.says_what_it_is, lambda d: d.update(tags=[])),
    (rules.says_what_it_is, lambda d: d["links"].clear()),
    (rules.is_changed_here_only, lambda d: d.update(editable=True)),
    (rules.keeps_itself_up_to_date, lambda d: d.update(refresh="")),
    (rules.keeps_itself_up_to_date, lambda d: d["time"].update(to="now-1d")),
    (rules.keeps_itself_up_to_date, lambda d: d.update(timezone="utc")),
    (rules.has_the_variables, lambda d: d["templating"]["list"].pop(0)),
    (rules.has_the_variables, lambda d: _variable(d, 0).update(query="loki")),
    (rules.has_the_variables, lambda d: _variable(d, 1).update(refresh=1)),
    (rules.has_the_variables, lambda d: _variable(d, 1)["datasource"].update(uid="P1")),
    (
        rules.has_the_variables,
        lambda d: d["templating"]["list"].append({**_variable(d, 1), "name": "unused"}),
    ),
    (rules.names_no_data_source, lambda d: _panel(d)["datasource"].update(uid="P18")),
    (rules.names_no_data_source, lambda d: _panel(d)["targets"][0].pop("datasource")),
    (rules.names_no_data_source, lambda d: d["annotations"]["list"][0].pop("datasource")),
    (
        rules.names_no_data_source,
        lambda d: _panel(d)["datasource"].update(type="postgres", uid="${postgresql}"),
    ),
    (rules.explains_each_panel, lambda d: _panel(d).update(title="")),
    (rules.explains_each_panel, lambda d: _panel(d).update(title=_graph(d)["title"])),
    (rules.explains_each_panel, lambda d: _panel(d).update(description="")),
    (rules.explains_each_panel, lambda d: _defaults(d).update(unit="contacts")),
    (rules.explains_each_panel, lambda d: _panel(d).update(targets=[])),
    (
        rules.explains_each_panel,
        lambda d: _panel(d)["targets"].append(_panel(d)["targets"][0]),
    ),
    (rules.leads_to_a_runbook, lambda d: _panel(d).update(links=[])),
    (
        rules.leads_to_a_runbook,
        lambda d: _panel(d)["links"][0].update(url="https://example.com/docs/runbooks/README.md"),
    ),
    (rules.says_why_it_is_empty, lambda d: _defaults(d).pop("noValue")),
    (
        rules.says_why_it_is_empty,
        lambda d: (
            _defaults(d).update(noValue=NO_DATA),
            _panel(d)["targets"][0].update(expr="twilio_account_held == 1"),
        ),
    ),
    (rules.has_stable_ids, lambda d: _panel(d).pop("id")),
    (rules.has_stable_ids, lambda d: _panel(d).update(id=_graph(d)["id"])),
    (rules.fits_the_grid, lambda d: _panel(d)["gridPos"].update(x=23)),
    (rules.fits_the_grid, lambda d: _panel(d)["gridPos"].update(w=6)),
    (rules.fits_the_grid, lambda d: d["panels"][0]["gridPos"].update(w=12)),
    (rules.fills_the_grid, lambda d: _panel(d)["gridPos"].update(w=2)),
    (
        rules.rates_fit_the_zoom,
        lambda d: _panel(d)["targets"][0].update(expr="sum(rate(twilio_requests_total[5m]))"),
    ),
    (
        rules.legends_name_labels_that_are_there,
        lambda d: _graph(d)["targets"][0].update(
            expr="sum by (outcome) (x)", legendFormat="{{topic}}"
        ),
    ),
    (
        rules.legends_name_labels_that_are_there,
        lambda d: _graph(d)["options"]["legend"].update(showLegend=False),
    ),
    (rules.marks_releases_and_alerts, lambda d: d["annotations"]["list"].pop(0)),
    (rules.marks_releases_and_alerts, lambda d: d["annotations"]["list"].pop(1)),
]


@pytest.mark.parametrize(
    ("rule", "change"), BREAKS, ids=[f"{rule.__name__}-{n}" for n, (rule, _) in enumerate(BREAKS)]
)
def test_a_dashboard_that_breaks_a_rule_is_refused(rule: Rule, change: Change) -> None:
    """Each rule finds what it is there for."""
    broken = copy.deepcopy(BOARDS["overview"])
    change(broken)
    assert rule(broken)


def test_every_rule_is_shown_to_fail() -> None:
    """A rule that nothing breaks checks nothing."""
    assert {rule for rule, _ in BREAKS} == set(RULES)
