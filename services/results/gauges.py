"""Measures that only PostgreSQL knows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from services.contracts.turns import State
from services.runtime.database import UNAVAILABLE, Pool
from services.runtime.logs import get_logger
from services.runtime.metrics import OLDEST_UNFINISHED, REQUESTS_BY_STATE, UNTERMINATED

log = get_logger(__name__)
_PERIOD = 5.0
#: It reads a row for each contact of a backlog.
_UNTERMINATED_PERIOD = 60.0

_OLDEST = """
SELECT coalesce(extract(epoch FROM now() - min(accepted_at)), 0)::float8
FROM requests
WHERE state IN ('pending', 'releasing', 'retrying', 'parked')"""

_STATES = """
SELECT state, sum(n)::bigint AS n
FROM job_counts
GROUP BY state"""


# A retry that is not due yet waits as it should.
_UNTERMINATED = """
SELECT count(*) FILTER (WHERE stands_since < now() - interval '5 minutes') AS "5m",
       count(*) FILTER (WHERE stands_since < now() - interval '1 hour') AS "1h"
FROM (
    SELECT greatest(updated_at, due_at) AS stands_since
    FROM requests
    WHERE state IN ('pending', 'releasing', 'retrying', 'parked') AND state <> 'parked'
      AND accepted_at < now() - interval '5 minutes'
) AS unfinished"""


async def measure(pool: Pool) -> None:
    """Set the gauges once."""
    OLDEST_UNFINISHED.set(max(0.0, await pool.fetchval(_OLDEST)))
    counts = {row["state"]: row["n"] for row in await pool.fetch(_STATES)}
    for state in (*State, "rejected"):
        REQUESTS_BY_STATE.labels(state=state).set(counts.get(state, 0))


async def measure_unterminated(pool: Pool) -> None:
    """Count once the requests that nothing happens to."""
    (counts,) = await pool.fetch(_UNTERMINATED)
    for age, count in counts.items():
        UNTERMINATED.labels(age=age).set(count)


async def keep_measuring(pool: Pool) -> None:
    """Set the gauges every few seconds, or minutes if they cost more, until cancelled."""
    await asyncio.gather(
        _keep(partial(measure, pool), _PERIOD),
        _keep(partial(measure_unterminated, pool), _UNTERMINATED_PERIOD),
    )


async def _keep(set_gauges: Callable[[], Awaitable[None]], period: float) -> None:
    while True:
        try:
            await set_gauges()
        except UNAVAILABLE as error:
            log.warning("not measured: postgresql is away", reason=type(error).__name__)
        await asyncio.sleep(period)
