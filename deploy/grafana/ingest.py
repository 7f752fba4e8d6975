"""What comes in: requests, contacts, what is refused, and how fast Kafka takes it."""

from __future__ import annotations

from deploy.grafana.alerts import threshold
from deploy.grafana.board import INGEST, Board
from deploy.grafana.panels import RATE, Looks, Query, Row, bad_from, figure, graph, quantiles
from deploy.grafana.pool import pool
from deploy.grafana.processes import processes
from deploy.grafana.slo import INGEST_SLOW

_HTTP = "ingest_http_request_duration_seconds"
# Probes ask for nothing: a program that is not ready answers them with 503.
_API = f'{INGEST},route=~"/v1/.+"'
_ASKED = f"sum(rate({_HTTP}_count{{{_API}}}[{RATE}]))"
_FAILED = f'sum(rate({_HTTP}_count{{{_API},code=~"5.."}}[{RATE}]))'

BOARD = Board(
    uid="ingest",
    title="Bulk Lookup / Ingest",
    says="What comes in, what is refused, and how fast Kafka takes it.",
    rows=[
        Row(
            "Contacts",
            [
                graph(
                    "Contacts accepted",
                    "Published to Kafka, by way in.",
                    "cps",
                    Query(
                        f"sum by (way) (rate(ingest_contacts_accepted_total{{{INGEST}}}[{RATE}]))",
                        "{{way}}",
                    ),
                    looks=Looks(8, 8, empty="Nothing has come in yet"),
                    stacked=True,
                ),
                graph(
                    "Contacts rejected",
                    "Rows that cannot be a number, by reason. Many of one reason: a wrong column or"
                    " default country; `bulk-lookup rejected JOB` shows them.",
                    "cps",
                    Query(
                        "sum by (reason)"
                        f" (rate(ingest_contacts_rejected_total{{{INGEST}}}[{RATE}]))",
                        "{{reason}}",
                    ),
                    looks=Looks(8, 8, empty="None, as it should be"),
                    stacked=True,
                ),
                graph(
                    "From contacts.inbound to Kafka",
                    "From taking records of contacts.inbound to the acknowledgement of what came of"
                    " them. The line is the service level.",
                    "s",
                    *quantiles("ingest_inbound_duration_seconds", INGEST),
                    looks=Looks(
                        8,
                        8,
                        alerts=("IngestLatencyBudgetBurn",),
                        steps=bad_from(INGEST_SLOW),
                        empty="Nothing came by contacts.inbound in this time",
                    ),
                ),
            ],
        ),
        Row(
            "HTTP",
            [
                graph(
                    "Requests",
                    "By route and status. 5xx: Kafka or PostgreSQL does not take it; `/readyz` says"
                    " which.",
                    "reqps",
                    Query(
                        f"sum by (method, route, code) (rate({_HTTP}_count{{{INGEST}}}[{RATE}]))",
                        "{{method}} {{route}} {{code}}",
                    ),
                    looks=Looks(
                        8,
                        8,
                        alerts=("IngestAvailabilityBudgetBurn",),
                        empty="No request has come yet",
                    ),
                    stacked=True,
                ),
                graph(
                    "Share of 5xx",
                    "Requests to the API that failed for a reason of ours, of all.",
                    "percentunit",
                    Query(f"({_FAILED} or 0 * {_ASKED}) / {_ASKED}", "failed"),
                    looks=Looks(
                        8,
                        8,
                        alerts=("IngestAvailabilityBudgetBurn",),
                        least=0,
                        empty="No request in this time",
                    ),
                ),
                graph(
                    "Duration of requests",
                    "Uploads among them, which take as long as their files are.",
                    "s",
                    *quantiles(_HTTP, INGEST),
                    looks=Looks(8, 8, empty="No request in this time"),
                ),
            ],
        ),
        Row(
            "What it needs",
            [
                figure(
                    "Spool, of its limit",
                    "Uploads on disk that Kafka has not taken yet, of SPOOL_LIMIT_BYTES. At 1 new"
                    " uploads get 503.",
                    "percentunit",
                    Query(
                        f"max(ingest_spool_bytes{{{INGEST}}}"
                        f" / ingest_spool_limit_bytes{{{INGEST}}})"
                    ),
                    looks=Looks(
                        4,
                        8,
                        alerts=("IngestSpoolNearlyFull",),
                        steps=bad_from(threshold("IngestSpoolNearlyFull")),
                        decimals=0,
                    ),
                ),
                graph(
                    "Records produced",
                    "By outcome. again: a broker or a replica is missing. refused: rights, topic or"
                    " size; the program stops.",
                    "cps",
                    Query(
                        "sum by (topic, outcome)"
                        f" (rate(lookup_produce_records_total{{{INGEST}}}[{RATE}])) > 0",
                        "{{topic}} {{outcome}}",
                    ),
                    looks=Looks(
                        7,
                        8,
                        alerts=("LookupProduceFailing",),
                        empty="Nothing produced in this time",
                    ),
                    stacked=True,
                ),
                graph(
                    "Duration of producing",
                    "Until all in-sync replicas have it. Slow: the brokers' disks or replication.",
                    "s",
                    *quantiles("lookup_produce_duration_seconds", INGEST),
                    looks=Looks(6, 8, empty="Nothing produced in this time"),
                ),
                pool(INGEST, 7, 8),
            ],
        ),
        processes(INGEST),
    ],
)
