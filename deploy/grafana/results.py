"""What is stored, how fast, and what PostgreSQL says of the whole."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as model

from deploy.grafana.alerts import threshold
from deploy.grafana.board import RESULTS, Board
from deploy.grafana.panels import (
    RATE,
    Looks,
    Query,
    Row,
    bad_from,
    figure,
    graph,
    quantiles,
)
from deploy.grafana.pool import pool
from deploy.grafana.processes import processes
from deploy.grafana.slo import FRESH

#: The states of contacts that have not ended.
UNFINISHED = "pending|releasing|retrying|parked"
_HTTP = "results_http_request_duration_seconds"


def oldest_unfinished(width: int, height: int) -> model.Panel:
    """How near the oldest unfinished contact is to being forgotten by Kafka."""
    return figure(
        "Oldest unfinished, of what Kafka keeps",
        "Age of the oldest unfinished contact as a share of KAFKA_RETENTION. At 1 its record is gone"
        " from Kafka.",
        "percentunit",
        Query(
            f"max(lookup_oldest_unfinished_seconds{{{RESULTS}}})"
            f" / max(lookup_topic_retention_seconds{{{RESULTS}}})"
        ),
        looks=Looks(
            width,
            height,
            alerts=("LookupUnfinishedTooOld",),
            steps=bad_from(threshold("LookupUnfinishedTooOld")),
            decimals=1,
        ),
    )


def answer_to_row(width: int, height: int) -> model.Panel:
    """How long Twilio's answers take to PostgreSQL, beside their service level."""
    return graph(
        "Answer to row",
        "From Twilio's answer to its row in PostgreSQL. The line is the service level.",
        "s",
        *quantiles("results_answer_delay_seconds", RESULTS),
        looks=Looks(
            width,
            height,
            alerts=("LookupFreshnessBudgetBurn",),
            steps=bad_from(FRESH),
            empty="No answer was stored in this time",
        ),
    )


BOARD = Board(
    uid="results",
    title="Bulk Lookup / Results",
    says="What is stored in PostgreSQL, how fast, and what it says of the whole.",
    rows=[
        Row(
            "Storing",
            [
                graph(
                    "Records stored",
                    "By topic and what they did. unchanged: a redelivery. undecodable: bytes that"
                    " are no record, kept as they are.",
                    "cps",
                    Query(
                        "sum by (topic, outcome)"
                        f" (rate(results_records_written_total{{{RESULTS}}}[{RATE}])) > 0",
                        "{{topic}} {{outcome}}",
                    ),
                    looks=Looks(8, 8, empty="Nothing was stored in this time"),
                    stacked=True,
                ),
                answer_to_row(8, 8),
                graph(
                    "Transactions that failed",
                    "Each is tried again. PostgreSQL is away or refuses to write; or two processes"
                    " met, once in a while.",
                    "cps",
                    Query(
                        f"sum by (pod) (rate(results_write_errors_total{{{RESULTS}}}[{RATE}]))",
                        "{{pod}}",
                    ),
                    looks=Looks(8, 8, alerts=("ResultsWriteErrors",), least=0),
                ),
                graph(
                    "Duration of a transaction",
                    "Rows, history, counters and the place, together.",
                    "s",
                    *quantiles("results_batch_duration_seconds", RESULTS),
                    looks=Looks(8, 8, empty="Nothing was stored in this time"),
                ),
                graph(
                    "Lag",
                    "Records not stored yet. Lookup waits when it is far behind.",
                    "short",
                    Query(
                        f"sum by (topic) (lookup_consumer_lag_records{{{RESULTS}}})", "{{topic}}"
                    ),
                    looks=Looks(8, 8, alerts=("LookupConsumerLagDrainTooSlow",)),
                ),
                pool(RESULTS, 8, 8),
            ],
        ),
        Row(
            "Contacts",
            [
                graph(
                    "Unfinished, by state",
                    "pending: before lookup. retrying: mends itself. parked: held. releasing: being"
                    " given back.",
                    "short",
                    Query(
                        f'max by (state) (lookup_requests{{{RESULTS},state=~"{UNFINISHED}"}})',
                        "{{state}}",
                    ),
                    looks=Looks(8, 8, least=0),
                    stacked=True,
                ),
                graph(
                    "Ended, by state",
                    "Contacts over all time, by how they ended, and rows that are no number.",
                    "short",
                    Query(
                        f'max by (state) (lookup_requests{{{RESULTS},state!~"{UNFINISHED}"}})',
                        "{{state}}",
                    ),
                    looks=Looks(8, 8, least=0),
                    stacked=True,
                ),
                graph(
                    "From accepting to the end",
                    "Contacts that ended. The length of the backlog is in it, by intent.",
                    "s",
                    *quantiles("lookup_end_to_end_duration_seconds", RESULTS),
                    looks=Looks(8, 8, empty="Nothing ended in this time"),
                ),
                oldest_unfinished(8, 7),
                graph(
                    "Unfinished, and nothing happens",
                    "Contacts without an end that are not held, by how long nothing has happened to"
                    " them. With nothing left to read, `bulk-lookup reconcile` names them.",
                    "short",
                    Query(f"max by (age) (lookup_unterminated_requests{{{RESULTS}}})", "{{age}}"),
                    looks=Looks(8, 7, least=0, alerts=("LookupReconciliationGap",)),
                ),
                graph(
                    "Given back to lookup",
                    "Held contacts, once what held them is gone.",
                    "cps",
                    Query(f"sum(rate(results_requests_released_total{{{RESULTS}}}[{RATE}]))"),
                    looks=Looks(8, 7, least=0),
                ),
            ],
        ),
        Row(
            "HTTP",
            [
                graph(
                    "Requests",
                    "By route and status. 5xx: PostgreSQL does not answer; see `/readyz`.",
                    "reqps",
                    Query(
                        f"sum by (method, route, code) (rate({_HTTP}_count{{{RESULTS}}}[{RATE}]))",
                        "{{method}} {{route}} {{code}}",
                    ),
                    looks=Looks(12, 8, empty="No request has come yet"),
                    stacked=True,
                ),
                graph(
                    "Duration of requests",
                    "Slow: a query without its index, or PostgreSQL is busy.",
                    "s",
                    *quantiles(_HTTP, RESULTS),
                    looks=Looks(12, 8, empty="No request in this time"),
                ),
            ],
        ),
        processes(RESULTS),
    ],
)
