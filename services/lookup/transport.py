"""HTTP to one origin under httpx's interface: every request is written at most once.

This is the one file of the lookup service that is written against httpx's types.
Three things differ from the pools that exist: a request is never sent a second time on its own
account, whatever the server does with the connection; the ways a call can end are told apart; and
a prepared request costs a few percent of what building one costs.

How a call can end, all with the request attached:

    ConnectTimeout, ConnectError   nothing was sent
    ReadTimeout                    sent; the whole answer was not there in time
    ReadError                      sent; the connection was reset
    RemoteProtocolError            sent; closed before the end of the answer, or not an answer
    LocalProtocolError             refused here; nothing was sent

An answer whose end is only the close of the connection cannot be told from one that was cut off,
so it counts as cut.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, TypeAlias

import httpx

from services.lookup.connection import Connection, Ending, NoAnswerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from services.lookup.connection import Answer

BeforeSend: TypeAlias = "Callable[[], object]"
_NO_BODY = httpx.ByteStream(b"")
_ERRORS: dict[Ending, type[httpx.TransportError]] = {
    Ending.TOO_LATE: httpx.ReadTimeout,
    Ending.RESET: httpx.ReadError,
    Ending.NOT_AN_ANSWER: httpx.RemoteProtocolError,
}


class RequestTemplate:
    """What all requests of one account share, checked and encoded once.

    `headers` are the account's own, `Authorization` among them; `Host` and an `Accept-Encoding`
    that keeps answers at their real size are added. Raises ValueError for an origin that is more
    or less than scheme, host and port, and for a header that would end its line.
    """

    def __init__(self, origin: str, headers: Mapping[str, str]) -> None:
        url = _parse_origin(origin)
        self.origin = _origin(url)
        self.headers = httpx.Headers(
            {"Host": url.netloc.decode("ascii"), **headers, "Accept-Encoding": "identity"}
        )
        self.head = _header_lines(self.headers.raw)

    def get(self, target: str, before_send: BeforeSend | None = None) -> PreparedRequest:
        """Return a GET for `target`, an encoded path with its query.

        `before_send` is called right before the bytes are written, with a connection at hand; if
        it raises, nothing is written and the caller gets what it raised.
        """
        return PreparedRequest(self, target, before_send)

    def __repr__(self) -> str:
        return f"RequestTemplate({self.origin!r})"  # its headers hold the account's secret


class PreparedRequest(httpx.Request):
    """A GET whose constant parts come from a template; its URL is parsed only when asked for."""

    def __init__(
        self, template: RequestTemplate, target: str, before_send: BeforeSend | None
    ) -> None:
        # httpx's own constructor is left out: parsing the URL and building the headers anew is
        # what this class saves. Everything public that it sets is set here.
        self.method = "GET"
        self.headers = template.headers
        self.extensions = {} if before_send is None else {"before_send": before_send}
        self.stream = _NO_BODY
        self.template = template
        self.target = target

    @property
    def url(self) -> httpx.URL:  # type: ignore[override] # httpx sets it in the constructor, once
        """The whole URL."""
        return httpx.URL(self.template.origin + self.target)

    @property
    def content(self) -> bytes:
        """Nothing: a GET has no body."""
        return b""

    def __repr__(self) -> str:
        return f"<PreparedRequest GET {self.template.origin}>"  # the path holds a phone number


class HttptoolsTransport(httpx.AsyncBaseTransport):
    """Sends requests to one origin over at most `connections` kept-alive connections.

    `connect_seconds` bounds name resolution, connect and TLS handshake together; `read_seconds`
    the whole answer, counted from the sending; `idle_seconds` how long an unused connection is
    trusted, to be shorter than the server's own patience. An answer over `max_head_bytes` of
    status line, headers and framing, or over `max_body_bytes` of body, is refused. `tls` replaces
    the default context of an https origin. A call that fails or is cancelled closes its
    connection. `request.extensions["before_send"]` is called as RequestTemplate.get says.
    """

    def __init__(
        self,
        origin: str,
        *,
        connections: int,
        connect_seconds: float,
        read_seconds: float,
        idle_seconds: float = 30.0,
        max_head_bytes: int = 1 << 16,
        max_body_bytes: int = 1 << 20,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        url = _parse_origin(origin)
        self._origin = _origin(url)
        self._host = url.host
        self._port = url.port or (443 if url.scheme == "https" else 80)
        self._tls = (tls or ssl.create_default_context()) if url.scheme == "https" else None
        self._connect_seconds = connect_seconds
        self._read_seconds = read_seconds
        self._idle_seconds = idle_seconds
        self._max_head_bytes = max_head_bytes
        self._max_body_bytes = max_body_bytes
        self._slots = asyncio.Semaphore(connections)
        self._idle: list[Connection] = []  # used from its end, so that unneeded ones grow old
        self._closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request` once and return its whole answer; errors as this module lists them."""
        data = self._encode(request)
        async with self._slots:
            connection = self._take_idle() or await self._connect(request)
            before_send: BeforeSend | None = request.extensions.get("before_send")
            if before_send is not None:
                try:
                    before_send()
                except BaseException:
                    self._give_back(connection)
                    raise
            status, headers, body = await self._exchange(connection, request, data)
            self._give_back(connection)
        response = httpx.Response(
            status, headers=headers, stream=httpx.ByteStream(body), request=request
        )
        if response.headers.get("content-encoding", "identity") != "identity":
            # Unpacking would undo the bound on the body; every prepared request asks for identity.
            raise httpx.RemoteProtocolError("the answer is compressed, unasked", request=request)
        response.read()
        return response

    async def aclose(self) -> None:
        """Close idle connections now, and those in use when their calls end."""
        self._closed = True
        for connection in self._idle:
            connection.close()
        self._idle.clear()
        await asyncio.sleep(0)  # the event loop closes the sockets in its next round

    def _encode(self, request: httpx.Request) -> bytes:
        if isinstance(request, PreparedRequest):
            origin, target, head = request.template.origin, request.target, request.template.head
        else:
            if request.method != "GET" or {"content-length", "transfer-encoding"} & {
                *request.headers
            }:
                raise httpx.LocalProtocolError(
                    "only GET without a body is spoken here", request=request
                )
            origin, target = _origin(request.url), request.url.raw_path.decode("ascii")
            try:
                head = _header_lines(request.headers.raw)
            except ValueError as error:
                raise httpx.LocalProtocolError(str(error), request=request) from error
        if origin != self._origin:
            raise httpx.LocalProtocolError(
                f"this transport speaks to {self._origin} only, not to {origin}", request=request
            )
        if not (
            target.startswith("/")
            and target.isascii()
            and target.isprintable()
            and " " not in target
        ):
            raise httpx.LocalProtocolError(
                "the request's target must be an encoded path: printable ASCII without spaces",
                request=request,
            )
        return b"GET %b HTTP/1.1\r\n%b\r\n" % (target.encode("ascii"), head)

    def _take_idle(self) -> Connection | None:
        oldest = asyncio.get_running_loop().time() - self._idle_seconds
        while self._idle:
            connection = self._idle.pop()
            if connection.idle_since > oldest and connection.is_quiet():
                return connection
            connection.close()
        return None

    async def _connect(self, request: httpx.Request) -> Connection:
        if self._closed:
            raise RuntimeError("the transport is closed")
        try:
            async with asyncio.timeout(self._connect_seconds):
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: Connection(self._max_head_bytes, self._max_body_bytes),
                    self._host,
                    self._port,
                    ssl=self._tls,
                )
        except TimeoutError as error:
            raise httpx.ConnectTimeout(
                f"no connection to {self._origin} within {self._connect_seconds} s", request=request
            ) from error
        except OSError as error:  # refused, unreachable, unknown host, TLS refused
            raise httpx.ConnectError(
                f"no connection to {self._origin}: {error}", request=request
            ) from error
        if not connection.reusable:
            raise httpx.ConnectError(
                f"{self._origin} closed the connection before the request", request=request
            )
        return connection

    async def _exchange(
        self, connection: Connection, request: httpx.Request, data: bytes
    ) -> Answer:
        answer = connection.send(data)
        timer = asyncio.get_running_loop().call_later(
            self._read_seconds,
            connection.fail,
            Ending.TOO_LATE,
            f"no whole answer from {self._origin} within {self._read_seconds} s",
        )
        try:
            return await answer
        except NoAnswerError as error:
            raise _ERRORS[error.ending](str(error), request=request) from error
        except BaseException:  # cancelled: an answer may still come, to nobody
            connection.close()
            raise
        finally:
            timer.cancel()

    def _give_back(self, connection: Connection) -> None:
        if connection.reusable and not self._closed:
            connection.idle_since = asyncio.get_running_loop().time()
            self._idle.append(connection)
        else:
            connection.close()


def _parse_origin(text: str) -> httpx.URL:
    """Return `text` as a URL, or raise ValueError unless it is scheme, host and port only."""
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise ValueError(f"{text!r} is not a URL: {error}") from error
    if (
        url.scheme not in {"http", "https"}
        or not url.host
        or url.userinfo
        or url.raw_path != b"/"
        or url.fragment
    ):
        raise ValueError(
            "an origin is http:// or https://, a host, and a port if it is not the usual one, "
            "as in https://lookups.twilio.com"
        )
    return url


def _origin(url: httpx.URL) -> str:
    return f"{url.scheme}://{url.netloc.decode('ascii')}"


def _header_lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    lines = []
    for name, value in headers:
        if any(control in name or control in value for control in (b"\r", b"\n", b"\0")):
            raise ValueError(f"header {name!r} holds a line end or a null byte")
        lines.append(b"%b: %b\r\n" % (name, value))
    return b"".join(lines)
