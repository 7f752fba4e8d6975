"""Every metric there is: its meaning, unit, labels, who exposes it, and what to do about it.

Labels are bounded: no number, account id or request id. `docs/reference/metrics.md` is
made from this file.
"""

from __future__ import annotations

from typing import get_args

from prometheus_client import CollectorRegistry
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from services.contracts.messages import DeadReason
from services.contracts.turns import UNFINISHED, State
from services.runtime.metric_table import Service, Table
from services.runtime.twilio_metrics import TWILIO_TABLE

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_LONG = (0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600, 14400, 86400)

_table = Table()

EVERY = "ingest lookup scheduler results"

BUILD_INFO = _table.gauge(
    "lookup_build_info",
    EVERY,
    "1, with the running release and revision as labels.",
    "More than one version for long: a rollout hangs; see the pods' readiness.",
    "service",
    "version",
    "revision",
)
UNMET_CONDITIONS = _table.measured(
    "lookup_unmet_conditions",
    EVERY,
    "1 while the program waits for this condition of its readiness, else 0.",
    "1 for long: mend what it waits for; readyz has the reason.",
    "condition",
)
PRODUCE_RECORDS = _table.counter(
    "lookup_produce_records_total",
    EVERY,
    "Records produced to Kafka, by outcome: ok, again (failed, tried again), refused.",
    "again: brokers or in-sync replicas are missing; refused: rights, topic or record size.",
    "topic",
    "outcome",
)
PRODUCE_DURATION = _table.histogram(
    "lookup_produce_duration_seconds",
    EVERY,
    "From producing a record to its acknowledgement by all in-sync replicas.",
    "Slow: look at the brokers' disks and replication.",
    _FAST,
    "topic",
)
CONSUMER_RECORDS = _table.counter(
    "lookup_consumer_records_total",
    EVERY,
    "Records done with, by outcome: ok, retry, parked, dead_letter, dropped (its turn had ended).",
    "Many dropped: redeliveries; look for rebalances and restarts.",
    "topic",
    "outcome",
)
CONSUMER_LAG = _table.measured(
    "lookup_consumer_lag_records",
    EVERY,
    "Records between this consumer's position and the end of a partition, as last fetched.",
    "Rising: compare with the account's limit before adding anything.",
    "group",
    "topic",
    "partition",
)
CONSUMER_POSITION = _table.measured(
    "lookup_consumer_position_offset",
    EVERY,
    "Offset of the next record to be done with in a partition: committed, or stored by results.",
    "Still, while the lag is above 0: see what the record at this offset waits for.",
    "group",
    "topic",
    "partition",
)
CONSUMER_RECORD_AGE = _table.histogram(
    "lookup_consumer_record_age_seconds",
    EVERY,
    "Age of a record by its timestamp when it is taken.",
    "Old records: a backlog; see the lag.",
    _LONG,
    "topic",
)
CONSUMER_ASSIGNED = _table.measured(
    "lookup_consumer_assigned_partitions",
    EVERY,
    "Partitions this process has been given.",
    "0 for long: the process is not in its group; see its log and readyz.",
    "topic",
)
CONSUMER_REBALANCES = _table.counter(
    "lookup_consumer_rebalances_total",
    EVERY,
    "Assignments and revocations of this consumer.",
    "Many: pods restart or lose their sessions; see memory and CPU.",
    "event",
)
POOL_CONNECTIONS = _table.gauge(
    "lookup_database_pool_connections",
    "ingest lookup results",
    "Open connections to PostgreSQL, by state: used, idle.",
    "All used for long: statements are slow, or DATABASE_POOL_SIZE is too small.",
    "state",
)
POOL_MAX = _table.gauge(
    "lookup_database_pool_connections_max",
    "ingest lookup results",
    "Most connections to PostgreSQL that this process opens, DATABASE_POOL_SIZE.",
    "All processes' together must stay below max_connections of PostgreSQL.",
)
INGEST_HTTP_DURATION = _table.histogram(
    "ingest_http_request_duration_seconds",
    "ingest",
    "HTTP requests by route and status.",
    "5xx: Kafka or PostgreSQL does not take it; see readyz.",
    (*_FAST, 30, 60, 300),
    "method",
    "route",
    "code",
)
RESULTS_HTTP_DURATION = _table.histogram(
    "results_http_request_duration_seconds",
    "results",
    "HTTP requests by route and status.",
    "5xx: PostgreSQL does not answer; see readyz. Slow: a query without its index.",
    (*_FAST, 30),
    "method",
    "route",
    "code",
)
INGEST_ACCEPTED = _table.counter(
    "ingest_contacts_accepted_total",
    "ingest",
    "Contacts published to Kafka, by way in: http, inbound.",
    "None while uploads come: see the rejected ones.",
    "way",
)
INGEST_REJECTED = _table.counter(
    "ingest_contacts_rejected_total",
    "ingest",
    "Contacts that cannot be a number, by way in and reason.",
    "Many of one reason: a wrong column or default country; see the job's rejected rows.",
    "way",
    "reason",
)
INGEST_INBOUND_DURATION = _table.histogram(
    "ingest_inbound_duration_seconds",
    "ingest",
    "From taking records of contacts.inbound together to the acknowledgement of all outcomes.",
    "Slow: see how long producing takes, and this process's CPU.",
    _FAST,
)
INGEST_SPOOL_BYTES = _table.gauge(
    "ingest_spool_bytes",
    "ingest",
    "Bytes of uploads on disk, waiting to be published.",
    "Near its limit new uploads get 503: Kafka is slow, or uploads are broken off.",
)
INGEST_SPOOL_LIMIT = _table.gauge(
    "ingest_spool_limit_bytes",
    "ingest",
    "Most bytes of uploads on disk, SPOOL_LIMIT_BYTES.",
    "Too small for the uploads that come at a time: raise it, and the disk with it.",
)
LOOKUP_WAITING = _table.gauge(
    "lookup_records_waiting",
    "lookup",
    "Records taken, by what they wait for: paid_check, limiter, hold, lease, memory.",
    "Names what is slow or stopped.",
    "cause",
)
PAID_CHECK_DURATION = _table.histogram(
    "lookup_paid_check_duration_seconds",
    "lookup",
    "One statement that asks PostgreSQL what was paid.",
    "Slow: see PostgreSQL; no call is made without it.",
    _FAST,
)
BARRIER_DURATION = _table.histogram(
    "lookup_barrier_duration_seconds",
    "lookup",
    "From an assignment until results has stored all earlier outcomes of a partition.",
    "Long: results is behind or stopped; lookup waits for it.",
    _LONG,
)
BARRIER_WAITING = _table.gauge(
    "lookup_barrier_waiting_seconds",
    "lookup",
    "How long partitions have waited, since their assignment, for results; 0 while none do.",
    "Long: results is behind or stopped; see its lag and log.",
)
MEMORY_RECORDS = _table.gauge(
    "lookup_memory_records",
    "lookup",
    "Outcomes acknowledged by Kafka that results has not stored yet.",
    "At its limit lookup waits: results is behind or stopped.",
)
MEMORY_LIMIT = _table.gauge(
    "lookup_memory_limit_records",
    "lookup",
    "Most outcomes kept until results has stored them, MEMORY_LIMIT.",
    "Reached in normal work: results is too slow for lookup; raising it only helps for peaks.",
)
DEAD_LETTERS = _table.counter(
    "lookup_dead_letter_records_total",
    "ingest lookup results",
    "Dead letters written, by reason.",
    "`bulk-lookup dead-letters` shows them and why; mend the cause.",
    "reason",
)
SCHEDULER_MOVED = _table.counter(
    "scheduler_records_moved_total",
    "scheduler",
    "Retries put before lookup again when due.",
    "None while retries wait: see its lag and log.",
    "topic",
)
SCHEDULER_LATENESS = _table.histogram(
    "scheduler_lateness_seconds",
    "scheduler",
    "How long after it was due a retry was put before lookup again.",
    "Late: the scheduler was away, or Kafka is slow.",
    (0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 60, 600, 3600),
)
SCHEDULER_OVERDUE = _table.gauge(
    "scheduler_overdue_seconds",
    "scheduler",
    "How long the oldest retry that was taken has been due; 0 while none is.",
    "Rising: retries are not moved; see its log and whether Kafka takes records.",
)
RESULTS_WRITTEN = _table.counter(
    "results_records_written_total",
    "results",
    "Records stored, by topic and whether the row changed: changed, unchanged, undecodable.",
    "None while lookup works: see its log and PostgreSQL.",
    "topic",
    "outcome",
)
RESULTS_BATCH_DURATION = _table.histogram(
    "results_batch_duration_seconds",
    "results",
    "One transaction: rows, history, counters and the consumer's place.",
    "Slow: see PostgreSQL's locks and disk.",
    _FAST,
)
RESULTS_WRITE_ERRORS = _table.counter(
    "results_write_errors_total",
    "results",
    "Transactions that failed and are tried again.",
    "PostgreSQL is away, refuses writes, or two processes met.",
)
ANSWER_DELAY = _table.histogram(
    "results_answer_delay_seconds",
    "results",
    "From Twilio's answer to its row in PostgreSQL, of answers not stored before.",
    "Slow: see the lag of results, and how long a batch takes.",
    (0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 3600),
)
RESULTS_RELEASED = _table.counter(
    "results_requests_released_total",
    "results",
    "Held requests given back to lookup.",
    "None after a resume: see `bulk-lookup accounts` for other causes.",
)
OLDEST_UNFINISHED = _table.gauge(
    "lookup_oldest_unfinished_seconds",
    "results",
    "Age of the oldest request that is not finished.",
    "Near half the topics' retention: find what it waits for before Kafka forgets it.",
)
UNTERMINATED = _table.gauge(
    "lookup_unterminated_requests",
    "results",
    "Requests without an end that are not held, to which nothing has happened for longer than age.",
    "Of 1h while lookup has nothing left to read: `bulk-lookup reconcile` names them.",
    "age",
)
TOPIC_RETENTION = _table.gauge(
    "lookup_topic_retention_seconds",
    "results",
    "How long work topics keep records, KAFKA_RETENTION.",
    "Shorter than what is unfinished is old: records are lost.",
)
REQUESTS_BY_STATE = _table.gauge(
    "lookup_requests",
    "results",
    "Requests by state.",
    "Where contacts stand: parked needs a person, retrying mends itself.",
    "state",
)
END_TO_END = _table.histogram(
    "lookup_end_to_end_duration_seconds",
    "results",
    "From accepting a contact to its end in PostgreSQL.",
    "Rising: see which hop lags.",
    _LONG,
    "state",
)

# Known from the start, and so 0 from the start: a rate sees the first one, too.
for _reason in get_args(DeadReason):
    DEAD_LETTERS.labels(reason=_reason)
for _state in (state for state in State if state not in UNFINISHED):
    END_TO_END.labels(state=_state)

#: Every metric of every program.
TABLE = (*_table.rows, *TWILIO_TABLE)


def registry_for(service: Service) -> CollectorRegistry:
    """The metrics one service exposes, with those of its process."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    for metric in TABLE:
        if service in metric.services:
            registry.register(metric.collector)
    return registry
