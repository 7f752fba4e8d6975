"""The right to send: a process that Kafka has not heard of lately sends nothing.

A process frozen past its session timeout has lost its partitions to another one, and
wakes up before it knows. So no call is written later than a share of the session timeout
after the *sending* of the last heartbeat that succeeded; a heartbeat sent after waking
must succeed first. It starts at nothing.
"""

from __future__ import annotations

import asyncio
import time

#: Of the session timeout; the rest is for the clocks and for the bytes to leave.
SHARE = 0.8
_LOOK_EVERY = 0.1


class LeaseOverError(Exception):
    """The lease ended before the call was written: nothing was sent."""


class Lease:
    """Renewed by the consumer's thread, looked at right before a call's bytes are written."""

    def __init__(self, session_timeout: float) -> None:
        #: Seconds for which a heartbeat counts.
        self.length = session_timeout * SHARE
        self._until = float("-inf")

    def renew(self, sent_at: float) -> None:
        """A heartbeat sent at `sent_at` (monotonic seconds) succeeded."""
        self._until = max(self._until, sent_at + self.length)

    @property
    def holds(self) -> bool:
        """Whether a call may be written now."""
        return time.monotonic() <= self._until

    def check(self) -> None:
        """Return if a call may be written now.

        Raises:
            LeaseOverError: It may not.
        """
        if not self.holds:
            raise LeaseOverError

    async def regained(self) -> None:
        """Wait until a call may be written."""
        while not self.holds:  # noqa: ASYNC110 - it is renewed by another thread
            await asyncio.sleep(_LOOK_EVERY)
