"""Ends what would not end by itself while Kafka or PostgreSQL is away.

Their clients say goodbye before they close, and wait for an answer longer than a program
that stops may take. What they would still say nobody needs: a consumer that leaves its group
unheard is missed a session timeout later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

from services.runtime.logs import get_logger

log = get_logger(__name__)

#: Seconds that a part has to end, and then, cancelled, to let go.
_WITHIN = 3.0
_LET_GO = 1.0


async def end(what: str, ending: Awaitable[Any], within: float = _WITHIN) -> None:
    """Wait until a part of a program has ended, or leave it behind; what it raises is logged.

    Whoever calls has more to end, and `within` seconds for this part. A part may also cancel
    itself: aiokafka's consumer does, if it is stopped with a fetch under way that Kafka does not
    answer.
    """
    task = asyncio.ensure_future(ending)
    await asyncio.wait({task}, timeout=within)
    if not task.done():
        log.warning("not closed in time, left behind", what=what, seconds=within)
        task.cancel()
        await asyncio.wait({task}, timeout=_LET_GO)
    elif not task.cancelled() and (error := task.exception()) is not None:
        log.warning("not closed", what=what, reason=f"{type(error).__name__}: {error}")
