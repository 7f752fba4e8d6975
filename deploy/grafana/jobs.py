"""How each job gets on, from PostgreSQL: by id only, without a number or a name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deploy.grafana.board import Board
from deploy.grafana.panels import Looks, Row, Sql, bars, graph, rows_of

_NOT_READ = "No row: has nothing been sent, or may Grafana not read PostgreSQL?"

# The newest fifty, each with its counters, and its last end by one look into an index a state.
_PROGRESS = """
SELECT j.created_at, j.job_id, j.source, j.account, j.state,
       coalesce(c.done / nullif(c.known, 0), 0)::float8 AS completion,
       c.known, c.completed, c.invalid, c.dead, c.waiting, c.parked, c.rejected, l.last_end
FROM (
    SELECT job_id, source, account, state, created_at
    FROM jobs ORDER BY created_at DESC, job_id DESC LIMIT 50
) j
CROSS JOIN LATERAL (
    SELECT coalesce(sum(n) FILTER (WHERE state <> 'rejected'), 0) AS known,
           coalesce(sum(n) FILTER (WHERE state NOT IN
               ('pending', 'releasing', 'retrying', 'parked', 'rejected')), 0) AS done,
           coalesce(sum(n) FILTER (WHERE state = 'completed'), 0)::bigint AS completed,
           coalesce(sum(n) FILTER (WHERE state = 'invalid'), 0)::bigint AS invalid,
           coalesce(sum(n) FILTER (WHERE state = 'dead'), 0)::bigint AS dead,
           coalesce(sum(n) FILTER (WHERE state IN
               ('pending', 'releasing', 'retrying')), 0)::bigint AS waiting,
           coalesce(sum(n) FILTER (WHERE state = 'parked'), 0)::bigint AS parked,
           coalesce(sum(n) FILTER (WHERE state = 'rejected'), 0)::bigint AS rejected
    FROM job_counts WHERE job_id = j.job_id
) c
CROSS JOIN LATERAL (
    SELECT max(newest.ended_at) AS last_end
    FROM unnest('{completed,invalid,dead,cancelled}'::text[]) AS ending (state)
    CROSS JOIN LATERAL (
        SELECT r.ended_at FROM requests r
        WHERE r.job_id = j.job_id AND r.state = ending.state AND r.ended_at IS NOT NULL
        ORDER BY r.ended_at DESC LIMIT 1
    ) newest
) l
ORDER BY j.created_at DESC, j.job_id DESC"""

_STATES = """
SELECT coalesce(sum(n) FILTER (WHERE state = 'pending'), 0)::bigint AS pending,
       coalesce(sum(n) FILTER (WHERE state = 'retrying'), 0)::bigint AS retrying,
       coalesce(sum(n) FILTER (WHERE state = 'releasing'), 0)::bigint AS releasing,
       coalesce(sum(n) FILTER (WHERE state = 'parked'), 0)::bigint AS parked,
       coalesce(sum(n) FILTER (WHERE state = 'completed'), 0)::bigint AS completed,
       coalesce(sum(n) FILTER (WHERE state = 'invalid'), 0)::bigint AS invalid,
       coalesce(sum(n) FILTER (WHERE state = 'dead'), 0)::bigint AS dead,
       coalesce(sum(n) FILTER (WHERE state = 'cancelled'), 0)::bigint AS cancelled,
       coalesce(sum(n) FILTER (WHERE state = 'rejected'), 0)::bigint AS rejected
FROM job_counts"""

_BY_HOUR = """
SELECT date_trunc('hour', ended_at) AS time, state AS metric, count(*)::float8 AS value
FROM requests
WHERE state IN ('completed', 'invalid', 'dead', 'cancelled') AND $__timeFilter(ended_at)
GROUP BY 1, 2
ORDER BY 1, 2"""

_BY_DAY = """
SELECT date_trunc('day', ended_at) AS time,
       package || CASE WHEN reused THEN ', reused' ELSE ', billed: ' || coalesce(billed, 'unknown') END
           AS metric,
       count(*)::float8 AS value
FROM package_outcomes
WHERE state IN ('completed', 'invalid', 'dead', 'cancelled') AND $__timeFilter(ended_at)
GROUP BY 1, 2
ORDER BY 1, 2"""

_BY_CODE = """
SELECT package, status, coalesce(code, 'none') AS code, count(*) AS n, max(ended_at) AS newest
FROM package_outcomes
WHERE has_failures AND status <> 'ok' AND $__timeFilter(ended_at)
GROUP BY 1, 2, 3
ORDER BY n DESC
LIMIT 50"""

_BY_REASON = """
SELECT reason, count(*) AS n, max(recorded_at) AS newest
FROM dead_letters
WHERE $__timeFilter(recorded_at)
GROUP BY reason
ORDER BY n DESC"""

_LAST = """
SELECT ended_at, job_id, request_id, account, attempts%s
FROM requests
WHERE state = '%s' AND ended_at IS NOT NULL
ORDER BY ended_at DESC
LIMIT 20"""

_HELD = "SELECT key, at FROM holds WHERE held ORDER BY at LIMIT 100"

_AGO: Mapping[str, Any] = {"unit": "dateTimeFromNow"}
_COUNT: Mapping[str, Any] = {"unit": "locale", "custom.width": 95}
_ID: Mapping[str, Any] = {"unit": "string", "custom.width": 310}
_GAUGE: Mapping[str, Any] = {
    "unit": "percentunit",
    "min": 0,
    "max": 1,
    "custom.cellOptions": {"type": "gauge", "mode": "basic"},
    "custom.width": 180,
}

BOARD = Board(
    uid="jobs",
    title="Bulk Lookup / Jobs",
    says="How each job gets on, what it cost and what failed, from PostgreSQL. By id only: numbers,"
    " names and references cannot be read here.",
    since="now-7d",
    refresh="5m",
    postgresql=True,
    rows=[
        Row(
            "Progress",
            [
                rows_of(
                    "Progress by job",
                    "The newest fifty jobs. A job with waiting contacts and an old last end stands:"
                    " parked ones wait for a person, waiting ones for lookup.",
                    "locale",
                    Sql(_PROGRESS),
                    looks=Looks(24, 11, alerts=("LookupJobPassedOver",), empty=_NOT_READ),
                    cells={
                        "created_at": _AGO,
                        "job_id": _ID,
                        "source": {"unit": "string"},
                        "account": {"unit": "string"},
                        "state": {"unit": "string", "custom.width": 95},
                        "completion": _GAUGE,
                        "last_end": _AGO,
                    }
                    | dict.fromkeys(
                        (
                            *("known", "completed", "invalid", "dead"),
                            *("waiting", "parked", "rejected"),
                        ),
                        _COUNT,
                    ),
                ),
            ],
        ),
        Row(
            "All jobs",
            [
                bars(
                    "Rows by state",
                    "Of all jobs, over all time. rejected: rows that are no number.",
                    "locale",
                    Sql(_STATES),
                    looks=Looks(8, 9, empty=_NOT_READ),
                ),
                graph(
                    "Contacts ended by hour",
                    "By how they ended. An hour without a bar: nothing ended in it.",
                    "short",
                    Sql(_BY_HOUR),
                    looks=Looks(8, 9, empty="Nothing ended in this time"),
                    stacked=True,
                    in_bars=True,
                ),
                graph(
                    "Packages by day, and what was billed",
                    "Packages of the contacts that ended on the day (UTC). reused: from an earlier"
                    " answer, without a call. unknown: compare with Twilio's usage records.",
                    "short",
                    Sql(_BY_DAY),
                    looks=Looks(8, 9, empty="Nothing ended in this time"),
                    stacked=True,
                    in_bars=True,
                ),
            ],
        ),
        Row(
            "What failed, and what is held",
            [
                rows_of(
                    "Failed packages by code",
                    "Packages that brought no answer, by Twilio's code.",
                    "locale",
                    Sql(_BY_CODE),
                    looks=Looks(9, 8, empty="No package failed in this time"),
                    cells={"code": {"unit": "string"}, "newest": _AGO},
                ),
                rows_of(
                    "Dead letters by reason",
                    "`bulk-lookup dead-letters` shows them, each with its attempts.",
                    "locale",
                    Sql(_BY_REASON),
                    looks=Looks(
                        8,
                        8,
                        alerts=("LookupDeadLetterBudgetBurn",),
                        empty="No dead letter in this time",
                    ),
                    cells={"newest": _AGO},
                ),
                rows_of(
                    "What is held",
                    "Accounts, packages and jobs that are held. `bulk-lookup accounts` and"
                    " `bulk-lookup status JOB` say why.",
                    "string",
                    Sql(_HELD),
                    looks=Looks(
                        7,
                        8,
                        alerts=(
                            "TwilioAccountStopped",
                            "TwilioAccountFlooded",
                            "TwilioPackageStopped",
                        ),
                        empty="Nothing is held",
                    ),
                    cells={"at": _AGO},
                ),
                rows_of(
                    "Last completed",
                    "`bulk-lookup results JOB` shows what came of a job.",
                    "locale",
                    Sql(_LAST % ("", "completed")),
                    looks=Looks(12, 9, empty="Nothing was completed yet"),
                    cells={"ended_at": _AGO, "job_id": _ID, "request_id": _ID},
                ),
                rows_of(
                    "Last dead",
                    "With the last error: Twilio's code, or a word for it.",
                    "locale",
                    Sql(_LAST % (", last_error", "dead")),
                    looks=Looks(12, 9, empty="Nothing has died"),
                    cells={
                        "ended_at": _AGO,
                        "job_id": _ID,
                        "request_id": _ID,
                        "last_error": {"unit": "string"},
                    },
                ),
            ],
        ),
    ],
)
