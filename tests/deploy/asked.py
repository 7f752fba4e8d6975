"""Every query that we ship, by a name of its own: of rules, of panels, and of PostgreSQL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from deploy.grafana.queries import every_query
from services.local.prometheus import shipped_rules
from tests.deploy.promql import answered, selectors

_WITHOUT_DATA = Path(__file__).with_name("queries_without_data.yaml")


def rule_files() -> dict[str, Any]:
    """The rule files as they stand, by name."""
    return {file.name: yaml.safe_load(file.read_text(encoding="utf-8")) for file in shipped_rules()}


def rules(files: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every rule, with its group's name."""
    for content in files.values():
        for group in content["groups"]:
            for rule in group["rules"]:
                yield group["name"], rule


def of_panels(language: str) -> dict[str, str]:
    """What every dashboard asks in `promql` or `sql`, for a range as long as a short run."""
    return _named(
        (query.name, query.filled_in(rate_interval="5m"))
        for query in every_query()
        if query.language == language
    )


def of_rules(files: dict[str, Any]) -> dict[str, str]:
    """What each rule asks, and apart from it each selector in it.

    Alerts are asked so that they answer while nothing is wrong. The selectors are asked by
    themselves because `or` hides a side that never answers.
    """
    asked = _named(
        (f"{group}: {rule.get('record') or rule['alert']}", answered(rule["expr"]))
        for group, rule in rules(files)
    )
    for _, rule in rules(files):
        asked |= {selector: selector for selector in selectors(rule["expr"])}
    return asked


def _named(queries: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Queries by name, those of one name counted from the second on."""
    seen: Counter[str] = Counter()
    named: dict[str, str] = {}
    for name, query in queries:
        seen[name] += 1
        named[name if seen[name] == 1 else f"{name} #{seen[name]}"] = query
    return named


def without_data() -> dict[str, str]:
    """The names of queries that a healthy run leaves empty, with the fault that fills each."""
    read: dict[str, str] = yaml.safe_load(_WITHOUT_DATA.read_text(encoding="utf-8")) or {}
    return read
