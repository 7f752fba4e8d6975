"""Measures that only PostgreSQL knows."""

from __future__ import annotations

import asyncio

from services.contracts.turns import State
from services.runtime.database import UNAVAILABLE, Pool
from services.runtime.logs import get_logger
from services.runtime.metrics import OLDEST_UNFINISHED, REQUESTS_BY_STATE

log = get_logger(__name__)
_PERIOD = 5.0

_OLDEST = """
SELECT coalesce(extract(epoch FROM now() - min(accepted_at)), 0)::float8
FROM requests
WHERE state IN ('pending', 'releasing', 'retrying', 'parked')"""

_STATES = """
SELECT state, sum(n)::bigint AS n
FROM job_counts
GROUP BY state"""


async def measure(pool: Pool) -> None:
    """Set the gauges once."""
    OLDEST_UNFINISHED.set(max(0.0, await pool.fetchval(_OLDEST)))
    counts = {row["state"]: row["n"] for row in await pool.fetch(_STATES)}
    for state in (*State, "rejected"):
        REQUESTS_BY_STATE.labels(state=state).set(counts.get(state, 0))


async def keep_measuring(pool: Pool) -> None:
    """Set the gauges every few seconds, until cancelled."""
    while True:
        try:
            await measure(pool)
        except UNAVAILABLE as error:
            log.warning("not measured: postgresql is away", reason=type(error).__name__)
        await asyncio.sleep(_PERIOD)
