"""The shipped rules, read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from tests.deploy.asked import rule_files

Rule = Mapping[str, Any]


def groups() -> Iterator[dict[str, Any]]:
    """Every group of rules."""
    for content in rule_files().values():
        yield from content["groups"]


def alerts() -> list[dict[str, Any]]:
    """Every alerting rule."""
    return [rule for group in groups() for rule in group["rules"] if "alert" in rule]


def records() -> list[dict[str, Any]]:
    """Every recording rule."""
    return [rule for group in groups() for rule in group["rules"] if "record" in rule]


def seconds(duration: str) -> float:
    """Of a duration with one unit, as rules have them."""
    unit = {"s": 1, "m": 60, "h": 3600, "d": 86400}[duration[-1]]
    return timedelta(seconds=int(duration[:-1]) * unit).total_seconds()
