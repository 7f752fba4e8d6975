"""Writes the JSON schemas of the custom resources we use, from their projects' own definitions.

By hand, with Go at hand: `python tests/deploy/schemas/generate.py`. The definitions come from
the Go modules named below, all under the Apache License 2.0. What is written is stricter than
they are in one way (a field that is not defined is refused, as a server does with
`kubectl apply --validate=strict`) and looser in another (rules in CEL are left out), and has
neither descriptions nor status. The schemas of Strimzi are in no registry: they are written
by hand.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

DIRECTORY = Path(__file__).parent


@dataclass(frozen=True)
class Source:
    """Where a definition is: a Go module with its version, and a file in it."""

    module: str
    file: str
    version: str


SOURCES = (
    Source(
        "github.com/prometheus-operator/prometheus-operator@v0.85.0",
        "example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml",
        "v1",
    ),
    Source(
        "github.com/prometheus-operator/prometheus-operator@v0.85.0",
        "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
        "v1",
    ),
    Source(
        "github.com/kedacore/keda/v2@v2.21.0",
        "config/crd/bases/keda.sh_scaledobjects.yaml",
        "v1alpha1",
    ),
    Source(
        "github.com/kedacore/keda/v2@v2.21.0",
        "config/crd/bases/keda.sh_triggerauthentications.yaml",
        "v1alpha1",
    ),
    Source(
        "github.com/external-secrets/external-secrets@v1.3.2",
        "config/crds/bases/external-secrets.io_externalsecrets.yaml",
        "v1",
    ),
)
#: What a validator of JSON Schema reads; the rest is for servers and people.
_KEPT = frozenset(
    {"type", "enum", "pattern", "required", "minimum", "maximum", "minLength", "maxLength"}
    | {"minItems", "maxItems", "minProperties", "maxProperties"}
)


def strict(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema of a custom resource as JSON Schema that refuses what it does not name."""
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    kept: dict[str, Any] = {key: value for key, value in schema.items() if key in _KEPT}
    if schema.get("nullable"):
        kept["type"] = [kept["type"], "null"]
    if "properties" in schema:
        kept["properties"] = {name: strict(part) for name, part in schema["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            kept["additionalProperties"] = False
    if isinstance(schema.get("additionalProperties"), dict):
        kept["additionalProperties"] = strict(schema["additionalProperties"])
    if "items" in schema:
        kept["items"] = strict(schema["items"])
    return kept


def resource_schema(definition: dict[str, Any], version: str, source: str) -> dict[str, Any]:
    """The schema of a whole resource, from its CustomResourceDefinition."""
    spec = definition["spec"]
    [found] = [one for one in spec["versions"] if one["name"] == version]
    schema = strict(found["schema"]["openAPIV3Schema"])
    schema["properties"].pop("status", None)
    schema["properties"] |= {
        "apiVersion": {"const": f"{spec['group']}/{version}"},
        "kind": {"const": spec["names"]["kind"]},
        "metadata": {"type": "object", "required": ["name"]},
    }
    schema["required"] = ["apiVersion", "kind", "metadata", "spec"]
    return {"$comment": f"From {source}, Apache License 2.0, by generate.py.", **schema}


def _download(module: str, cache: str) -> Path:
    command = ["go", "mod", "download", "-json", module]
    environ = {"GOPATH": cache, "GOFLAGS": "-mod=mod -modcacherw"}
    done = subprocess.run(
        ["/usr/bin/env", *(f"{name}={value}" for name, value in environ.items()), *command],
        check=True,
        capture_output=True,
        cwd=cache,
    )
    return Path(json.loads(done.stdout)["Dir"])


def main() -> None:
    """Write every schema anew."""
    with tempfile.TemporaryDirectory() as cache:
        for source in SOURCES:
            file = _download(source.module, cache) / source.file
            definition = yaml.safe_load(file.read_text(encoding="utf-8"))
            schema = resource_schema(definition, source.version, f"{source.module}, {source.file}")
            kind = definition["spec"]["names"]["kind"]
            target = DIRECTORY / f"{kind.lower()}.json"
            target.write_text(json.dumps(schema, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
