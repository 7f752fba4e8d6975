"""What Twilio says, how fast, at which cost, and what holds the accounts."""

from __future__ import annotations

from deploy.grafana.alerts import threshold
from deploy.grafana.board import LOOKUP, OF_RULES, Board, of_label
from deploy.grafana.panels import (
    NONE_IS_GOOD,
    RATE,
    Looks,
    Query,
    Row,
    bad_from,
    columns,
    figure,
    graph,
    quantiles,
    rows_of,
    watched,
)
from deploy.grafana.pool import pool
from deploy.grafana.processes import processes

_ACCOUNT = f'{LOOKUP},account=~"$account"'
_PACKAGE = f'{LOOKUP},package=~"$package"'
_OF_ACCOUNT = f'{OF_RULES},account=~"$account"'


def _share(outcomes: str) -> str:
    """Calls with one of these outcomes, of all; 0 where there were others only."""
    calls = f"sum by (account) (rate(twilio_requests_total{{{_ACCOUNT}}}[{RATE}]))"
    such = calls.replace(_ACCOUNT, f'{_ACCOUNT},outcome=~"{outcomes}"')
    return f"({such} or {calls} * 0) / {calls}"


BOARD = Board(
    uid="twilio",
    title="Bulk Lookup / Twilio",
    says="What Twilio says, how fast, at which cost, and what holds the accounts.",
    variables=[
        of_label("account", "twilio_account_held", LOOKUP),
        of_label("package", "twilio_billed_packages_total", LOOKUP),
    ],
    rows=[
        Row(
            "Accounts",
            [
                figure(
                    "Accounts stopped",
                    "Accounts that something holds. Their contacts wait; nothing is lost.",
                    "short",
                    Query(
                        "sum(max by (account)"
                        f" (namespace_account_cause:twilio_account_held:max{{{_OF_ACCOUNT}}}))"
                    ),
                    looks=Looks(
                        3,
                        7,
                        alerts=(
                            "TwilioAccountStopped",
                            "TwilioAccountFlooded",
                            "TwilioAccountStopForgotten",
                        ),
                        steps=NONE_IS_GOOD,
                    ),
                ),
                rows_of(
                    "What holds them",
                    "refused: Twilio refuses the account. flood: too much failed for good. budget:"
                    " it is spent. person: somebody stopped it. `bulk-lookup accounts` says why.",
                    "none",
                    Query(f"namespace_account_cause:twilio_account_held:max{{{_OF_ACCOUNT}}} == 1"),
                    looks=Looks(
                        7,
                        7,
                        alerts=(
                            "TwilioAccountStopped",
                            "TwilioAccountFlooded",
                            "TwilioAccountStopForgotten",
                        ),
                        empty="No account is held",
                    ),
                    shape=columns("account", "cause"),
                ),
                rows_of(
                    "Packages held",
                    "Packages that an account may not use, or whose quota is used up.",
                    "none",
                    Query(
                        f"namespace_account_package:twilio_package_held:max{{{_OF_ACCOUNT}}} == 1"
                    ),
                    looks=Looks(7, 7, alerts=("TwilioPackageStopped",), empty="No package is held"),
                    shape=columns("account", "package"),
                ),
                graph(
                    "Use of the limit",
                    "Calls out, of the account's limit, over 15 minutes. Near 1 with a backlog is as"
                    " it should be: the account is the ceiling.",
                    "percentunit",
                    Query(
                        f"namespace_account:twilio_utilisation:avg15m{{{_OF_ACCOUNT}}}",
                        "{{account}}",
                    ),
                    looks=Looks(
                        7,
                        7,
                        alerts=("LookupConsumerLagDrainTooSlow",),
                        least=0,
                        most=1,
                        empty="No account runs",
                    ),
                ),
                graph(
                    "Probes",
                    "Free calls that ask whether a refused account is let in again. ok: it is, and"
                    " goes on.",
                    "short",
                    Query(
                        "sum by (account, outcome)"
                        f" (increase(twilio_probes_total{{{_ACCOUNT}}}[15m])) > 0",
                        "{{account}} {{outcome}}",
                    ),
                    looks=watched(
                        "TwilioProbeMissing", 24, 6, empty="No account is refused, as it should be"
                    ),
                ),
            ],
        ),
        Row(
            "Calls",
            [
                graph(
                    "Calls by outcome",
                    "ok and invalid are answers. rate-limit: lower TWILIO_CONCURRENCY, do not add"
                    " processes.",
                    "reqps",
                    Query(
                        f"sum by (outcome) (rate(twilio_requests_total{{{_ACCOUNT}}}[{RATE}]))",
                        "{{outcome}}",
                    ),
                    looks=Looks(
                        8,
                        8,
                        alerts=("TwilioErrorRatioHigh", "TwilioThrottled"),
                        empty="Twilio has not been asked yet",
                    ),
                    stacked=True,
                ),
                graph(
                    "Share of transient errors",
                    "Calls that brought no answer for a reason that may pass, of all.",
                    "percentunit",
                    Query(_share("transient"), "{{account}}"),
                    looks=watched(
                        "TwilioErrorRatioHigh", 8, 8, empty="Twilio was not asked in this time"
                    ),
                ),
                graph(
                    "Share of refusals for the rate",
                    "Calls that Twilio refused because there were too many, of all.",
                    "percentunit",
                    Query(_share("rate-limit|package-rate-limit"), "{{account}}"),
                    looks=watched(
                        "TwilioThrottled", 8, 8, empty="Twilio was not asked in this time"
                    ),
                ),
                graph(
                    "Duration of calls",
                    "From writing a call to its whole answer.",
                    "s",
                    *quantiles("twilio_request_duration_seconds", _ACCOUNT),
                    looks=Looks(8, 8, empty="Twilio was not asked in this time"),
                ),
                graph(
                    "Calls out, and the limit",
                    "Over all processes. allowed: what may be out now, less than the limit after"
                    " refusals for the rate; of a package only after such of its own.",
                    "short",
                    Query(
                        f"sum by (account) (twilio_requests_in_flight{{{_ACCOUNT}}})",
                        "{{account}} out",
                    ),
                    Query(
                        f"sum by (account) (twilio_concurrency_limit{{{_ACCOUNT}}})",
                        "{{account}} limit",
                    ),
                    Query(
                        f"sum by (account) (twilio_concurrency_allowed{{{_ACCOUNT}}})",
                        "{{account}} allowed",
                    ),
                    Query(
                        "sum by (account, package)"
                        f" (twilio_package_concurrency_allowed{{{_ACCOUNT}}})",
                        "{{account}} {{package}} allowed",
                    ),
                    looks=Looks(
                        8,
                        8,
                        alerts=("TwilioAllowsLess",),
                        least=0,
                        empty="No account is in use yet",
                    ),
                ),
                graph(
                    "Error codes that are not known",
                    "Answers with a code that services/lookup/codes.json lacks, in an hour.",
                    "short",
                    Query(
                        "sum by (place, status)"
                        f" (increase(twilio_unknown_codes_total{{{LOOKUP}}}[1h])) > 0",
                        "{{place}} {{status}}",
                    ),
                    looks=Looks(
                        8,
                        8,
                        alerts=("TwilioUnknownErrorCode",),
                        empty="None, as it should be",
                    ),
                ),
            ],
        ),
        Row(
            "Cost",
            [
                graph(
                    "Packages asked for, and billed",
                    "yes: billed. no: without cost. unknown: the answer never came whole; compare"
                    " with Twilio's usage records.",
                    "cps",
                    Query(
                        "sum by (package, billed) (rate(twilio_billed_packages_total"
                        f"{{{_PACKAGE}}}[{RATE}])) > 0",
                        "{{package}} {{billed}}",
                    ),
                    looks=Looks(8, 8, empty="Nothing was asked for in this time"),
                    stacked=True,
                ),
                graph(
                    "Share of packages not known to be billed",
                    "Packages in an hour whose answer never came whole, of all.",
                    "percentunit",
                    Query(
                        "sum by (package) (increase(twilio_billed_packages_total"
                        f'{{{_PACKAGE},billed="unknown"}}[1h])) / sum by (package)'
                        f" (increase(twilio_billed_packages_total{{{_PACKAGE}}}[1h]) > 0)",
                        "{{package}}",
                    ),
                    looks=watched(
                        "TwilioBillingUncertain", 8, 8, empty="Nothing was asked for in the hour"
                    ),
                ),
                graph(
                    "Answered without a call",
                    "Packages taken from an earlier answer: paid once.",
                    "cps",
                    Query(
                        "sum by (package) (rate(lookup_answers_reused_total"
                        f"{{{_PACKAGE}}}[{RATE}]))",
                        "{{package}}",
                    ),
                    looks=Looks(8, 8, empty="Nothing was asked for twice"),
                ),
            ],
        ),
        Row(
            "What lookup waits for",
            [
                graph(
                    "Records waiting",
                    "By what they wait for. limiter is normal under load; any other, high for long,"
                    " is what is slow or stopped.",
                    "short",
                    Query(f"sum by (cause) (lookup_records_waiting{{{LOOKUP}}})", "{{cause}}"),
                    looks=Looks(
                        6,
                        8,
                        empty="Nothing has waited yet",
                    ),
                    stacked=True,
                ),
                graph(
                    "Asking PostgreSQL what was paid",
                    "One statement for all that wait. No call is made without it.",
                    "s",
                    *quantiles("lookup_paid_check_duration_seconds", LOOKUP),
                    looks=Looks(6, 8, empty="It was not asked in this time"),
                ),
                graph(
                    "Waiting for results after an assignment",
                    "How long partitions have waited until results stored what was written before.",
                    "s",
                    Query(f"max by (pod) (lookup_barrier_waiting_seconds{{{LOOKUP}}})", "{{pod}}"),
                    looks=Looks(
                        6,
                        8,
                        alerts=("LookupWaitingForResults",),
                        steps=bad_from(
                            threshold("LookupWaitingForResults", "lookup_barrier_waiting_seconds")
                        ),
                        least=0,
                    ),
                ),
                graph(
                    "Memory of outcomes, of its limit",
                    "Outcomes that results has not stored yet, of MEMORY_LIMIT. At 1 lookup waits.",
                    "percentunit",
                    Query(
                        f"max by (pod) (lookup_memory_records{{{LOOKUP}}}"
                        f" / lookup_memory_limit_records{{{LOOKUP}}})",
                        "{{pod}}",
                    ),
                    looks=Looks(6, 8, alerts=("LookupWaitingForResults",), least=0, most=1),
                ),
                pool(LOOKUP, 24, 6),
            ],
        ),
        processes(LOOKUP),
    ],
)
