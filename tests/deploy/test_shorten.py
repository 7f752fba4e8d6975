"""The rules that `make record-alerts` runs are those that ship, with shorter times."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.local.prometheus import shipped_rules
from tests.alerts.shorten import shorten

each_rules_file = pytest.mark.parametrize("file", shipped_rules(), ids=lambda file: file.name)


@pytest.mark.parametrize(
    ("line", "shorter"),
    [
        ("rate(x[10m])", "rate(x[10000ms])"),
        ("rate(x[5m])", "rate(x[8000ms])"),  # the floor
        ("max_over_time(x[1h:5m])", "max_over_time(x[60000ms:5m])"),
        ("x offset 1h", "x offset 60000ms"),
        ("        for: 5m", "        for: 5000ms"),
        ("    interval: 30s", "    interval: 1000ms"),
        ('x{topic="lookup.retry.5m"} > 3600', 'x{topic="lookup.retry.5m"} > 3600'),
        ("namespace:x:rate5m", "namespace:x:rate5m"),
        ("          summary: It has stood for: 5m", "          summary: It has stood for: 5m"),
    ],
)
def test_times_shrink_and_nothing_else(line: str, shorter: str) -> None:
    """Ranges down to the floor; names, labels, numbers and words stay."""
    assert shorten(line, 60, timedelta(seconds=8)) == shorter


def _without_times(rule: dict[str, Any]) -> dict[str, Any]:
    return rule | {
        "expr": re.sub(r"\[\w+\]|offset \w+", "[]", rule["expr"]),
        "for": None,
    }


@each_rules_file
def test_every_time_of_every_rule_is_found(file: Path) -> None:
    """However a file is laid out: none of the shipped times is left over, and no rule changes."""
    text = file.read_text(encoding="utf-8")
    before = yaml.safe_load(text)["groups"]
    after = yaml.safe_load(shorten(text, 60, timedelta(seconds=1)))["groups"]
    for old, new in zip(before, after, strict=True):
        assert new["interval"] == "1000ms" if old["interval"] == "30s" else new["interval"]
        assert new["interval"].endswith("ms")
        for rule, short in zip(old["rules"], new["rules"], strict=True):
            assert _without_times(short) == _without_times(rule)
            assert "for" not in rule or short["for"].endswith("ms")
            times = re.findall(r"\[(\w+)\]|offset (\w+)", short["expr"])
            assert all(time.endswith("ms") for found in times for time in found if time)
