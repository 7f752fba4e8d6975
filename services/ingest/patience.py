"""How long an upload may take: a body that stands still, or trickles, is given up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable


class TooSlowError(Exception):
    """The body comes too slowly to wait for it."""


class Patience:
    """What a body on its way has to keep to.

    Args:
        silence: Seconds in which something must come.
        least: Bytes a second that must come on the average, once `silence` is over.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        silence: float = 30.0,
        least: float = 1024.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._silence = silence
        self._least = least
        self._clock = clock

    async def with_body(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Pass chunks on as they come.

        Time that whoever takes them needs is not the sender's, and does not count.

        Raises:
            TooSlowError: They come too slowly.
        """
        waited = 0.0
        received = 0
        source = aiter(chunks)
        while True:
            asked = self._clock()
            try:
                async with asyncio.timeout(self._silence):
                    chunk = await anext(source, None)
            except TimeoutError:
                raise TooSlowError from None
            if chunk is None:
                return
            waited += self._clock() - asked
            received += len(chunk)
            if waited > self._silence and received < self._least * waited:
                raise TooSlowError
            yield chunk
