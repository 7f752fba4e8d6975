"""The files that Grafana reads at its start: data sources, dashboards, and its own few alerts."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.grafana.alerts import rules
from deploy.grafana.panels import POSTGRESQL, PROMETHEUS
from deploy.grafana.queries import DASHBOARDS, dashboards
from tests.deploy.documents import Manifests
from tests.deploy.render import Renderer

ROOT = Path(__file__).parents[2]
FILES = {
    file.relative_to(DASHBOARDS.parent / "provisioning").as_posix(): yaml.safe_load(
        file.read_text(encoding="utf-8")
    )
    for file in sorted((DASHBOARDS.parent / "provisioning").glob("*/*.yaml"))
}
#: Where the dashboards lie when Grafana runs, by all that start it.
MOUNTED = "/etc/grafana/dashboards"
#: Fields that Grafana reads, by the part they stand in; it passes over any other without a word.
FIELDS = {
    "datasource": {
        *("name", "uid", "type", "access", "url", "user", "isDefault", "editable"),
        *("jsonData", "secureJsonData"),
    },
    "provider": {
        *("name", "type", "folder", "folderUid", "disableDeletion", "allowUiUpdates"),
        *("updateIntervalSeconds", "options"),
    },
    "contact point": {"orgId", "name", "receivers"},
    "group": {"orgId", "name", "folder", "interval", "rules"},
    "rule": {
        *("uid", "title", "condition", "for", "noDataState", "execErrState", "data", "labels"),
        *("annotations", "notification_settings", "dashboardUid", "panelId"),
    },
    "query": {"refId", "relativeTimeRange", "datasourceUid", "model"},
}

Files = dict[str, Any]
Check = Callable[[Files], list[str]]


def sources(files: Files) -> list[dict[str, Any]]:
    """The data sources."""
    found = files["datasources/lookup.yaml"]["datasources"]
    assert isinstance(found, list)
    return found


def managed(files: Files) -> list[dict[str, Any]]:
    """The alerts that Grafana evaluates."""
    return [rule for group in files["alerting/rules.yaml"]["groups"] for rule in group["rules"]]


def unknown_fields(files: Files) -> list[str]:
    """Fields that Grafana would pass over."""
    parts = [("datasource", each) for each in sources(files)]
    parts += [("provider", each) for each in files["dashboards/lookup.yaml"]["providers"]]
    parts += [
        ("contact point", each) for each in files["alerting/contact-points.yaml"]["contactPoints"]
    ]
    parts += [("group", each) for each in files["alerting/rules.yaml"]["groups"]]
    parts += [("rule", each) for each in managed(files)]
    parts += [("query", query) for rule in managed(files) for query in rule["data"]]
    wrong = [f"{kind}: {field}" for kind, part in parts for field in set(part) - FIELDS[kind]]
    return wrong + [name for name, file in files.items() if file.get("apiVersion") != 1]


def secrets_within(files: Files) -> list[str]:
    """Passwords and addresses that stand in a file instead of coming from where Grafana runs."""
    wrong = []
    for source in sources(files):
        wrong += [
            f"{source['name']}: {field} {source[field]}"
            for field in ("url", "user")
            if field in source and not re.fullmatch(r"\$[A-Z_]+", source[field])
        ]
        wrong += [
            f"{source['name']}: {field}"
            for field, value in source.get("secureJsonData", {}).items()
            if not re.fullmatch(r"\$__(file|env)\{[\w/.-]+\}", value)
        ]
    for point in files["alerting/contact-points.yaml"]["contactPoints"]:
        for receiver in point["receivers"]:
            wrong += [
                f"{point['name']}: {field}"
                for field, value in receiver["settings"].items()
                if not re.fullmatch(r"\$[A-Z_]+", value)
            ]
    return wrong


def sources_of_another_kind(files: Files) -> list[str]:
    """The dashboards' variables find the sources by their type, the alerts by their uid."""
    wrong = []
    types = {source["uid"]: source["type"] for source in sources(files)}
    if set(types.values()) != {PROMETHEUS.type_val, POSTGRESQL.type_val}:
        wrong.append(f"types {sorted(types.values())}")
    for rule in managed(files):
        for query in rule["data"]:
            uid, model = query["datasourceUid"], query["model"]
            expected = {"uid": uid, "type": types.get(uid, "__expr__")}
            if uid not in {*types, "__expr__"} or model["datasource"] != expected:
                wrong.append(f"{rule['title']}: {query['refId']} asks {uid}")
    # A Grafana that has a default already would not start.
    return wrong + [f"{each['name']}: default" for each in sources(files) if each.get("isDefault")]


def edited_in_grafana(files: Files) -> list[str]:
    """What is provisioned is changed in the repository only, and is not taken away by a slip."""
    wrong = [source["name"] for source in sources(files) if source.get("editable") is not False]
    for provider in files["dashboards/lookup.yaml"]["providers"]:
        if provider.get("allowUiUpdates") is not False or not provider.get("disableDeletion"):
            wrong.append(provider["name"])
        if provider["options"]["path"] != MOUNTED:
            wrong.append(f"{provider['name']}: {provider['options']['path']}")
    return wrong


def alerts_that_cannot_fire(files: Files) -> list[str]:
    """Each rule's condition is one of its steps, and each step takes one before it."""
    wrong = []
    for rule in managed(files):
        refs: list[str] = []
        for query in rule["data"]:
            model = query["model"]
            if model["refId"] != query["refId"]:
                wrong.append(f"{rule['title']}: {query['refId']} is called {model['refId']}")
            if query["datasourceUid"] == "__expr__" and model["expression"] not in refs:
                wrong.append(f"{rule['title']}: {query['refId']} takes {model['expression']}")
            refs.append(query["refId"])
        if rule["condition"] not in refs:
            wrong.append(f"{rule['title']}: no {rule['condition']}")
        if not {rule["noDataState"], rule["execErrState"]} <= {"Alerting", "OK"}:
            wrong.append(f"{rule['title']}: neither silent nor an alert without data")
    return wrong


def alerts_unlike_prometheus(files: Files) -> list[str]:
    """Severity, service, words and a runbook, as every alert of ours, and who is told."""
    points = {each["name"] for each in files["alerting/contact-points.yaml"]["contactPoints"]}
    wrong = []
    for rule in managed(files):
        if set(rule["labels"]) != {"severity", "service"}:
            wrong.append(f"{rule['title']}: labels {sorted(rule['labels'])}")
        if rule["labels"].get("severity") not in {"critical", "warning"}:
            wrong.append(f"{rule['title']}: severity")
        if set(rule["annotations"]) != {"summary", "description", "runbook_url"}:
            wrong.append(f"{rule['title']}: annotations {sorted(rule['annotations'])}")
        if not rule["annotations"].get("runbook_url", "").endswith(f"/{rule['title']}.md"):
            wrong.append(f"{rule['title']}: runbook")
        if rule["notification_settings"]["receiver"] not in points:
            wrong.append(f"{rule['title']}: nobody is told")
    return wrong


def alerts_twice(files: Files) -> list[str]:
    """No alert of Prometheus is made again in Grafana."""
    of_prometheus = {rule.get("alert") for rule in rules()}
    return [rule["title"] for rule in managed(files) if rule["title"] in of_prometheus]


def links_to_no_panel(files: Files) -> list[str]:
    """A rule that names a panel names one that is there."""
    boards = dashboards()
    return [
        f"{rule['title']}: {rule['dashboardUid']} {rule['panelId']}"
        for rule in managed(files)
        if "dashboardUid" in rule
        and rule["panelId"] not in {each["id"] for each in boards[rule["dashboardUid"]]["panels"]}
    ]


CHECKS: tuple[Check, ...] = (
    unknown_fields,
    secrets_within,
    sources_of_another_kind,
    edited_in_grafana,
    alerts_that_cannot_fire,
    alerts_unlike_prometheus,
    alerts_twice,
    links_to_no_panel,
)

BREAKS: list[tuple[Check, Callable[[Files], object]]] = [
    (unknown_fields, lambda f: sources(f)[0].update(is_default=True)),
    (unknown_fields, lambda f: managed(f)[0]["data"][0].update(expr="up")),
    (unknown_fields, lambda f: f["dashboards/lookup.yaml"].update(apiVersion=2)),
    (secrets_within, lambda f: sources(f)[1]["secureJsonData"].update(password="secret")),
    (secrets_within, lambda f: sources(f)[0].update(url="http://10.0.0.1:9090")),
    (
        secrets_within,
        lambda f: f["alerting/contact-points.yaml"]["contactPoints"][0]["receivers"][0][
            "settings"
        ].update(url="https://example.com/hook"),
    ),
    (sources_of_another_kind, lambda f: sources(f)[1].update(type="postgres")),
    (sources_of_another_kind, lambda f: sources(f)[0].update(uid="other")),
    (sources_of_another_kind, lambda f: sources(f)[0].update(isDefault=True)),
    (edited_in_grafana, lambda f: sources(f)[0].update(editable=True)),
    (
        edited_in_grafana,
        lambda f: f["dashboards/lookup.yaml"]["providers"][0].update(allowUiUpdates=True),
    ),
    (
        edited_in_grafana,
        lambda f: f["dashboards/lookup.yaml"]["providers"][0]["options"].update(path="/x"),
    ),
    (alerts_that_cannot_fire, lambda f: managed(f)[0].update(condition="A")),
    (alerts_that_cannot_fire, lambda f: managed(f)[0]["data"][1]["model"].update(expression="B")),
    (alerts_that_cannot_fire, lambda f: managed(f)[0]["data"][0]["model"].update(refId="A")),
    (alerts_that_cannot_fire, lambda f: managed(f)[0].update(noDataState="NoData")),
    (alerts_unlike_prometheus, lambda f: managed(f)[0]["labels"].update(severity="major")),
    (alerts_unlike_prometheus, lambda f: managed(f)[0]["annotations"].pop("runbook_url")),
    (
        alerts_unlike_prometheus,
        lambda f: managed(f)[0].update(notification_settings={"receiver": "nobody"}),
    ),
    (alerts_twice, lambda f: managed(f)[0].update(title="LookupTargetMissing")),
    (links_to_no_panel, lambda f: managed(f)[1].update(panelId=1)),
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_files_hold(check: Check) -> None:
    """Each check, over all files."""
    assert check(FILES) == []


@pytest.mark.parametrize(
    ("check", "change"),
    BREAKS,
    ids=[f"{check.__name__}-{n}" for n, (check, _) in enumerate(BREAKS)],
)
def test_a_file_that_does_not_hold_is_refused(
    check: Check, change: Callable[[Files], object]
) -> None:
    """Each check finds what it is there for."""
    broken = copy.deepcopy(FILES)
    change(broken)
    assert check(broken)


def test_every_check_is_shown_to_fail() -> None:
    """A check that nothing breaks checks nothing."""
    assert {check for check, _ in BREAKS} == set(CHECKS)


def test_every_file_is_read_by_a_check() -> None:
    """A file that nobody looks at could say anything."""
    assert set(FILES) == {
        "alerting/contact-points.yaml",
        "alerting/rules.yaml",
        "dashboards/lookup.yaml",
        "datasources/lookup.yaml",
    }


def asked_of_grafana() -> tuple[set[str], str]:
    """The variables that the files name, and where they look for the password."""
    text = "".join(
        file.read_text(encoding="utf-8")
        for file in (DASHBOARDS.parent / "provisioning").glob("*/*.yaml")
    )
    (password,) = re.findall(r"\$__file\{(.+)\}", text)
    return set(re.findall(r"\$([A-Z][A-Z_]+)", text)), password


def test_whoever_starts_grafana_gives_it_what_the_files_ask_for() -> None:
    """Compose sets every variable, and lays the files and the password where they are looked for."""
    asked_for, password = asked_of_grafana()
    assert len(asked_for) > 4
    compose = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8"))
    grafana = compose["services"]["grafana"]
    assert asked_for - set(grafana["environment"]) == set()
    mounts = {each["target"]: each.get("source") for each in grafana["volumes"]}
    assert mounts[MOUNTED] == "./grafana/dashboards"
    assert mounts["/etc/grafana/provisioning"] == "./grafana/provisioning"
    assert any(password.startswith(f"{target}/") for target in mounts)


def test_kubernetes_gets_every_dashboard() -> None:
    """A dashboard that is missing in the ConfigMaps would be missed when it is needed."""
    file = DASHBOARDS.parent / "kustomization.yaml"
    generated = yaml.safe_load(file.read_text(encoding="utf-8"))["configMapGenerator"]
    assert sorted(name for each in generated for name in each["files"]) == [
        f"dashboards/{name}.json" for name in sorted(dashboards())
    ]


def test_whoever_installs_on_kubernetes_reads_what_grafana_needs() -> None:
    """The step names every variable, the password's file, and the uids that the alerts rely on."""
    names, password = asked_of_grafana()
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    step = text.partition("### Alerts of Grafana\n")[2].partition("\n#")[0]
    wanted = {*names, password, *(source["uid"] for source in sources(FILES))}
    assert {word for word in wanted if f"`{word}`" not in step} == set()


def test_kubernetes_gets_what_grafana_is_provisioned_with(renderer: Renderer) -> None:
    """Each file but that of the dashboards' folder, whole, under the label that its sidecar wants."""
    directory = renderer.overlays / "with-grafana"
    directory.mkdir()
    (directory / "kustomization.yaml").write_text(
        "resources: [../prod]\ncomponents: [../../../grafana/provisioning]\n", encoding="utf-8"
    )
    labels = {"datasources": "grafana_datasource", "alerting": "grafana_alert"}
    found = {
        (label, text)
        for config in renderer.rendered(directory).of("ConfigMap")
        for label in config["metadata"]["labels"].keys() & set(labels.values())
        for text in config["data"].values()
    }
    folder = DASHBOARDS.parent / "provisioning"
    assert found == {
        (labels[kind], (folder / name).read_text(encoding="utf-8"))
        for name in FILES
        if (kind := name.partition("/")[0]) in labels
    }


def test_production_needs_nothing_of_grafana(prod: Manifests) -> None:
    """A file that names what this Grafana lacks would keep it from starting, for all who use it."""
    labels = [config["metadata"].get("labels", {}) for config in prod.of("ConfigMap")]
    assert not any({"grafana_alert", "grafana_datasource"} & each.keys() for each in labels)
