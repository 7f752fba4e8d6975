"""The metrics of Twilio's accounts: calls, limits, holds, and what is paid; part of the one table."""

from __future__ import annotations

from typing import get_args

from services.contracts.packages import Billed, Package
from services.runtime.metric_table import Table

_CALL = (0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 2, 3, 5, 10, 30)

_table = Table()
TWILIO_TABLE = _table.rows

TWILIO_REQUESTS = _table.counter(
    "twilio_requests_total",
    "lookup",
    "Calls to Twilio, by account and class of the answer.",
    "rate-limit: see twilio_concurrency_allowed; account-stop: see `bulk-lookup accounts`.",
    "account",
    "outcome",
)
TWILIO_PROBES = _table.counter(
    "twilio_probes_total",
    "lookup",
    "Free calls that ask whether a refused account is let in again, by class of the answer.",
    "Not rising while `refused` holds an account: nobody asks for it; see the runbook of "
    "TwilioProbeMissing.",
    "account",
    "outcome",
)
TWILIO_DURATION = _table.histogram(
    "twilio_request_duration_seconds",
    "lookup",
    "From writing a call to its whole answer.",
    "Slow: Twilio or the network; see its status page.",
    _CALL,
    "account",
)
TWILIO_IN_FLIGHT = _table.gauge(
    "twilio_requests_in_flight",
    "lookup",
    "Calls sent whose outcome Kafka has not yet acknowledged.",
    "At the limit is normal under load.",
    "account",
)
TWILIO_LIMIT = _table.gauge(
    "twilio_concurrency_limit",
    "lookup",
    "This process's share of the account's limit of calls in flight.",
    "Less than wanted: partitions are spread over more processes than needed.",
    "account",
)
TWILIO_ALLOWED = _table.gauge(
    "twilio_concurrency_allowed",
    "lookup",
    "Calls of the account this process may have in flight now: it rises to its share in use, and "
    "falls when calls are refused for the rate.",
    "Far below the share under load: Twilio allows less than TWILIO_CONCURRENCY; see "
    "TwilioThrottled.",
    "account",
)
PACKAGE_ALLOWED = _table.gauge(
    "twilio_package_concurrency_allowed",
    "lookup",
    "The same for calls that ask for a package; none until its provider has refused for the rate.",
    "Far below the share under load: ask Twilio for a higher limit of the package.",
    "account",
    "package",
)
TWILIO_UNKNOWN_CODES = _table.counter(
    "twilio_unknown_codes_total",
    "lookup",
    "Answers with an error code that the table does not know.",
    "Look the code up at Twilio and add it to services/lookup/codes.json.",
    "place",
    "status",
)
TWILIO_BILLED = _table.counter(
    "twilio_billed_packages_total",
    "lookup",
    "Packages asked for in calls, by whether they were billed: yes, no, unknown.",
    "unknown: answers that never came whole; compare with Twilio's usage records.",
    "package",
    "billed",
)
ANSWERS_REUSED = _table.counter(
    "lookup_answers_reused_total",
    "lookup",
    "Packages answered without a call, from an earlier answer.",
    "None where a list is sent again: see the job's freshness.",
    "package",
)
ACCOUNT_HELD = _table.gauge(
    "twilio_account_held",
    "lookup results",
    "1 while this cause holds the account, else 0; causes: refused, flood, person, budget.",
    "`bulk-lookup accounts` says why; mend it, then `bulk-lookup accounts resume`.",
    "account",
    "cause",
)
PACKAGE_HELD = _table.gauge(
    "twilio_package_held",
    "lookup results",
    "1 while a package of the account is held; 0 once it is not any more.",
    "`bulk-lookup accounts` says why; enable it at Twilio, then `bulk-lookup accounts resume`.",
    "account",
    "package",
)

# Known from the start, and so 0 from the start: a rate sees the first one, too.
for _package in Package:
    for _billed in get_args(Billed):
        TWILIO_BILLED.labels(package=_package, billed=_billed)
