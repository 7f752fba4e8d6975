"""Books kept outside the system: what each contact became, by results and by the ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

import asyncpg

from services.local.twilio.ledger import Call
from tests.pipeline.harness import Pipeline

PACKAGE = "line_type_intelligence"


def paid_again(calls: Iterable[Call]) -> int:
    """Whole answers for a paid package beyond the first, over all numbers of a test.

    The numbers of a test are all different and asked for once, so a second whole answer for
    one is a repeat.
    """
    answered = Counter((call.number, p) for call in calls for p in call.answered if p != "basic")
    return sum(count - 1 for count in answered.values())


def asked(calls: Iterable[Call]) -> set[str]:
    """The numbers that got a whole answer."""
    return {call.number for call in calls if PACKAGE in call.answered}


async def counters_and_rows(url: str, job: str) -> tuple[dict[str, int], dict[str, int]]:
    """A job's counters and its rows by state, read in one snapshot."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            counters = await connection.fetch(
                "SELECT state, n FROM job_counts WHERE job_id = $1 AND n > 0", job
            )
            rows = await connection.fetch(
                "SELECT state, count(*) AS n FROM requests WHERE job_id = $1 GROUP BY state", job
            )
    finally:
        await connection.close()
    return {r["state"]: r["n"] for r in counters}, {r["state"]: r["n"] for r in rows}


def assert_whole(pipeline: Pipeline, job: str, numbers: Collection[str]) -> None:
    """Nothing lost: every contact has its result, and was answered at Twilio."""
    assert pipeline.counts(job) == {"completed": len(numbers)}
    results = pipeline.results(job)
    assert sorted(result["phone"] for result in results) == sorted(numbers)
    assert asked(pipeline.calls()) == set(numbers)
