"""Measures that only PostgreSQL knows, on a real one."""

from __future__ import annotations

from datetime import timedelta

from services.results.gauges import measure_unterminated
from services.runtime.database import Pool
from services.runtime.metrics import UNTERMINATED

ADD = """
INSERT INTO requests (request_id, job_id, source, account, phone, packages, accepted_at, state,
    generation, turn, updated_at, due_at)
VALUES (gen_random_uuid(), gen_random_uuid(), 'tests', 'main', '+14155550100', '{basic}',
    now() - interval '1 day', $1, 0, 1, now() - $2::interval, now() - $3::interval)"""
SECOND, MINUTES, HOURS = timedelta(seconds=1), timedelta(minutes=10), timedelta(hours=2)


async def test_requests_that_nothing_happens_to(pool: Pool) -> None:
    """By how long nothing has: what is held, not due yet, ended or moves is none of them."""
    for state, changed, due in (
        ("pending", HOURS, None),
        ("releasing", MINUTES, None),
        ("retrying", HOURS, HOURS),
        ("retrying", HOURS, -MINUTES),
        ("pending", SECOND, None),
        ("parked", HOURS, None),
        ("completed", HOURS, None),
    ):
        await pool.execute(ADD, state, changed, due)
    await measure_unterminated(pool)
    counts = {age: UNTERMINATED.labels(age=age)._value.get() for age in ("5m", "1h")}
    assert counts == {"5m": 3, "1h": 2}
