"""Single flight: one number of one account is worked on by one record at a time.

Equal numbers meet in one process, since the key chooses the partition; so no lock outside
of it is needed. A second record waits, and then finds the first one's answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Flights:
    """A lock for each number being worked on; it goes when nobody holds or wants it."""

    def __init__(self) -> None:
        self._locks: dict[tuple[str, str], tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def of(self, account: str, phone: str) -> AsyncIterator[None]:
        """Hold the number while the context lasts."""
        key = account, phone
        lock, users = self._locks.get(key, (asyncio.Lock(), 0))
        self._locks[key] = lock, users + 1
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks[key]
            if users == 1:
                del self._locks[key]
            else:
                self._locks[key] = lock, users - 1

    def __len__(self) -> int:
        """How many numbers are being worked on or waited for."""
        return len(self._locks)
