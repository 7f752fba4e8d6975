"""Every query of the dashboards as they are committed, for whoever wants to run them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

DASHBOARDS = Path(__file__).with_name("dashboards")


@dataclass(frozen=True, slots=True)
class Asked:
    """A query as it stands in a dashboard: of a panel, of an annotation, or of a variable."""

    dashboard: str
    place: str
    language: Literal["promql", "sql"]
    text: str

    @property
    def name(self) -> str:
        """Where it stands, for people."""
        return f"{self.dashboard}: {self.place}"

    def filled_in(
        self,
        namespace: str = "local",
        rate_interval: str = "1m",
        since: str = "now() - interval '7 days'",
    ) -> str:
        """With values for Grafana's variables: all of a label, and in SQL all `since` then."""
        text = re.sub(r"\$__timeFilter\((\w+)\)", rf"\1 BETWEEN {since} AND now()", self.text)
        text = text.replace("$__rate_interval", rate_interval).replace("$namespace", namespace)
        return re.sub(r"\$[a-z]+", ".*", text)


def dashboards() -> dict[str, dict[str, Any]]:
    """The committed dashboards, by the name of their file without its ending."""
    return {
        file.stem: json.loads(file.read_text(encoding="utf-8"))
        for file in sorted(DASHBOARDS.glob("*.json"))
    }


def asked(dashboard: dict[str, Any]) -> Iterator[Asked]:
    """Every query of one dashboard."""
    uid = dashboard["uid"]
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            place = f"{panel['title']} ({target['refId']})"
            if "expr" in target:
                yield Asked(uid, place, "promql", target["expr"])
            else:
                yield Asked(uid, place, "sql", target["rawSql"])
    for annotation in dashboard["annotations"]["list"]:
        yield Asked(uid, f"annotation {annotation['name']}", "promql", annotation["expr"])
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            found = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"])
            if found is None:
                raise ValueError(f"{uid}: the variable {variable['name']} asks for no label")
            # What the data source asks for it, as a query of its own.
            text = f"group by ({found[2]}) ({found[1]})"
            yield Asked(uid, f"variable {variable['name']}", "promql", text)


def every_query() -> list[Asked]:
    """Every query of every committed dashboard."""
    return [query for dashboard in dashboards().values() for query in asked(dashboard)]
