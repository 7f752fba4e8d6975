"""Kubernetes documents as parsed YAML, and the views of them that checks need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

Document = dict[str, Any]

#: The programs of ours, each a Deployment of its name.
PROGRAMS = ("ingest", "lookup", "scheduler", "results")
COMPONENT = "app.kubernetes.io/component"


def named(document: Document) -> str:
    """`Deployment/lookup`."""
    return f"{document['kind']}/{document['metadata']['name']}"


def matches(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Whether a label selector selects what has these labels; an empty one selects all."""
    selector = selector or {}
    wanted = selector.get("matchLabels", {})
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        _holds(expression, labels) for expression in selector.get("matchExpressions", [])
    )


def _holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = expression["key"], expression.get("values", [])
    return {
        "In": labels.get(key) in values,
        "NotIn": labels.get(key) not in values,
        "Exists": key in labels,
        "DoesNotExist": key not in labels,
    }[str(expression["operator"])]


@dataclass(frozen=True)
class Workload:
    """What makes pods: a Deployment, StatefulSet or Job."""

    document: Document

    @property
    def name(self) -> str:
        return named(self.document)

    @property
    def spec(self) -> Document:
        spec: Document = self.document["spec"]
        return spec

    @property
    def template(self) -> Document:
        template: Document = self.spec["template"]
        return template

    @property
    def labels(self) -> dict[str, str]:
        """The labels of its pods."""
        return dict(self.template["metadata"].get("labels", {}))

    @property
    def component(self) -> str:
        return self.labels.get(COMPONENT, "")

    @property
    def pod(self) -> Document:
        pod: Document = self.template["spec"]
        return pod

    @property
    def containers(self) -> list[Document]:
        """All of a pod's, those that only begin it too."""
        return [*self.pod.get("initContainers", []), *self.pod["containers"]]

    @property
    def main(self) -> Document:
        """The container that the pod is for."""
        container: Document = self.pod["containers"][0]
        return container

    @property
    def port_numbers(self) -> set[int]:
        return {
            port["containerPort"]
            for container in self.containers
            for port in container.get("ports", [])
        }

    @property
    def ports(self) -> set[int | str]:
        """What a port of its pods can be called, by number and by name."""
        names = {
            port["name"]
            for container in self.containers
            for port in container.get("ports", [])
            if "name" in port
        }
        return {*self.port_numbers, *names}


@dataclass(frozen=True)
class Manifests:
    """All documents of one rendering."""

    documents: tuple[Document, ...]

    def of(self, *kinds: str) -> Iterator[Document]:
        """The documents of these kinds."""
        return (document for document in self.documents if document["kind"] in kinds)

    @cached_property
    def workloads(self) -> tuple[Workload, ...]:
        """All that makes pods."""
        return tuple(
            Workload(found) for found in self.of("Deployment", "StatefulSet", "DaemonSet", "Job")
        )

    @property
    def programs(self) -> dict[str, Workload]:
        """The Deployments of our programs, by program."""
        found = {
            workload.document["metadata"]["name"]: workload
            for workload in self.workloads
            if workload.document["kind"] == "Deployment"
        }
        return {program: found[program] for program in PROGRAMS if program in found}

    def selected(self, selector: Mapping[str, Any] | None) -> list[Workload]:
        """The workloads whose pods a selector selects."""
        return [found for found in self.workloads if matches(selector, found.labels)]

    def data(self, kind: str, name: str) -> dict[str, str] | None:
        """What a ConfigMap or Secret of the rendering holds; of a Secret the values are hidden."""
        for document in self.of(kind):
            if document["metadata"]["name"] == name:
                held = {**document.get("data", {}), **document.get("stringData", {})}
                return dict.fromkeys(held, "") if kind == "Secret" else held
        return None

    def environment(self, container: Document) -> dict[str, str | None]:
        """The variables a container gets; None where a Secret has the value."""
        found: dict[str, str | None] = {}
        for source in container.get("envFrom", []):
            if "configMapRef" in source:
                found |= self.data("ConfigMap", source["configMapRef"]["name"]) or {}
            else:
                held = self.data("Secret", source["secretRef"]["name"]) or {}
                found |= dict.fromkeys(held)
        for variable in container.get("env", []):
            origin = variable.get("valueFrom", {})
            if "configMapKeyRef" in origin:
                reference = origin["configMapKeyRef"]
                held = self.data("ConfigMap", reference["name"]) or {}
                found[variable["name"]] = held.get(reference["key"])
            elif "secretKeyRef" in origin:
                found[variable["name"]] = None
            elif origin:
                found[variable["name"]] = "of-the-pod"
            else:
                found[variable["name"]] = variable.get("value", "")
        return found
