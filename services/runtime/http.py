"""One HTTP server per program, in its own event loop and under its own signals."""

from __future__ import annotations

import asyncio
import socket
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from services.runtime.logs import get_logger
from services.runtime.problem_types import UNREADABLE
from services.runtime.problems import Problem
from services.runtime.program import FaultError

log = get_logger(__name__)
LOOPBACK = "127.0.0.1"
#: Connections that wait to be taken; uvicorn's own number.
_BACKLOG = 2048
#: Bytes of a request's line and headers, or of what follows a chunked body: they are kept in
#: memory, and the parser takes any number of them.
_LARGEST_HEAD = 64 * 1024
#: Seconds in which a head must be whole, from the connection on, or from its first byte.
_LONGEST_HEAD = 30.0


class PortTakenError(FaultError):
    """The address cannot be listened on."""


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the program's own decide when to stop."""

    def install_signal_handlers(self) -> None:
        """Leave the signals alone."""

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve without capturing signals."""
        await self._serve(sockets)


class _Protocol(HttpToolsProtocol):
    """Answers also what is no HTTP, or has no end, with a problem."""

    #: Bytes that came since something was whole.
    _pending = 0
    #: Runs while a head is waited for.
    _timer: asyncio.TimerHandle | None = None

    def connection_made(
        self,
        transport: asyncio.Transport,  # type: ignore[override]  # as uvicorn narrows it
    ) -> None:
        """Wait for the first head."""
        super().connection_made(transport)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._end_wait()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Wait for the rest of a head."""
        super().on_message_begin()
        if self._timer is None:
            self._wait_for_head()

    def _wait_for_head(self) -> None:
        self._timer = self.loop.call_later(_LONGEST_HEAD, self._give_up)

    def _end_wait(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        answered = self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr]  # None at first
        if not answered:
            # The head of a next request, while the one before is still answered.
            self._wait_for_head()
        elif not self.transport.is_closing():
            self.send_400_response(f"The head was not whole within {_LONGEST_HEAD:g} s.")

    def data_received(self, data: bytes) -> None:
        """Take what came, unless it is a head that is too large."""
        self._pending += len(data)
        super().data_received(data)
        if self._pending > _LARGEST_HEAD and not self.transport.is_closing():
            self.send_400_response(f"The head is over {_LARGEST_HEAD} bytes.")

    def on_headers_complete(self) -> None:
        """Count anew, and wait no longer."""
        self._pending = 0
        self._end_wait()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Count anew: a body is bounded by whoever reads it."""
        self._pending = 0
        super().on_body(body)

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be parsed; what it was stands nowhere."""
        request_id = str(uuid.uuid4())
        log.info("what came is no http", reason=msg, http_request_id=request_id)
        answer = Problem(UNREADABLE, f"{msg} {UNREADABLE.way_out}").response(request_id)
        headers = [
            *answer.raw_headers,
            (b"x-request-id", request_id.encode()),
            (b"connection", b"close"),
        ]
        head = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
        self.transport.write(b"HTTP/1.1 400 Bad Request\r\n" + head + b"\r\n" + bytes(answer.body))
        self.transport.close()


def listening_host(wanted: str | None, *, has_tokens: bool) -> str:
    """The address to listen on: without a token only this machine's own."""
    if has_tokens:
        return wanted or "0.0.0.0"  # noqa: S104 - every request needs a token then
    if wanted not in {None, LOOPBACK, "localhost"}:
        log.warning("no API token is set: listening on 127.0.0.1 only", wanted=wanted)
    return LOOPBACK


@asynccontextmanager
async def serve_http(app: FastAPI, host: str, port: int, grace: float) -> AsyncIterator[int]:
    """Serve `app` while the context lasts; yields the port.

    Args:
        app: What to serve.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        grace: Seconds that requests under way get when the context ends.

    Raises:
        PortTakenError: Somebody else listens there, or it is not this machine's address.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        # From here on nobody is turned away, though the server begins a moment later.
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise PortTakenError(
            f"cannot listen on {host}:{port}: {error.strerror}; set HTTP_HOST or HTTP_PORT"
        ) from error
    config = uvicorn.Config(
        app,
        http=_Protocol,
        ws="none",
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=max(1, int(grace)),
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    bound = int(listener.getsockname()[1])
    log.info("http server listening", host=host, port=bound)
    try:
        yield bound
    finally:
        server.should_exit = True
        with suppress(asyncio.CancelledError):
            await task
        listener.close()
