"""A TCP proxy between two parts: what passes through can be delayed, cut, or half closed."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Coroutine
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, TypeVar

from services.local.processes import HOST, free_port

T = TypeVar("T")
_CHUNK = 64 * 1024


class Proxy:
    """Listens on a port of its own and passes on to another, in a thread, while the context lasts.

    Args:
        target: The port on 127.0.0.1 to pass on to.
        port: Its own; a free one without it.
    """

    def __init__(self, target: int, port: int = 0) -> None:
        self.port = port or free_port()
        self._target = target
        self._writers: set[asyncio.StreamWriter] = set()
        self._passing: set[asyncio.Task[None]] = set()
        #: Added to every piece that passes, each way.
        self.delay_seconds = 0.0
        #: Whether new connections are refused.
        self.closed = False

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut(self) -> int:
        """Reset every connection there is; gives the number of their ends."""
        return self._do(self._cut())

    def half_close(self) -> int:
        """Say to both ends of every connection that the other has no more to send; as `cut`."""
        return self._do(self._half_close())

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._connected, HOST, self.port)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._passing.add(task)
        task.add_done_callback(self._passing.discard)
        writers = {writer}
        try:
            if self.closed:
                return
            far_reader, far_writer = await asyncio.open_connection(HOST, self._target)
            writers.add(far_writer)
            self._writers |= writers
            await asyncio.gather(
                self._pass_on(reader, far_writer), self._pass_on(far_reader, writer)
            )
        except OSError:
            return  # as the far side does, so this one
        finally:
            self._writers -= writers
            for one in writers:
                one.transport.abort()

    async def _pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while piece := await source.read(_CHUNK):
            await asyncio.sleep(self.delay_seconds)
            sink.write(piece)
            await sink.drain()
        with suppress(OSError, RuntimeError):
            sink.write_eof()

    async def _cut(self) -> int:
        ends = list(self._writers)
        for writer in ends:
            with suppress(OSError):
                # Closed at once and with a reset, as a machine in between that forgot it would.
                peer = writer.get_extra_info("socket")
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            writer.transport.abort()
        return len(ends)

    async def _half_close(self) -> int:
        for writer in self._writers:
            with suppress(OSError, RuntimeError):
                writer.write_eof()
        return len(self._writers)

    async def _end(self) -> None:
        self._server.close()
        await self._cut()
        for task in self._passing:
            task.cancel()
        await asyncio.gather(*self._passing, return_exceptions=True)
