"""Do contacts flow, and if not, where do they stop?"""

from __future__ import annotations

from deploy.grafana.board import (
    ALL,
    INGEST,
    LOOKUP,
    OF_RULES,
    OUR_ALERTS,
    RESULTS,
    RULES,
    SCHEDULER,
    Board,
)
from deploy.grafana.panels import (
    NONE_IS_GOOD,
    RATE,
    Looks,
    Query,
    Row,
    bars,
    columns,
    figure,
    good_from,
    graph,
    rows_of,
)
from deploy.grafana.results import UNFINISHED, answer_to_row, oldest_unfinished
from deploy.grafana.slo import BUDGET, OBJECTIVES


# Every results process measures all of PostgreSQL: the largest is the one answer.
def _in_state(states: str) -> str:
    one_each = f'max by (state) (lookup_requests{{{RESULTS},state=~"{states}"}})'
    return f"sum({one_each})"


def _lag(selector: str) -> str:
    return f"sum(lookup_consumer_lag_records{{{selector}}})"


_ENDED = f"sum(rate(lookup_end_to_end_duration_seconds_count{{{RESULTS}}}[{RATE}]))"
# What waits on purpose (retrying, parked) is nothing to do now; records not read yet are.
_READERS = f'{ALL},job!="bulk-lookup-scheduler"'
_TO_DO = f"{_in_state('pending|releasing')} + ({_lag(_READERS)} or vector(0))"
_PUT_OFF = _in_state("retrying|parked")
_SCALED = "kube_horizontalpodautoscaler_"
_SCALERS = f'{OF_RULES},horizontalpodautoscaler=~"(keda-hpa-)?(ingest|lookup|results)"'

_NOW = Row(
    "Do contacts flow?",
    [
        figure(
            "Flow",
            "STANDING: there is something to do, and nothing ends. Look at the hops from left to"
            " right: the first without a rate, or with a growing lag, is where contacts stop."
            " WAITING: all that is left waits for its retry, or is held: see Accounts stopped, and"
            " the states below. Idle: nothing is to be done.",
            "none",
            # 2 if anything ends, 1 if nothing is to be done now, 4 if something is put off.
            Query(
                f"2 * clamp_max(ceil({_ENDED}), 1) + ({_TO_DO} == bool 0)"
                f" + 4 * ({_PUT_OFF} > bool 0)",
                "flow",
            ),
            looks=Looks(
                4,
                5,
                alerts=("LookupConsumerGroupStalled",),
                empty="No metrics: results is away, or not scraped",
                words={
                    0: ("STANDING", "red"),
                    1: ("Idle", "blue"),
                    2: ("Flowing", "green"),
                    3: ("Flowing", "green"),
                    4: ("STANDING", "red"),
                    5: ("WAITING", "orange"),
                    6: ("Flowing", "green"),
                    7: ("Flowing", "green"),
                },
            ),
        ),
        figure(
            "Contacts in",
            "Contacts that ingest published to Kafka, from files and from contacts.inbound.",
            "cps",
            Query(f"sum(rate(ingest_contacts_accepted_total{{{INGEST}}}[{RATE}])) or vector(0)"),
            looks=Looks(3, 5),
        ),
        figure(
            "Calls to Twilio",
            "Calls that ended, with any outcome. None while contacts wait: see the accounts stopped,"
            " and what lookup waits for.",
            "reqps",
            Query(f"sum(rate(twilio_requests_total{{{LOOKUP}}}[{RATE}])) or vector(0)"),
            looks=Looks(3, 5, alerts=("TwilioErrorRatioHigh",)),
        ),
        figure(
            "Contacts ended",
            "Contacts whose end results stored: completed, invalid, dead or cancelled.",
            "cps",
            Query(f"{_ENDED} or vector(0)"),
            looks=Looks(3, 5),
        ),
        figure(
            "Unfinished",
            "Contacts known to results that have not ended, whatever they wait for.",
            "short",
            Query(_in_state(UNFINISHED)),
            looks=Looks(3, 5),
        ),
        figure(
            "Oldest unfinished",
            "Age of the contact that waits longest. Its share of what Kafka keeps stands below.",
            "s",
            Query(f"max(lookup_oldest_unfinished_seconds{{{RESULTS}}})"),
            looks=Looks(3, 5, alerts=("LookupUnfinishedTooOld",)),
        ),
        figure(
            "Accounts stopped",
            "Accounts that something holds: Twilio refuses them, too much failed, the budget is"
            " spent, or a person stopped them. Their contacts wait; nothing is lost.",
            "short",
            Query(
                "sum(max by (account)"
                f" (namespace_account_cause:twilio_account_held:max{{{OF_RULES}}}))"
            ),
            looks=Looks(
                3,
                5,
                alerts=(
                    "TwilioAccountStopped",
                    "TwilioAccountFlooded",
                    "TwilioAccountStopForgotten",
                ),
                steps=NONE_IS_GOOD,
                empty="No account: lookup is away, or not scraped",
            ),
        ),
        figure(
            "Alerts firing",
            "Our alerts that fire now; the table below names them. 0 also if Prometheus has not"
            " loaded the rules.",
            "short",
            Query(f'count(ALERTS{{alertstate="firing",{OUR_ALERTS},{RULES}}}) or vector(0)'),
            looks=Looks(2, 5, steps=NONE_IS_GOOD),
        ),
    ],
)

_WHERE = Row(
    "Where do they stand, and why?",
    [
        bars(
            "Where contacts stand",
            "Contacts that have not ended, and the dead. Pending: before lookup. Retrying: mends"
            " itself. Parked: held by an account, a package or a job. Dead: `bulk-lookup"
            " dead-letters` says why.",
            "short",
            *(
                Query(_in_state(state), state)
                for state in ("pending", "retrying", "releasing", "parked", "dead")
            ),
            looks=Looks(5, 8),
        ),
        bars(
            "Not read yet, by hop",
            "Records between each program's place and the end of its topics, in the order of the"
            " pipeline. The scheduler's are retries, most of which are not due.",
            "short",
            Query(_lag(INGEST), "1 ingest"),
            Query(_lag(LOOKUP), "2 lookup"),
            Query(_lag(SCHEDULER), "3 scheduler"),
            Query(_lag(RESULTS), "4 results"),
            looks=Looks(
                5, 8, alerts=("LookupConsumerLagDrainTooSlow", "LookupConsumerPartitionStuck")
            ),
        ),
        bars(
            "What lookup waits for",
            "Records taken, by what they wait for. paid_check: PostgreSQL. limiter: the account's"
            " limit, normal under load. hold: a stopped account. lease: Kafka. memory: results.",
            "short",
            Query(f"sum by (cause) (lookup_records_waiting{{{LOOKUP}}})", "{{cause}}"),
            looks=Looks(5, 8, empty="Nothing has waited yet"),
        ),
        oldest_unfinished(4, 8),
        bars(
            "Error budget left",
            "Of 30 days, by service level. Below 0 it is overspent: no risk is taken until it has"
            " grown again.",
            "percentunit",
            *(
                Query(f'min({BUDGET}{{slo="{slo}",{OF_RULES}}})', objective.title)
                for slo, objective in OBJECTIVES.items()
            ),
            looks=Looks(
                5,
                8,
                alerts=tuple(objective.alert for objective in OBJECTIVES.values()),
                steps=good_from(0, 0.25),
                least=0,
                most=1,
                empty="No event of this kind in 30 days",
            ),
        ),
        rows_of(
            "Firing alerts",
            "What fires now. Each has a runbook, docs/runbooks/NAME.md.",
            "none",
            Query(
                "group by (alertname, severity, service)"
                f' (ALERTS{{alertstate="firing",{OUR_ALERTS},{RULES}}})'
            ),
            looks=Looks(24, 5, empty="No alert is firing"),
            shape=columns("severity", "alertname", "service"),
        ),
    ],
)

_FLOW = Row(
    "The flow, hop by hop",
    [
        graph(
            "1 Ingest",
            "Contacts taken and rejected. All rejected: a wrong column or country.",
            "cps",
            Query(f"sum(rate(ingest_contacts_accepted_total{{{INGEST}}}[{RATE}]))", "accepted"),
            Query(f"sum(rate(ingest_contacts_rejected_total{{{INGEST}}}[{RATE}]))", "rejected"),
            looks=Looks(6, 8, empty="Nothing has come in yet"),
        ),
        graph(
            "2 Lookup",
            "Records done with, by outcome. dropped: a redelivery whose turn had ended.",
            "cps",
            Query(
                f"sum by (outcome) (rate(lookup_consumer_records_total{{{LOOKUP}}}[{RATE}]))",
                "{{outcome}}",
            ),
            looks=Looks(6, 8, empty="Nothing has been looked up yet"),
            stacked=True,
        ),
        graph(
            "3 Twilio",
            "Calls by outcome. rate-limit: lower TWILIO_CONCURRENCY. account-stop: the account is"
            " refused.",
            "reqps",
            Query(
                f"sum by (outcome) (rate(twilio_requests_total{{{LOOKUP}}}[{RATE}]))",
                "{{outcome}}",
            ),
            looks=Looks(
                6,
                8,
                alerts=("TwilioErrorRatioHigh", "TwilioThrottled"),
                empty="Twilio has not been asked yet",
            ),
            stacked=True,
        ),
        graph(
            "4 Results",
            "Contacts ended, by how. Only completed and invalid are answers.",
            "cps",
            Query(
                "sum by (state)"
                f" (rate(lookup_end_to_end_duration_seconds_count{{{RESULTS}}}[{RATE}]))",
                "{{state}}",
            ),
            looks=Looks(6, 8),
            stacked=True,
        ),
        graph(
            "Not read yet",
            "Records between each program's place and the end of its topics.",
            "short",
            *(
                Query(f"sum by (job) (lookup_consumer_lag_records{{{of}}})", "{{job}}")
                for of in (INGEST, LOOKUP, SCHEDULER, RESULTS)
            ),
            looks=Looks(6, 8, alerts=("LookupConsumerLagDrainTooSlow",)),
        ),
        graph(
            "Retries and holds",
            "Contacts put aside and given back. Retries come back by the scheduler, held ones by"
            " results.",
            "cps",
            Query(
                "sum by (outcome) (rate(lookup_consumer_records_total"
                f'{{{LOOKUP},outcome=~"retry|parked"}}[{RATE}]))',
                "to {{outcome}}",
            ),
            Query(f"sum(rate(scheduler_records_moved_total{{{SCHEDULER}}}[{RATE}]))", "retried"),
            Query(f"sum(rate(results_requests_released_total{{{RESULTS}}}[{RATE}]))", "released"),
            looks=Looks(6, 8),
        ),
        answer_to_row(6, 8),
        graph(
            "Dead letters",
            "Contacts and records given up, by reason. `bulk-lookup dead-letters` shows them.",
            "cps",
            Query(
                f"sum by (reason) (rate(lookup_dead_letter_records_total{{{ALL}}}[{RATE}])) > 0",
                "{{reason}}",
            ),
            looks=Looks(
                6,
                8,
                alerts=("LookupDeadLetterBudgetBurn",),
                empty="None in this time, as it should be",
            ),
            stacked=True,
        ),
    ],
)

_PROGRAMS = Row(
    "The programs",
    [
        graph(
            "Processes up",
            "Processes that Prometheus reaches, by program. A program that is missing here is gone"
            " or not scraped.",
            "short",
            Query(f"sum by (job) (up{{{ALL}}})", "{{job}}"),
            looks=Looks(6, 8, alerts=("LookupTargetMissing",), least=0),
        ),
        graph(
            "Age of processes",
            "Since each process started. A line that falls to 0 again and again is a process that"
            " cannot stay.",
            "s",
            Query(f"time() - process_start_time_seconds{{{ALL}}}", "{{pod}}"),
            looks=Looks(6, 8, alerts=("LookupProcessRestarting",)),
        ),
        rows_of(
            "Releases running",
            "Releases by program, and how many processes run each. Two of one program for long: a"
            " rollout hangs.",
            "short",
            Query(f"count by (service, version, revision) (lookup_build_info{{{ALL}}})"),
            looks=Looks(6, 8, alerts=("LookupVersionsMixed",)),
            shape=columns("service", "version", "revision", value="processes"),
        ),
        graph(
            "Kubernetes",
            "Autoscalers at their largest size, and failed migration jobs. Needs kube-state-metrics.",
            "short",
            Query(
                f"max by (horizontalpodautoscaler) ({_SCALED}status_current_replicas{{{_SCALERS}}})"
                " >= max by (horizontalpodautoscaler)"
                f" ({_SCALED}spec_max_replicas{{{_SCALERS}}})",
                "{{horizontalpodautoscaler}} at its largest",
            ),
            Query(
                "max by (job_name) (kube_job_failed"
                f'{{{OF_RULES},condition="true",job_name=~"migrate.*"}}) == 1',
                "{{job_name}} failed",
            ),
            looks=Looks(
                6,
                8,
                alerts=("LookupAutoscalerAtMax", "LookupMigrationFailed"),
                empty="Nothing at its limit, nothing failed; or no kube-state-metrics here",
            ),
        ),
        graph(
            "What programs wait for",
            "Processes that are not ready, by program and by what is missing; all 0 is well. Without"
            " a ready process of ingest nobody can upload. readyz of a pod says why.",
            "short",
            Query(
                f"sum by (job, condition) (lookup_unmet_conditions{{{ALL}}})",
                "{{job}}: {{condition}}",
            ),
            looks=Looks(24, 8, alerts=("LookupNotReady",), least=0),
        ),
    ],
)

BOARD = Board(
    uid="overview",
    title="Bulk Lookup / Overview",
    says="Do contacts flow, and if not, where do they stop?",
    rows=[_NOW, _WHERE, _FLOW, _PROGRAMS],
)
