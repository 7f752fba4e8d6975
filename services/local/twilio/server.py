"""The simulator's HTTP server: one protocol object per connection, one timer per call.

A framework is left out for its cost: the simulator shares a small machine with what it tests.
"""

from __future__ import annotations

import asyncio
import select
import socket
import struct
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

import httptools

from services.local.twilio.control import PATH as CONTROL_PATH
from services.local.twilio.control import control

if TYPE_CHECKING:
    from services.local.twilio.ledger import Outcome
    from services.local.twilio.simulator import Pending, Simulator

_MAX_REQUEST_BYTES = 1 << 20
#: SO_LINGER on, for no time: closing sends a reset.
_RESET = struct.pack("ii", 1, 0)
_HALF_CLOSED: int = getattr(select, "POLLRDHUP", 0)  # Linux only
_GONE = _HALF_CLOSED | select.POLLHUP | select.POLLERR
_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}


class Server:
    """Serves a simulator on one address until it is closed."""

    def __init__(self, simulator: Simulator) -> None:
        self.port = 0
        self._simulator = simulator
        self._connections: set[_Connection] = set()

    async def start(self, host: str, port: int) -> None:
        """Listen; `port` then says where. Raises OSError if that cannot be."""
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _Connection(self._simulator, self._connections), host, port, backlog=1024
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening, and cut the calls that are under way."""
        self._server.close()
        for connection in list(self._connections):
            connection.cut()
        await asyncio.sleep(0)  # the event loop closes the sockets in its next round
        await self._server.wait_closed()


class _Connection(asyncio.Protocol):
    """One client's connection, with at most one call under way; pipelining closes it."""

    def __init__(self, simulator: Simulator, connections: set[_Connection]) -> None:
        self._simulator = simulator
        self._connections = connections
        self._pending: Pending | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._rest = b""
        self._received_bytes = 0
        self._keep_alive = True
        self._parser: Any = httptools.HttpRequestParser(self)

    def cut(self) -> None:
        """End the connection from this side, with the call that is under way."""
        self._finish("cut")
        self._transport.abort()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is not a subclass
        self._loop = asyncio.get_running_loop()
        self._hangup = select.poll()
        self._hangup.register(transport.get_extra_info("socket").fileno(), _HALF_CLOSED)
        self._connections.add(self)

    def data_received(self, data: bytes) -> None:
        self._received_bytes += len(data)
        if self._pending is not None or self._received_bytes > _MAX_REQUEST_BYTES:
            self.cut()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.cut()

    def connection_lost(self, _error: Exception | None) -> None:
        self._connections.discard(self)
        self._finish("abandoned")

    # What the parser calls.

    def on_message_begin(self) -> None:
        if self._pending is not None:
            raise ValueError("a request before the answer to the last one")
        self._target = b""
        self._body = b""
        self._authorization: bytes | None = None

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"authorization":
            self._authorization = value

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        self._received_bytes = 0
        self._keep_alive = self._parser.should_keep_alive()
        target = self._target.decode("latin-1")
        if target.startswith(CONTROL_PATH):
            method = self._parser.get_method().decode()
            status, body = control(self._simulator, method, target, self._body)
            self._write(_head(status, len(body)) + body)
            return
        self._pending = self._simulator.begin(target, self._authorization)
        if self._pending.delay_seconds > 0:
            self._timer = self._loop.call_later(self._pending.delay_seconds, self._answer)
        else:
            self._answer()

    # How a call ends.

    def _answer(self) -> None:
        pending = self._pending
        if pending is None or self._is_gone():
            return
        reply = pending.reply
        data = _head(reply.status, len(reply.body), reply.retry_after) + reply.body
        half = len(data) - len(reply.body) // 2
        match pending.faults[0] if pending.faults else None:
            case None:
                self._last(data)
            case fault if fault.kind == "reset":
                self._finish("cut")
                peer = self._transport.get_extra_info("socket")
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                self._transport.abort()
            case fault if fault.kind == "cut":
                self._finish("cut")
                self._transport.write(data[:half])
                self._transport.close()
            case fault if fault.kind == "slow_body":
                self._transport.write(data[:half])
                self._rest = data[half:]
                self._timer = self._loop.call_later(fault.seconds, self._answer_rest)
            case _:
                self._last(data)

    def _answer_rest(self) -> None:
        if not self._is_gone():
            self._last(self._rest)

    def _last(self, data: bytes) -> None:
        """Enter the call, then write the last of its answer, in one step: see `ledger`."""
        pending = self._pending
        if pending is not None:
            reply = pending.reply
            answered = reply.status == HTTPStatus.OK and reply.whole
            self._finish("answered" if answered else "failed")
            self._write(data)

    def _is_gone(self) -> bool:
        """Say whether the client has closed, also if the event loop has not heard of it yet."""
        gone = self._transport.is_closing() or any(
            events & _GONE for _, events in self._hangup.poll(0)
        )
        if gone:
            self._finish("abandoned")
            self._transport.abort()
        return gone

    def _finish(self, outcome: Outcome) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        pending, self._pending = self._pending, None
        if pending is not None:
            self._simulator.finish(pending, outcome)

    def _write(self, data: bytes) -> None:
        self._transport.write(data)
        if not self._keep_alive:
            self._transport.close()


def _head(status: int, length: int, retry_after: int | None = None) -> bytes:
    retry = b"" if retry_after is None else b"Retry-After: %d\r\n" % retry_after
    return b"%bContent-Type: application/json\r\n%bContent-Length: %d\r\n\r\n" % (
        _LINES.get(status, b"HTTP/1.1 %d Simulated\r\n" % status),
        retry,
        length,
    )
