"""Every metric there is: its meaning, unit, labels, who exposes it, and what to do about it.

Labels are bounded: no number, account id or request id. `docs/reference/metrics.md` is
made from this file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

Service = Literal["ingest", "lookup", "scheduler", "results"]
ALL: tuple[Service, ...] = ("ingest", "lookup", "scheduler", "results")
M = TypeVar("M", bound=MetricWrapperBase)

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_CALL = (0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 2, 3, 5, 10, 30)
_LONG = (0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600, 14400, 86400)


@dataclass(frozen=True)
class Metric:
    """One metric, and what a person does when it looks wrong."""

    collector: MetricWrapperBase
    kind: str
    name: str
    help: str
    remedy: str
    labels: tuple[str, ...]
    services: tuple[Service, ...]


TABLE: list[Metric] = []


def _entry(collector: M, kind: str, name: str, text: str, remedy: str, services: str) -> M:
    chosen = tuple(s for s in ALL if s in services.split())
    labels = tuple(collector._labelnames)  # noqa: SLF001 - no public way to read them back
    TABLE.append(Metric(collector, kind, name, text, remedy, labels, chosen))
    return collector


def _counter(name: str, services: str, text: str, remedy: str, *labels: str) -> Counter:
    made = Counter(name, text, labels, registry=None)
    return _entry(made, "counter", name, text, remedy, services)


def _gauge(name: str, services: str, text: str, remedy: str, *labels: str) -> Gauge:
    made = Gauge(name, text, labels, registry=None)
    return _entry(made, "gauge", name, text, remedy, services)


def _histogram(
    name: str, services: str, text: str, remedy: str, buckets: tuple[float, ...], *labels: str
) -> Histogram:
    made = Histogram(name, text, labels, buckets=buckets, registry=None)
    return _entry(made, "histogram", name, text, remedy, services)


EVERY = "ingest lookup scheduler results"

BUILD_INFO = _gauge(
    "lookup_build_info",
    EVERY,
    "1, with the running release and revision as labels.",
    "More than one version for long: a rollout hangs; see the pods' readiness.",
    "service",
    "version",
    "revision",
)
PRODUCE_RECORDS = _counter(
    "lookup_produce_records_total",
    EVERY,
    "Records produced to Kafka, by outcome: ok, again (failed, tried again), refused.",
    "again: brokers or in-sync replicas are missing; refused: rights, topic or record size.",
    "topic",
    "outcome",
)
PRODUCE_DURATION = _histogram(
    "lookup_produce_duration_seconds",
    EVERY,
    "From producing a record to its acknowledgement by all in-sync replicas.",
    "Slow: look at the brokers' disks and replication.",
    _FAST,
    "topic",
)
CONSUMER_RECORDS = _counter(
    "lookup_consumer_records_total",
    EVERY,
    "Records done with, by outcome: ok, retry, parked, dead_letter, dropped (its turn had ended).",
    "Many dropped: redeliveries; look for rebalances and restarts.",
    "topic",
    "outcome",
)
CONSUMER_LAG = _gauge(
    "lookup_consumer_lag_records",
    EVERY,
    "Records between this consumer's place and the end of its partitions.",
    "Rising: compare with the account's limit before adding anything.",
    "topic",
)
CONSUMER_RECORD_AGE = _histogram(
    "lookup_consumer_record_age_seconds",
    EVERY,
    "Age of a record by its timestamp when it is taken.",
    "Old records: a backlog; see the lag.",
    _LONG,
    "topic",
)
CONSUMER_ASSIGNED = _gauge(
    "lookup_consumer_assigned_partitions",
    EVERY,
    "Partitions this process has been given.",
    "0 for long: the process is not in its group; see its log and readyz.",
    "topic",
)
CONSUMER_REBALANCES = _counter(
    "lookup_consumer_rebalances_total",
    EVERY,
    "Assignments and revocations of this consumer.",
    "Many: pods restart or lose their sessions; see memory and CPU.",
    "event",
)
INGEST_HTTP_DURATION = _histogram(
    "ingest_http_request_duration_seconds",
    "ingest",
    "HTTP requests by route and status.",
    "5xx: Kafka or PostgreSQL does not take it; see readyz.",
    (*_FAST, 30, 60, 300),
    "method",
    "route",
    "code",
)
RESULTS_HTTP_DURATION = _histogram(
    "results_http_request_duration_seconds",
    "results",
    "HTTP requests by route and status.",
    "5xx: PostgreSQL does not answer; see readyz. Slow: a query without its index.",
    (*_FAST, 30),
    "method",
    "route",
    "code",
)
INGEST_ACCEPTED = _counter(
    "ingest_contacts_accepted_total",
    "ingest",
    "Contacts published to Kafka, by way in: http, inbound.",
    "None while uploads come: see the rejected ones.",
    "way",
)
INGEST_REJECTED = _counter(
    "ingest_contacts_rejected_total",
    "ingest",
    "Contacts that cannot be a number, by way in and reason.",
    "Many of one reason: a wrong column or default country; see the job's rejected rows.",
    "way",
    "reason",
)
INGEST_SPOOL_BYTES = _gauge(
    "ingest_spool_bytes",
    "ingest",
    "Bytes of uploads on disk, waiting to be published.",
    "Near its limit new uploads get 503: Kafka is slow, or uploads are broken off.",
)
TWILIO_REQUESTS = _counter(
    "twilio_requests_total",
    "lookup",
    "Calls to Twilio, by account and class of the answer.",
    "rate_limit: lower TWILIO_CONCURRENCY; account_stop: see `bulk-lookup accounts`.",
    "account",
    "outcome",
)
TWILIO_DURATION = _histogram(
    "twilio_request_duration_seconds",
    "lookup",
    "From writing a call to its whole answer.",
    "Slow: Twilio or the network; see its status page.",
    _CALL,
    "account",
)
TWILIO_IN_FLIGHT = _gauge(
    "twilio_requests_in_flight",
    "lookup",
    "Calls sent whose outcome Kafka has not yet acknowledged.",
    "At the limit is normal under load.",
    "account",
)
TWILIO_LIMIT = _gauge(
    "twilio_concurrency_limit",
    "lookup",
    "This process's share of the account's limit of calls in flight.",
    "Less than wanted: partitions are spread over more processes than needed.",
    "account",
)
TWILIO_UNKNOWN_CODES = _counter(
    "twilio_unknown_codes_total",
    "lookup",
    "Answers with an error code that the table does not know.",
    "Look the code up at Twilio and add it to services/lookup/codes.json.",
    "place",
    "status",
)
TWILIO_BILLED = _counter(
    "twilio_billed_packages_total",
    "lookup",
    "Packages asked for in calls, by whether they were billed: yes, no, unknown.",
    "unknown: answers that never came whole; compare with Twilio's usage records.",
    "package",
    "billed",
)
ANSWERS_REUSED = _counter(
    "lookup_answers_reused_total",
    "lookup",
    "Packages answered without a call, from an earlier answer.",
    "None where a list is sent again: see the job's freshness.",
    "package",
)
ACCOUNT_HELD = _gauge(
    "twilio_account_held",
    "lookup results",
    "1 while something holds the account.",
    "`bulk-lookup accounts` says why; mend it, then `bulk-lookup accounts resume`.",
    "account",
)
LOOKUP_WAITING = _gauge(
    "lookup_records_waiting",
    "lookup",
    "Records taken, by what they wait for: paid_check, limiter, hold, lease, memory.",
    "Names what is slow or stopped.",
    "cause",
)
PAID_CHECK_DURATION = _histogram(
    "lookup_paid_check_duration_seconds",
    "lookup",
    "One statement that asks PostgreSQL what was paid.",
    "Slow: see PostgreSQL; no call is made without it.",
    _FAST,
)
BARRIER_DURATION = _histogram(
    "lookup_barrier_duration_seconds",
    "lookup",
    "From an assignment until results has stored all earlier outcomes of a partition.",
    "Long: results is behind or stopped; lookup waits for it.",
    _LONG,
)
MEMORY_RECORDS = _gauge(
    "lookup_memory_records",
    "lookup",
    "Outcomes acknowledged by Kafka that results has not stored yet.",
    "At its limit lookup waits: results is behind or stopped.",
)
DEAD_LETTERS = _counter(
    "lookup_dead_letter_records_total",
    "ingest lookup results",
    "Dead letters written, by reason.",
    "`bulk-lookup dead-letters` shows them and why; mend the cause.",
    "reason",
)
SCHEDULER_MOVED = _counter(
    "scheduler_records_moved_total",
    "scheduler",
    "Retries put before lookup again when due.",
    "None while retries wait: see its lag and log.",
    "topic",
)
SCHEDULER_LATENESS = _histogram(
    "scheduler_lateness_seconds",
    "scheduler",
    "How long after it was due a retry was put before lookup again.",
    "Late: the scheduler was away, or Kafka is slow.",
    (0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 60, 600, 3600),
)
RESULTS_WRITTEN = _counter(
    "results_records_written_total",
    "results",
    "Records stored, by topic and whether the row changed: changed, unchanged, undecodable.",
    "None while lookup works: see its log and PostgreSQL.",
    "topic",
    "outcome",
)
RESULTS_BATCH_DURATION = _histogram(
    "results_batch_duration_seconds",
    "results",
    "One transaction: rows, history, counters and the consumer's place.",
    "Slow: see PostgreSQL's locks and disk.",
    _FAST,
)
RESULTS_WRITE_ERRORS = _counter(
    "results_write_errors_total",
    "results",
    "Transactions that failed and are tried again.",
    "PostgreSQL is away, refuses writes, or two processes met.",
)
RESULTS_RELEASED = _counter(
    "results_requests_released_total",
    "results",
    "Held requests given back to lookup.",
    "None after a resume: see `bulk-lookup accounts` for other causes.",
)
OLDEST_UNFINISHED = _gauge(
    "lookup_oldest_unfinished_seconds",
    "results",
    "Age of the oldest request that is not finished.",
    "Near half the topics' retention: find what it waits for before Kafka forgets it.",
)
REQUESTS_BY_STATE = _gauge(
    "lookup_requests",
    "results",
    "Requests by state.",
    "Where contacts stand: parked needs a person, retrying mends itself.",
    "state",
)
END_TO_END = _histogram(
    "lookup_end_to_end_duration_seconds",
    "results",
    "From accepting a contact to its end in PostgreSQL.",
    "Rising: see which hop lags.",
    _LONG,
    "state",
)


def registry_for(service: Service) -> CollectorRegistry:
    """The metrics one service exposes, with those of its process."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    for metric in TABLE:
        if service in metric.services:
            registry.register(metric.collector)
    return registry
