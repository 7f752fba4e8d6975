"""What the dashboards take from the alerting rules: runbooks and thresholds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from services.local.prometheus import shipped_rules

#: The few that Grafana evaluates itself.
MANAGED = Path(__file__).parent / "provisioning" / "alerting" / "rules.yaml"


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert of one name and severity."""

    name: str
    expr: str
    severity: str
    runbook_url: str


@cache
def rules() -> tuple[dict[str, Any], ...]:
    """Every recording and alerting rule of Prometheus, as it stands in the files."""
    files = [yaml.safe_load(file.read_text(encoding="utf-8")) for file in shipped_rules()]
    return tuple(rule for file in files for group in file["groups"] for rule in group["rules"])


@cache
def managed() -> tuple[dict[str, Any], ...]:
    """Every rule that Grafana evaluates itself."""
    file = yaml.safe_load(MANAGED.read_text(encoding="utf-8"))
    return tuple(rule for group in file["groups"] for rule in group["rules"])


@cache
def alerts() -> dict[str, list[Alert]]:
    """All alerts by name; one name may have several windows, and Grafana's have no PromQL."""
    found: dict[str, list[Alert]] = {}
    for rule in (*rules(), *managed()):
        name = rule.get("alert") or rule.get("title")
        if name:
            found.setdefault(name, []).append(
                Alert(
                    name,
                    rule.get("expr", ""),
                    rule["labels"]["severity"],
                    rule["annotations"]["runbook_url"],
                )
            )
    return found


def runbook_url(alert: str) -> str:
    """Where a person reads what to do.

    Raises:
        KeyError: There is no such alert.
    """
    return alerts()[alert][0].runbook_url


def runbooks_url() -> str:
    """Where all runbooks are listed, for what no alert watches."""
    first = next(iter(alerts().values()))[0]
    return f"{first.runbook_url.rpartition('/')[0]}/README.md"


def threshold(alert: str, of: str = "") -> float:
    """The number above which an alert fires, so that a panel's colour turns where it does.

    Comparisons by `>=` are guards (enough traffic), and no thresholds.

    Args:
        alert: Its name.
        of: Of several rules of this name, the one that reads this metric.

    Raises:
        ValueError: There is none, or more than one.
    """
    found = {
        float(number)
        for rule in alerts()[alert]
        if of in rule.expr
        for number in re.findall(r"> ([0-9.]+)", rule.expr)
    }
    if len(found) != 1:
        raise ValueError(f"{alert} compares with {sorted(found) or 'no number'}, not with one")
    return found.pop()
