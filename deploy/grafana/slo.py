"""The service levels: how fast their budgets burn, and what is left of them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from deploy.grafana.alerts import alerts, rules
from deploy.grafana.board import OF_RULES, Board
from deploy.grafana.panels import Looks, Query, Row, bad_from, figure, good_from, graph

BUDGET = "namespace_slo:lookup_slo_error_budget_remaining:ratio"
_OBJECTIVE = "slo:lookup_slo_objective:ratio"
_ERRORS = "namespace_slo:lookup_slo_errors"
_WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")


@dataclass(frozen=True, slots=True)
class Objective:
    """A service level, in words, and the alert that watches its budget."""

    title: str
    says: str
    alert: str


OBJECTIVES = {
    "ingest-availability": Objective(
        "Ingest answers",
        "Requests to ingest that did not fail for a reason of ours.",
        "IngestAvailabilityBudgetBurn",
    ),
    "ingest-latency": Objective(
        "Ingest is fast",
        "Records of contacts.inbound that were on Kafka in time; file uploads stand apart.",
        "IngestLatencyBudgetBurn",
    ),
    "freshness": Objective(
        "Answers are fresh",
        "Twilio's answers that were in PostgreSQL in time.",
        "LookupFreshnessBudgetBurn",
    ),
    "completeness": Objective(
        "Contacts are completed",
        "Contacts that ended, and not as dead letters.",
        "LookupDeadLetterBudgetBurn",
    ),
}


def _number(record: str, slo: str, pattern: str) -> float:
    """The number that stands in the expression of a recording rule."""
    (found,) = {
        float(number)
        for rule in rules()
        if rule.get("record") == record and rule["labels"]["slo"] == slo
        for number in re.findall(pattern, rule["expr"])
    }
    return found


#: Seconds from Twilio's answer to its row that the service level allows.
FRESH = _number(f"{_ERRORS}:rate5m", "freshness", r'le="([0-9.]+)"')
#: Seconds from contacts.inbound to Kafka that the service level allows.
INGEST_SLOW = _number(f"{_ERRORS}:rate5m", "ingest-latency", r'le="([0-9.]+)"')


def _burns(alert: str) -> tuple[float, float]:
    """The smallest and the largest burn at which an alert's windows fire."""
    found = [
        float(number)
        for rule in alerts()[alert]
        for number in re.findall(r"([0-9.]+) \*", rule.expr)
    ]
    return min(found), max(found)


def _row(slo: str, objective: Objective) -> Row:
    of = f'slo="{slo}",{OF_RULES}'
    aim = _number(_OBJECTIVE, slo, r"(0\.[0-9]+)")
    name = objective.title.lower()
    # The largest burn that an alert allows in its longest window, and in its shortest.
    slowest, fastest = _burns(objective.alert)
    return Row(
        f"{objective.title}: {aim * 100:g} % of 30 days",
        [
            figure(
                f"Budget left: {name}",
                f"{objective.says} Below 0 it is overspent: no risk is taken until it has grown"
                " again.",
                "percentunit",
                Query(f"{BUDGET}{{{of}}}"),
                looks=Looks(
                    4,
                    8,
                    alerts=(objective.alert,),
                    steps=good_from(0, 0.25),
                    decimals=1,
                    empty="No event of this kind in 30 days",
                ),
            ),
            graph(
                f"Burn: {name}",
                "How many times as fast as allowed the budget is spent, by window. At 1 it lasts 30"
                " days. The lines are where the slowest and the fastest alert look.",
                "none",
                *(
                    Query(
                        f"{_ERRORS}:ratio_rate{window}{{{of}}}"
                        f' / on (slo) group_left () (1 - {_OBJECTIVE}{{slo="{slo}"}})',
                        window,
                    )
                    for window in _WINDOWS
                ),
                looks=Looks(
                    12,
                    8,
                    alerts=(objective.alert,),
                    steps=bad_from(slowest, fastest),
                    least=0,
                    empty="No event of this kind yet",
                ),
            ),
            graph(
                f"Events: {name}",
                "All, and those that count against the budget.",
                "cps",
                Query(f"namespace_slo:lookup_slo_events:rate5m{{{of}}}", "all"),
                Query(f"{_ERRORS}:rate5m{{{of}}}", "bad"),
                looks=Looks(8, 8, least=0, empty="No event of this kind yet"),
            ),
        ],
    )


BOARD = Board(
    uid="slo",
    title="Bulk Lookup / Service levels",
    says="How fast the budgets of the service levels burn, and what is left of them.",
    rows=[_row(slo, objective) for slo, objective in OBJECTIVES.items()],
    since="now-24h",
    refresh="1m",
)
