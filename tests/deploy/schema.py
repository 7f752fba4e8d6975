"""Checks a Kubernetes document against the schema of its kind, fields that are not in it refused."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from tests.deploy.documents import Document

#: The minor that is current, and the two before it.
MINORS = ("1.37", "1.36", "1.35")
CUSTOM = Path(__file__).parent / "schemas"

Validator = Draft202012Validator


def findings(document: Document, minor: str) -> list[str]:
    """What a server of this minor would refuse, each with its place; empty if nothing."""
    validator = custom_validator(document["kind"]) or _validator(
        document["kind"], document["apiVersion"], minor
    )
    if validator is None:
        return [f"Kubernetes {minor} has no {document['apiVersion']} {document['kind']}"]
    return [
        f"{'.'.join(map(str, error.path))}: {error.message}"
        for error in validator.iter_errors(document)
    ]


@cache
def custom_validator(kind: str) -> Validator | None:
    """Of a custom resource, or None where we have no schema for the kind."""
    file = CUSTOM / f"{kind.lower()}.json"
    if not file.exists():
        return None
    return Draft202012Validator(json.loads(file.read_text(encoding="utf-8")))


@cache
def _validator(kind: str, api_version: str, minor: str) -> Validator | None:
    group, _, version = api_version.rpartition("/")
    name = "-".join(filter(None, [kind.lower(), group.partition(".")[0], version]))
    schema = _read(minor, f"{name}.json")
    if schema is None:
        return None
    registry: Registry[Any] = _definitions(minor) @ Registry()
    return Draft202012Validator(schema, registry=registry)


@cache
def _definitions(minor: str) -> Resource[Any]:
    return Resource.from_contents(_read(minor, "_definitions.json"))


def _read(minor: str, name: str) -> Any:
    """One file of the package kubernetes-validate, which carries the schemas of all minors."""
    file = (
        files("kubernetes_validate") / "kubernetes-json-schema" / f"v{minor}.0-local-strict" / name
    )
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None
