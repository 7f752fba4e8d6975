"""What is rendered: all of it, and as a server would take it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.deploy import schema
from tests.deploy.documents import Document, Manifests, named
from tests.deploy.render import COMPONENTS, K8S, OVERLAYS, ROOT, Renderer
from tests.deploy.tools import ToolError

Rendering = Callable[[str], Manifests]
#: Kinds that no schema of Kubernetes itself has.
_CUSTOM = {
    *("KafkaTopic", "KafkaUser", "PodMonitor", "PrometheusRule"),
    *("ScaledObject", "TriggerAuthentication", "ExternalSecret"),
}


def test_there_is_something_to_render() -> None:
    """The tests below prove nothing about folders that they do not find."""
    assert {"dev", "prod"} <= set(OVERLAYS)
    assert {"strimzi", "monitors", "network-policies", "keda", "external-secrets"} <= set(
        COMPONENTS
    )


@pytest.mark.parametrize("name", [*OVERLAYS, *COMPONENTS])
def test_everything_renders(rendering: Rendering, name: str) -> None:
    """Every overlay, and every component in a kustomization that uses it."""
    documents = rendering(name).documents

    names = [(found["apiVersion"], named(found)) for found in documents]
    assert names
    assert len(names) == len(set(names))


def test_what_cannot_be_rendered_is_refused(renderer: Renderer, tmp_path: Path) -> None:
    """A kustomization that names a file which is not there ends the run."""
    (tmp_path / "kustomization.yaml").write_text("resources: [missing.yaml]", encoding="utf-8")

    with pytest.raises(ToolError, match=r"missing\.yaml"):
        renderer.rendered(tmp_path)


def test_names_are_the_same_everywhere() -> None:
    """No kustomization changes names: what custom resources refer to would not follow."""
    for file in K8S.rglob("kustomization.yaml"):
        changes = yaml.safe_load(file.read_text(encoding="utf-8")).keys()
        assert not changes & {"namePrefix", "nameSuffix"}, file


@pytest.mark.parametrize("minor", schema.MINORS)
@pytest.mark.parametrize("name", [*OVERLAYS, *COMPONENTS])
def test_every_document_is_valid(rendering: Rendering, name: str, minor: str) -> None:
    """For the current minor of Kubernetes and two before it, without a field too many."""
    wrong = [
        f"{named(document)}: {finding}"
        for document in rendering(name).documents
        for finding in schema.findings(document, minor)
    ]
    assert wrong == []


def test_every_custom_resource_is_checked(rendering: Rendering) -> None:
    """Each kind is really used somewhere, and has its schema."""
    kinds = {
        document["kind"]
        for name in (*OVERLAYS, *COMPONENTS)
        for document in rendering(name).documents
    }
    assert kinds >= _CUSTOM
    assert all(schema.custom_validator(kind) for kind in _CUSTOM)


def _misspelt(document: Document) -> None:
    document["spec"]["misspelt"] = 1


def _old(document: Document) -> None:
    document["apiVersion"] = document["apiVersion"].partition("/")[0] + "/v1beta2"


@pytest.mark.parametrize("change", [_misspelt, _old])
@pytest.mark.parametrize("name", [*OVERLAYS, *COMPONENTS])
def test_what_a_server_refuses_is_found(
    rendering: Rendering, name: str, change: Callable[[Document], None]
) -> None:
    """A misspelt field, or a version that is not served, in any document with a spec."""
    for document in rendering(name).documents:
        if "spec" not in document or document["kind"] == "Namespace":
            continue
        changed = copy.deepcopy(document)
        change(changed)
        assert schema.findings(changed, schema.MINORS[0]), named(document)


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("KafkaTopic", ("spec", "partitions"), "twelve"),
        ("KafkaUser", ("spec", "authorization", "acls", 0, "operations"), ["Reed"]),
        ("PrometheusRule", ("spec", "groups", 0, "rules", 0, "labels"), {"severity": 1}),
        ("PodMonitor", ("spec", "podMetricsEndpoints", 0, "interval"), "often"),
        ("ScaledObject", ("spec", "minReplicas"), 2),
        ("ExternalSecret", ("spec", "secretStoreRef", "kind"), "Shop"),
        ("Deployment", ("spec", "template", "spec", "containers", 0, "imagePullPolice"), "Never"),
        ("PodDisruptionBudget", ("spec", "maxUnavailable"), {}),
    ],
)
def test_what_is_wrong_is_found_by_kind(
    rendering: Rendering, kind: str, path: tuple[str | int, ...], value: object
) -> None:
    """Values of the wrong type, outside an enumeration, or under a name of another tool."""
    document = next(
        copy.deepcopy(document)
        for name in (*OVERLAYS, *COMPONENTS)
        for document in rendering(name).of(kind)
    )
    assert schema.findings(document, schema.MINORS[0]) == []
    *way, last = path
    target: object = document
    for step in way:
        target = target[step]  # type: ignore[index]  # dictionaries and lists, by turns
    target[last] = value  # type: ignore[index]  # the same
    assert schema.findings(document, schema.MINORS[0])


def test_alerts_are_those_of_the_rules(prod: Manifests) -> None:
    """What the operator loads is what deploy/prometheus/rules has, whole."""
    written = {
        group["name"]: group
        for file in (ROOT / "deploy" / "prometheus" / "rules").glob("*.yaml")
        for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]
    }
    loaded = {
        group["name"]: group
        for rule in prod.of("PrometheusRule")
        for group in rule["spec"]["groups"]
    }
    assert written
    assert loaded.keys() == written.keys()
    assert [name for name in written if loaded[name] != written[name]] == []


def test_dashboards_are_those_of_grafana(prod: Manifests) -> None:
    """Grafana in the cluster shows what deploy/grafana/dashboards has, whole."""
    files = {file.name for file in (ROOT / "deploy" / "grafana" / "dashboards").glob("*.json")}
    shipped = {
        name
        for config in prod.of("ConfigMap")
        for name in config.get("data", {})
        if name.endswith(".json")
    }
    assert files
    assert shipped == files
