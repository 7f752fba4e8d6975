"""One HTTP/1.1 connection: at most one request out, and anything the server says unasked is fatal.

Knows bytes and asyncio; which request is sent, and what its errors are called, is the transport's.
"""

from __future__ import annotations

import asyncio
import enum
import select
from typing import Any, TypeAlias, cast

import httptools

Headers: TypeAlias = list[tuple[bytes, bytes]]
Answer: TypeAlias = tuple[int, Headers, bytes]

_FIRST_FINAL_STATUS = 200  # 1xx answers come before the real one


class Ending(enum.Enum):
    """How a request that was written ended without a whole answer."""

    TOO_LATE = "the time allowed for the answer ran out"
    RESET = "the connection broke"
    NOT_AN_ANSWER = "closed before the end of the answer, or not an answer"


class NoAnswerError(Exception):
    """A request was written and no whole answer came; `ending` says how."""

    def __init__(self, ending: Ending, message: str) -> None:
        super().__init__(message)
        self.ending = ending


class Connection(asyncio.Protocol):
    """A connection that takes one request at a time and parses its answer, within bounds.

    `max_head_bytes` bounds status line, headers and framing, `max_body_bytes` the body.
    `reusable` turns false, for good, with the first thing after which the next answer could not
    be trusted; `idle_since` is its owner's to set, in the event loop's time.
    """

    def __init__(self, max_head_bytes: int, max_body_bytes: int) -> None:
        self.reusable = True
        self.idle_since = 0.0
        self._max_head_bytes = max_head_bytes
        self._max_body_bytes = max_body_bytes
        self._answer: asyncio.Future[Answer] | None = None

    def send(self, data: bytes) -> asyncio.Future[Answer]:
        """Write a request; what is returned ends as its answer or as NoAnswerError."""
        self._headers: Headers = []
        self._body: list[bytes] = []
        self._head_bytes = self._body_bytes = self._received_bytes = 0
        self._head_complete = False
        self._parser: Any = httptools.HttpResponseParser(self)
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(data)
        return self._answer

    def is_quiet(self) -> bool:
        """Say whether an idle connection can be used: open, and nothing to read, not even an end.

        What the event loop has not read yet is asked of the kernel: a close, or an answer nobody
        asked for (some servers send 408 before they close), must not meet the next request.
        """
        return self.reusable and not self._transport.is_closing() and not self._readable.poll(0)

    def fail(self, ending: Ending, message: str) -> None:
        """Close the connection, and end the call that is out, if any."""
        self.close()
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(NoAnswerError(ending, message))

    def close(self) -> None:
        """Close at once; TLS's farewell is not waited for."""
        self.reusable = False
        self._transport.abort()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take note of an open connection."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is not a subclass
        self._readable = select.poll()
        self._readable.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        """Feed the parser; close when no call is out."""
        if self._answer is None or self._answer.done():
            self.close()
            return
        self._received_bytes += len(data)
        if self._received_bytes > self._max_head_bytes + self._max_body_bytes:
            self.fail(Ending.NOT_AN_ANSWER, "the answer is too large")
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            # Also what _refuse raised: then the call has its error already, and keeps it.
            self.fail(Ending.NOT_AN_ANSWER, f"not an HTTP answer: {type(error).__name__}")
            return
        if not self._head_complete and self._received_bytes > self._max_head_bytes:
            self.fail(Ending.NOT_AN_ANSWER, "the answer's headers are too large")

    def eof_received(self) -> None:
        """Use the connection no more; asyncio closes it next, and connection_lost ends the call."""
        self.reusable = False

    def connection_lost(self, error: Exception | None) -> None:
        """End the call that is out, if any."""
        if isinstance(error, OSError):
            self.fail(Ending.RESET, f"the connection broke: {error}")
        else:
            self.fail(Ending.NOT_AN_ANSWER, "the server closed before the end of the answer")

    # What the parser calls.

    def on_message_begin(self) -> None:
        """Refuse an answer that follows the one asked for."""
        if self._answer is None:
            self._refuse("a second answer to one request")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header, within the bound; trailers are counted and dropped."""
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > self._max_head_bytes:
            self._refuse("the answer's headers are too large")
        if not self._head_complete:
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Note the end of the real answer's headers."""
        self._head_complete = self._parser.get_status_code() >= _FIRST_FINAL_STATUS

    def on_body(self, data: bytes) -> None:
        """Keep a piece of the body, within the bound."""
        self._body_bytes += len(data)
        if self._body_bytes > self._max_body_bytes:
            self._refuse("the answer's body is too large")
        self._body.append(data)

    def on_message_complete(self) -> None:
        """Hand the answer over, unless it was one that only comes before the real one."""
        status = self._parser.get_status_code()
        if status < _FIRST_FINAL_STATUS:
            self._headers.clear()
            return
        # The parser knows this only here, inside the callback.
        self.reusable = self.reusable and self._parser.should_keep_alive()
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_result((status, self._headers, b"".join(self._body)))

    def _refuse(self, message: str) -> None:
        self.fail(Ending.NOT_AN_ANSWER, message)
        raise ValueError(message)  # stops the parser, which hands it to data_received as its own
