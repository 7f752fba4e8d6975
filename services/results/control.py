"""Holds as PostgreSQL shows them: what was last read from `lookup.control`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime

from services.contracts.control import ACCOUNT_CAUSES, account_key, account_of
from services.contracts.messages import ControlState
from services.results.request_table import columns
from services.runtime.control_topic import ControlTopic
from services.runtime.database import UNAVAILABLE, Pool
from services.runtime.logs import get_logger

log = get_logger(__name__)
_RETRY_AFTER = 0.5

_KEEP = """
INSERT INTO holds (key, held, why, by, at)
SELECT * FROM unnest($1::text[], $2::boolean[], $3::text[], $4::text[], $5::timestamptz[])
ON CONFLICT (key) DO UPDATE
SET held = EXCLUDED.held, why = EXCLUDED.why, by = EXCLUDED.by, at = EXCLUDED.at"""


class Holds:
    """Keeps the table `holds` like the topic, however long PostgreSQL is away.

    Every results process writes all it reads, in order, so each key ends as its last record
    says, whoever writes last.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._unwritten: dict[str, ControlState] = {}
        self._some = asyncio.Event()
        # Two writes at once could end in the wrong order.
        self._writing = asyncio.Lock()

    async def note(self, state: ControlState) -> None:
        """Take a state just read; it is written soon."""
        self._unwritten[state.key] = state
        self._some.set()

    async def run(self) -> None:
        """Write what was noted, until cancelled."""
        while True:
            await self._some.wait()
            self._some.clear()
            await self.write()

    async def write(self) -> None:
        """Write what was noted so far, trying until PostgreSQL takes it."""
        async with self._writing:
            while self._unwritten:
                states = dict(self._unwritten)
                values = [_row(state) for _, state in sorted(states.items())]
                try:
                    await self._pool.execute(_KEEP, *columns(values))
                except UNAVAILABLE as error:
                    log.warning("holds not written, trying again", reason=type(error).__name__)
                    await asyncio.sleep(_RETRY_AFTER)
                    continue
                for key, state in states.items():
                    if self._unwritten[key] is state:
                        del self._unwritten[key]


def _row(state: ControlState) -> tuple[str, bool, str, str, datetime]:
    # PostgreSQL keeps no NUL; a record that has one must not keep the others back.
    why, by = (text.replace("\0", "\ufffd") for text in (state.why, state.by))
    return state.key, state.held, why, by, state.at


class Actions:
    """What a person may do through the API."""

    def __init__(self, control: ControlTopic, holds: Holds) -> None:
        self._control = control
        self._holds = holds

    async def set_hold(self, key: str, *, held: bool, why: str, by: str) -> None:
        """Set or clear one cause; on return Kafka, this process and `holds` have it.

        Raises:
            ValueError: The key is none of `services.contracts.control`.
            ProduceError: Kafka refuses it.
        """
        await self._control.set(key, held=held, why=why, by=by)
        await self._holds.write()


def held_accounts(held: Iterable[str]) -> set[str]:
    """The accounts that are held as a whole."""
    keys = set(held)
    return {
        account
        for key in keys
        if (account := account_of(key)) is not None
        and any(account_key(account, cause) in keys for cause in ACCOUNT_CAUSES)
    }
