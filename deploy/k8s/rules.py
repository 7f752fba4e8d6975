"""Writes the PrometheusRule of components/monitors: `python -m deploy.k8s.rules [--check]`.

Kustomize cannot put a file into a custom resource, so the rules that Prometheus itself reads
(deploy/prometheus/rules) are committed a second time, as the operator wants them. `--check`
changes nothing, and fails if the two differ.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from services.local.prometheus import shipped_rules

_ROOT = Path(__file__).parents[2]
RESOURCE = _ROOT / "deploy" / "k8s" / "components" / "monitors" / "rules.yaml"
_HEAD = "# Made from deploy/prometheus/rules by `make reference`: change them there.\n"


class _Dumper(yaml.SafeDumper):
    """Long expressions stay readable: text of several lines is written as such."""


def _write_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _write_text)


def resource(files: Iterable[Path]) -> str:
    """The resource with the groups of all files, in the order of their names, as YAML.

    Raises:
        ValueError: Two groups have one name, of which the operator would keep one.
    """
    groups: list[dict[str, Any]] = []
    for file in sorted(files):
        groups += yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]
    names = [group["name"] for group in groups]
    if len(set(names)) < len(names):
        raise ValueError(f"two groups of rules have one name: {sorted(names)}")
    labels = {"app.kubernetes.io/name": "bulk-lookup", "app.kubernetes.io/part-of": "bulk-lookup"}
    content = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "bulk-lookup", "labels": labels},
        "spec": {"groups": groups},
    }
    return _HEAD + yaml.dump(content, Dumper=_Dumper, sort_keys=False, width=100)


def main() -> None:
    """Write it, or with `--check` say whether it is up to date, by the exit code."""
    wanted = resource(shipped_rules())
    if sys.argv[1:] != ["--check"]:
        RESOURCE.write_text(wanted, encoding="utf-8")
        return
    if not RESOURCE.exists() or RESOURCE.read_text(encoding="utf-8") != wanted:
        sys.exit(f"{RESOURCE.relative_to(_ROOT)} is not what the rules make: make reference")


if __name__ == "__main__":
    main()
