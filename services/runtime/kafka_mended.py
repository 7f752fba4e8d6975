"""Three things of aiokafka 0.14 that end, or spin, where a program has to wait and go on.

- A write to a connection that is closed already is an error that uvloop calls `RuntimeError`,
  and aiokafka only knows `OSError`: it ended the fetching, or the updates of the metadata, for
  good, while heartbeats went on.
- Whatever else ends the fetching is kept where nobody looks: `getmany` then waits for ever.
- A producer with records at hand and no leader for them asks for the metadata again at once,
  some thousand times a second for as long as Kafka is away, and logs each of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, conn
from aiokafka.errors import KafkaConnectionError

from services.runtime.program import FaultError

_METADATA_AFTER = 0.1


class Connection(conn.AIOKafkaConnection):  # type: ignore[misc]  # aiokafka has no types
    """A connection that is broken, and not a fault, once its socket is closed."""

    def send(self, *args: Any, **options: Any) -> Any:
        """Send a request.

        Raises:
            KafkaConnectionError: It is broken.
        """
        with self._broken_if_closed():
            return super().send(*args, **options)

    def _send_sasl_token(self, *args: Any, **options: Any) -> Any:
        with self._broken_if_closed():
            return super()._send_sasl_token(*args, **options)

    @contextmanager
    def _broken_if_closed(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            if self._writer is None or not self._writer.is_closing():
                raise
            self.close(reason=conn.CloseReason.CONNECTION_BROKEN)
            raise KafkaConnectionError(
                f"Connection at {self._host}:{self._port} broken: {error}"
            ) from error


# aiokafka makes its connections itself, by this name.
conn.AIOKafkaConnection = Connection


class Consumer(AIOKafkaConsumer):  # type: ignore[misc]  # aiokafka has no types
    """A consumer that says so when it fetches no more."""

    async def getmany(self, *partitions: Any, **options: Any) -> Any:
        """Take what was fetched.

        Raises:
            FaultError: aiokafka has given the fetching up.
        """
        fetching = self._fetcher.error_future
        if fetching.done() and not fetching.cancelled():
            raise FaultError("aiokafka has given the fetching up; started again, it goes on")
        return await super().getmany(*partitions, **options)


def pause_after_failures(client: Any) -> None:
    """Have a client wait before it asks for the metadata again that it could not get."""
    update = client._metadata_update  # noqa: SLF001 - the library has no setting for it

    async def updated(*args: Any) -> bool:
        found = bool(await update(*args))
        if not found:
            await asyncio.sleep(_METADATA_AFTER)
        return found

    client._metadata_update = updated  # noqa: SLF001 - the same
