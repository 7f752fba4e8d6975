"""How many calls of one account may be in flight in this process."""

from __future__ import annotations

import asyncio
from collections import deque


def share(limit: int, assigned: int, partitions: int) -> int:
    """This process's part of an account's limit: as large as its part of the partitions.

    The parts of all processes together stay within the limit, but for this: a process that
    has any partition gets at least one, since otherwise those would stand still.

    Args:
        limit: Of the account, over all processes.
        assigned: Partitions this process has.
        partitions: Partitions there are.
    """
    if assigned <= 0:
        return 0
    return max(1, limit * assigned // partitions)


class Limiter:
    """Permits for calls, first come first served; its limit can change at any time.

    A lower limit takes no permit back, it gives no new
    ones until enough have come back. A task that is cancelled while it waits leaves the
    queue, and passes on a permit that reached it at the same moment. At a limit of 0, and
    during a pause, everybody waits.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._in_flight = 0
        self._queue: deque[asyncio.Future[None]] = deque()
        self._pause: asyncio.TimerHandle | None = None

    @property
    def limit(self) -> int:
        """Most permits out at once."""
        return self._limit

    @property
    def in_flight(self) -> int:
        """Permits out."""
        return self._in_flight

    @property
    def waiting(self) -> int:
        """Tasks that wait for a permit."""
        return sum(not place.done() for place in self._queue)

    def resize(self, limit: int) -> None:
        """Set the limit; those who wait get what it newly allows."""
        self._limit = limit
        self._grant()

    def pause(self, seconds: float) -> None:
        """Give no permit for so long, whatever was said before."""
        if self._pause is not None:
            self._pause.cancel()
        self._pause = asyncio.get_running_loop().call_later(seconds, self.end_pause)

    def end_pause(self) -> None:
        """Give permits again, if there was a pause."""
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
            self._grant()

    async def acquire(self) -> None:
        """Wait for a permit; whoever gets one gives it back with `release`."""
        if self._in_flight < self._limit and not self._queue and self._pause is None:
            self._in_flight += 1
            return
        place = asyncio.get_running_loop().create_future()
        self._queue.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if not place.cancelled():
                self.release()
            elif place in self._queue:
                self._queue.remove(place)
            raise

    def release(self) -> None:
        """Give a permit back."""
        self._in_flight -= 1
        self._grant()

    def _grant(self) -> None:
        """Give free permits to the first in the queue; they count from this moment."""
        while self._in_flight < self._limit and self._queue and self._pause is None:
            place = self._queue.popleft()
            if not place.done():
                self._in_flight += 1
                place.set_result(None)
