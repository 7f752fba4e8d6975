"""One HTTP server per program, in its own event loop and under its own signals."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import uvicorn
from fastapi import FastAPI

from services.runtime.logs import get_logger
from services.runtime.program import FaultError

log = get_logger(__name__)
LOOPBACK = "127.0.0.1"


class PortTakenError(FaultError):
    """The address cannot be listened on."""


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the program's own decide when to stop."""

    def install_signal_handlers(self) -> None:
        """Leave the signals alone."""

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve without capturing signals."""
        await self._serve(sockets)


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
    except OSError as error:
        listener.close()
        raise PortTakenError(
            f"cannot listen on {host}:{port}: {error.strerror}; set HTTP_HOST or HTTP_PORT"
        ) from error
    config = uvicorn.Config(
        app,
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
