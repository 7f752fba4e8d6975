"""What stands on Kafka: lag and how fast it drains, age, rebalances, producing, retries."""

from __future__ import annotations

from deploy.grafana.board import ALL, OF_RULES, SCHEDULER, Board, of_label
from deploy.grafana.panels import (
    RATE,
    Looks,
    Query,
    Row,
    columns,
    graph,
    quantiles,
    rows_of,
    watched,
)

_LAG = "lookup_consumer_lag:records"
_RULE = f'{OF_RULES},group=~"$group",topic=~"$topic"'
_TOPIC = f'{ALL},topic=~"$topic"'
_BY_TOPIC = f"namespace_group_topic:{_LAG}{{{_RULE}}}"
_BY_PARTITION = f"namespace_group_topic_partition:{_LAG}{{{_RULE}}}"
_PROGRESS = f"namespace_group_topic:lookup_consumer_progress:rate5m{{{_RULE}}}"

BOARD = Board(
    uid="kafka",
    title="Bulk Lookup / Kafka",
    says="What stands on Kafka, how fast it drains, and what goes wrong in writing and reading it.",
    variables=[
        of_label("group", "lookup_consumer_lag_records", ALL),
        of_label("topic", "lookup_consumer_lag_records", ALL),
    ],
    rows=[
        Row(
            "Lag",
            [
                graph(
                    "Lag by topic",
                    "Records between a group's place and the end of the topic. A large upload is a"
                    " backlog, and no fault: what counts is that it drains.",
                    "short",
                    Query(_BY_TOPIC, "{{group}} {{topic}}"),
                    looks=Looks(8, 8, alerts=("LookupConsumerLagDrainTooSlow",)),
                ),
                graph(
                    "Records done",
                    "By group and topic, over five minutes. 0 with a lag: the group stands.",
                    "cps",
                    Query(_PROGRESS, "{{group}} {{topic}}"),
                    looks=Looks(8, 8, alerts=("LookupConsumerGroupStalled",)),
                ),
                graph(
                    "Time until drained",
                    "Lag divided by what is done now. No line: there is no lag, or the group stands.",
                    "s",
                    Query(
                        f"{_BY_TOPIC} / ({_PROGRESS} > 0) > 0",
                        "{{group}} {{topic}}",
                    ),
                    looks=Looks(
                        8,
                        8,
                        alerts=("LookupConsumerLagDrainTooSlow",),
                        empty="No lag, or nothing is done: see the two panels beside",
                    ),
                ),
                rows_of(
                    "Partitions with the largest lag",
                    "One partition far above the others, whose position stays: the record at it is"
                    " what waits or fails.",
                    "short",
                    Query(f"topk(20, {_BY_PARTITION} > 0)"),
                    looks=Looks(
                        12,
                        8,
                        alerts=("LookupConsumerPartitionStuck",),
                        empty="No partition has a lag",
                    ),
                    shape=columns("group", "topic", "partition", value="lag"),
                ),
                graph(
                    "Partitions that stand",
                    "Partitions with a lag whose position has not moved for ten minutes.",
                    "short",
                    Query(
                        f"count by (group, topic) ({_BY_PARTITION} > 0 and changes("
                        "namespace_group_topic_partition:lookup_consumer_position:offset"
                        f"{{{_RULE}}}[10m]) == 0)",
                        "{{group}} {{topic}}",
                    ),
                    looks=Looks(
                        12,
                        8,
                        alerts=("LookupConsumerPartitionStuck", "LookupConsumerGroupStalled"),
                        empty="None stands, as it should be",
                    ),
                ),
            ],
        ),
        Row(
            "Reading",
            [
                graph(
                    "Age of records when taken",
                    "The oldest hundredth, by topic. As old as the backlog is long.",
                    "s",
                    Query(
                        "histogram_quantile(0.99, sum by (le, topic)"
                        f" (rate(lookup_consumer_record_age_seconds_bucket{{{_TOPIC}}}[{RATE}])))",
                        "{{topic}}",
                    ),
                    looks=Looks(8, 8, empty="Nothing was taken in this time"),
                ),
                graph(
                    "Records done with, by outcome",
                    "dropped: a redelivery whose turn had ended, as after a rebalance.",
                    "cps",
                    Query(
                        "sum by (topic, outcome)"
                        f" (rate(lookup_consumer_records_total{{{_TOPIC}}}[{RATE}])) > 0",
                        "{{topic}} {{outcome}}",
                    ),
                    looks=Looks(8, 8, empty="Nothing was done in this time"),
                    stacked=True,
                ),
                graph(
                    "Dead letters",
                    "By reason. `bulk-lookup dead-letters` shows them.",
                    "cps",
                    Query(
                        "sum by (reason)"
                        f" (rate(lookup_dead_letter_records_total{{{ALL}}}[{RATE}])) > 0",
                        "{{reason}}",
                    ),
                    looks=Looks(
                        8,
                        8,
                        alerts=("LookupDeadLetterBudgetBurn",),
                        empty="None in this time, as it should be",
                    ),
                    stacked=True,
                ),
                graph(
                    "Rebalances",
                    "Assignments in 15 minutes, by pod. A rollout makes some; more without one are"
                    " processes that lose their sessions.",
                    "short",
                    Query(
                        "sum by (pod) (increase(lookup_consumer_rebalances_total"
                        f'{{{ALL},event="assigned"}}[15m]))',
                        "{{pod}}",
                    ),
                    looks=watched("LookupConsumerRebalanceStorm", 12, 8, decimals=0),
                ),
                graph(
                    "Partitions assigned",
                    "By pod. 0 for long: the process is not in its group; see its log and `/readyz`.",
                    "short",
                    Query(
                        f"sum by (pod) (lookup_consumer_assigned_partitions{{{_TOPIC}}})",
                        "{{pod}}",
                    ),
                    looks=Looks(12, 8, least=0),
                    stacked=True,
                ),
            ],
        ),
        Row(
            "Writing",
            [
                graph(
                    "Records produced",
                    "By topic.",
                    "cps",
                    Query(
                        "sum by (topic)"
                        f' (rate(lookup_produce_records_total{{{_TOPIC},outcome="ok"}}[{RATE}]))'
                        " > 0",
                        "{{topic}}",
                    ),
                    looks=Looks(8, 8, empty="Nothing was produced in this time"),
                    stacked=True,
                ),
                graph(
                    "Share of tries that Kafka did not take",
                    "Tried again: a broker or a replica is missing. Refused: rights, topic or size;"
                    " the program stops.",
                    "percentunit",
                    Query(
                        "sum by (job) (rate(lookup_produce_records_total"
                        f'{{{_TOPIC},outcome=~"again|refused"}}[{RATE}])) / sum by (job)'
                        f" (rate(lookup_produce_records_total{{{_TOPIC}}}[{RATE}]) > 0)",
                        "{{job}}",
                    ),
                    looks=watched(
                        "LookupProduceFailing",
                        8,
                        8,
                        empty="Nothing was produced in this time, or all was taken at once",
                    ),
                ),
                graph(
                    "Duration of producing",
                    "Until all in-sync replicas have it. Slow: the brokers' disks or replication.",
                    "s",
                    *quantiles("lookup_produce_duration_seconds", _TOPIC),
                    looks=Looks(8, 8, empty="Nothing was produced in this time"),
                ),
            ],
        ),
        Row(
            "Retries",
            [
                graph(
                    "Retries put before lookup again",
                    "By topic, which says the delay.",
                    "cps",
                    Query(
                        "sum by (topic)"
                        f" (rate(scheduler_records_moved_total{{{SCHEDULER}}}[{RATE}]))",
                        "{{topic}}",
                    ),
                    looks=Looks(8, 8, empty="Nothing had to be tried again"),
                ),
                graph(
                    "Longest overdue retry",
                    "How long the oldest retry that the scheduler took has been due.",
                    "s",
                    Query(f"max(scheduler_overdue_seconds{{{SCHEDULER}}})"),
                    looks=watched("LookupRetriesLate", 8, 8),
                ),
                graph(
                    "Lateness of retries",
                    "How long after it was due a retry was put before lookup again.",
                    "s",
                    *quantiles("scheduler_lateness_seconds", SCHEDULER),
                    looks=Looks(
                        8,
                        8,
                        empty="Nothing had to be tried again in this time",
                    ),
                ),
            ],
        ),
    ],
)
