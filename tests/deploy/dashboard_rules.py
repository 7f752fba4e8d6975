"""What a dashboard must hold, after Grafana's own dashboard-linter and our conventions.

Each rule takes a dashboard as it stands in its file, and returns what is wrong with it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

from grafana_foundation_sdk.models import units

from deploy.grafana.alerts import runbooks_url
from deploy.grafana.panels import NO_DATA
from deploy.grafana.queries import asked
from tests.deploy.runbooks import INDEX, runbooks

Dashboard = dict[str, Any]
Rule = Callable[[Dashboard], list[str]]

#: The units that Grafana's model knows.
UNITS = {value for name, value in vars(units).items() if name[0].isupper() and type(value) is str}
#: Data sources by the variable that names them, and what the variable lists.
SOURCES = {
    "${datasource}": "prometheus",
    "${postgresql}": "grafana-postgresql-datasource",
}
_WIDTH = 24
#: What makes a query empty while all is well: a comparison, no event in the time, a state of alerts.
_OFTEN_EMPTY = re.compile(r"(>|==) \d|histogram_quantile|ALERTS|WHERE")


def panels(dashboard: Dashboard) -> Iterator[dict[str, Any]]:
    """The panels that show something: neither rows nor texts."""
    yield from (panel for panel in dashboard["panels"] if panel["type"] not in {"row", "text"})


def says_what_it_is(dashboard: Dashboard) -> list[str]:
    """A title, a description, the tag that links them, and a form that Grafana migrates by itself."""
    wrong = [f"no {part}" for part in ("uid", "title", "description") if not dashboard.get(part)]
    if dashboard.get("schemaVersion") != 39:
        wrong.append("not schemaVersion 39")
    if "lookup" not in dashboard.get("tags", []):
        wrong.append("no tag lookup")
    if [link.get("tags") for link in dashboard.get("links", [])] != [["lookup"]]:
        wrong.append("no links by the tag lookup")
    return wrong


def is_changed_here_only(dashboard: Dashboard) -> list[str]:
    """Nobody edits it in Grafana, where the change would be lost."""
    return [] if dashboard.get("editable") is False else ["editable"]


def keeps_itself_up_to_date(dashboard: Dashboard) -> list[str]:
    """It refreshes, over a time range that says something, in the reader's own time zone."""
    wrong = []
    if dashboard.get("refresh") not in {"30s", "1m", "5m"}:
        wrong.append(f"refresh {dashboard.get('refresh')!r}")
    if dashboard.get("time", {}).get("to") != "now":
        wrong.append("the time range does not end now")
    if dashboard.get("timezone") != "browser":
        wrong.append("not in the reader's time zone")
    return wrong


def has_the_variables(dashboard: Dashboard) -> list[str]:
    """A data source and a namespace to choose; each variable is asked anew, and is used."""
    wrong = []
    variables = {each["name"]: each for each in dashboard["templating"]["list"]}
    wrong += [
        f"no variable {name}" for name in ("datasource", "namespace") if name not in variables
    ]
    queries = " ".join(query.text for query in asked(dashboard))
    for name, variable in variables.items():
        if variable["type"] == "datasource":
            if variable["query"] != SOURCES.get(f"${{{name}}}"):
                wrong.append(f"{name} lists data sources of another kind")
            continue
        if variable.get("refresh") != 2:
            wrong.append(f"{name} is not asked anew when the time range changes")
        if variable.get("datasource", {}).get("uid") != "${datasource}":
            wrong.append(f"{name} has a fixed data source")
        if not re.search(rf"\${name}\b", queries):
            wrong.append(f"{name} is not used")
    return wrong


def names_no_data_source(dashboard: Dashboard) -> list[str]:
    """Panels, queries and annotations take the data source that is chosen."""
    wrong = []
    known = {each["name"] for each in dashboard["templating"]["list"]}
    places = [("annotation " + each["name"], each) for each in dashboard["annotations"]["list"]]
    for panel in panels(dashboard):
        places += [(panel["title"], part) for part in (panel, *panel.get("targets", []))]
    for name, part in places:
        source = part.get("datasource", {})
        uid = source.get("uid", "")
        if SOURCES.get(uid) != source.get("type") or uid.strip("${}") not in known:
            wrong.append(f"{name}: data source {uid!r} of type {source.get('type')!r}")
    return wrong


def explains_each_panel(dashboard: Dashboard) -> list[str]:
    """A title of its own, a sentence, a unit of Grafana's and at least one query each."""
    wrong = []
    titles = Counter(panel.get("title") for panel in dashboard["panels"])
    wrong += [f"{title!r} is there {times} times" for title, times in titles.items() if times > 1]
    for panel in dashboard["panels"]:
        if not panel.get("title"):
            wrong.append(f"{panel.get('id')}: no title")
    for panel in panels(dashboard):
        if not re.search(r"\.$", panel.get("description", "")):
            wrong.append(f"{panel['title']}: no description")
        if panel["fieldConfig"]["defaults"].get("unit") not in UNITS:
            wrong.append(f"{panel['title']}: no unit that Grafana knows")
        wrong += [
            f"{panel['title']}: {override['matcher']['options']} has no unit that Grafana knows"
            for override in panel["fieldConfig"]["overrides"]
            for part in override["properties"]
            if part["id"] == "unit" and part["value"] not in UNITS
        ]
        refs = [target.get("refId") for target in panel.get("targets", [])]
        if not refs or len(refs) != len(set(refs)) or not all(refs):
            wrong.append(f"{panel['title']}: queries {refs}")
    return wrong


def leads_to_a_runbook(dashboard: Dashboard) -> list[str]:
    """Whoever sees something wrong on a panel is one click from what to do."""
    base = runbooks_url().removesuffix("README.md")
    pages = {f"{base}{page.name}" for page in (INDEX, *runbooks())}
    return [
        f"{panel['title']}: no runbook"
        for panel in panels(dashboard)
        if not panel.get("links") or {link["url"] for link in panel["links"]} - pages
    ]


def says_why_it_is_empty(dashboard: Dashboard) -> list[str]:
    """No panel leaves a reader to guess; one that may be empty in good times says so itself."""
    wrong = []
    for panel in panels(dashboard):
        says = panel["fieldConfig"]["defaults"].get("noValue")
        queries = [target.get("expr") or target["rawSql"] for target in panel["targets"]]
        if not says:
            wrong.append(f"{panel['title']}: nothing is said without data")
        elif says == NO_DATA and all(
            _OFTEN_EMPTY.search(query) and "or vector(0)" not in query for query in queries
        ):
            wrong.append(f"{panel['title']}: its emptiness is not explained")
    return wrong


def has_stable_ids(dashboard: Dashboard) -> list[str]:
    """Links to a panel go by its id."""
    ids = Counter(panel.get("id") for panel in dashboard["panels"])
    wrong = [f"id {each} is there {times} times" for each, times in ids.items() if times > 1]
    return wrong + [f"id {each!r}" for each in ids if not isinstance(each, int) or each < 1]


def fits_the_grid(dashboard: Dashboard) -> list[str]:
    """24 columns, nothing over another, and rows over the whole width."""
    wrong = []
    places = [(panel["title"], panel["gridPos"]) for panel in dashboard["panels"]]
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        if at["x"] < 0 or at["x"] + at["w"] > _WIDTH or at["w"] < 1 or at["h"] < 1:
            wrong.append(f"{panel['title']}: out of the grid")
        if panel["type"] == "row" and (at["w"], at["h"]) != (_WIDTH, 1):
            wrong.append(f"{panel['title']}: a row of another size")
    for (one, a), (other, b) in combinations(places, 2):
        apart = (
            a["x"] + a["w"] <= b["x"]
            or b["x"] + b["w"] <= a["x"]
            or a["y"] + a["h"] <= b["y"]
            or b["y"] + b["h"] <= a["y"]
        )
        if not apart:
            wrong.append(f"{one} lies over {other}")
    return wrong


def fills_the_grid(dashboard: Dashboard) -> list[str]:
    """Each line of panels is as wide as the page."""
    lines: Counter[int] = Counter()
    for panel in dashboard["panels"]:
        lines[panel["gridPos"]["y"]] += panel["gridPos"]["w"]
    return [f"the line at {y} is {width} wide" for y, width in lines.items() if width != _WIDTH]


def rates_fit_the_zoom(dashboard: Dashboard) -> list[str]:
    """A rate looks back as far as the zoom and the scrapes ask for."""
    return [
        f"{query.name}: rate over [{window}]"
        for query in asked(dashboard)
        for window in re.findall(r"\bi?rate\([^\[]*\[([^\]]+)\]", query.text)
        if window != "$__rate_interval"
    ]


def legends_name_labels_that_are_there(dashboard: Dashboard) -> list[str]:
    """A legend of aggregated series takes labels that the aggregation keeps."""
    wrong = []
    for panel in panels(dashboard):
        if panel["type"] == "timeseries" and not panel["options"]["legend"]["showLegend"]:
            wrong.append(f"{panel['title']}: no legend")
        for target in panel["targets"]:
            if "expr" not in target:
                continue
            kept = re.search(r"\b(?:by|without) \(([\w, ]+)\)", target["expr"])
            wrong += [
                f"{panel['title']}: the legend names {label}, which is not kept"
                for label in re.findall(r"{{(\w+)}}", target["legendFormat"])
                if kept and label not in kept[1].split(", ")
            ]
    return wrong


def marks_releases_and_alerts(dashboard: Dashboard) -> list[str]:
    """A reader sees what was deployed, and what fired, over every line."""
    read = {each["name"]: each["expr"] for each in dashboard["annotations"]["list"]}
    wrong = []
    if "lookup_build_info" not in read.get("Releases", ""):
        wrong.append("no annotation of releases")
    if "ALERTS{" not in read.get("Alerts", ""):
        wrong.append("no annotation of alerts")
    return wrong


RULES: tuple[Rule, ...] = (
    says_what_it_is,
    is_changed_here_only,
    keeps_itself_up_to_date,
    has_the_variables,
    names_no_data_source,
    explains_each_panel,
    leads_to_a_runbook,
    says_why_it_is_empty,
    has_stable_ids,
    fits_the_grid,
    fills_the_grid,
    rates_fit_the_zoom,
    legends_name_labels_that_are_there,
    marks_releases_and_alerts,
)
