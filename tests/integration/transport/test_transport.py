"""The transport against a real server that misbehaves on purpose."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest
import trustme

from services.lookup.transport import HttptoolsTransport, RequestTemplate

#: A key and a self-signed certificate for 127.0.0.1, for these tests only.

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"4;note=x\r\n{ \r\n\r\n1\r\n}\r\n0\r\nX-Trailer: dropped\r\n\r\n"
)
EARLY_HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
FRAMINGS = {"content-length": OK, "chunked": CHUNKED, "after-1xx": CONTINUE + EARLY_HINTS + OK}

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


class ScriptedServer:
    """Answers each request with the next entry of `script`, and counts what it was asked."""

    def __init__(self) -> None:
        self.script: list[Answer] = []
        self.requests: list[bytes] = []
        self.connections = 0
        self.gone = asyncio.Event()  # set whenever a client has closed its side
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection by the script."""
        self.connections += 1
        try:
            while head := await self._read_head(reader):
                self.requests.append(head)
                await self.script.pop(0)(writer)
        except OSError:
            pass  # a reset is part of the script
        finally:
            self.gone.set()
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    @staticmethod
    async def _read_head(reader: asyncio.StreamReader) -> bytes:
        try:
            return await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return b""

    @property
    def origin(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"


def write(data: bytes) -> Answer:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()

    return answer


def write_then_close(data: bytes) -> Answer:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        writer.close()

    return answer


def write_then_reset(data: bytes) -> Answer:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        reset = struct.pack("ii", 1, 0)  # linger on, for no time: closing sends a reset
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        writer.transport.abort()

    return answer


def byte_by_byte(data: bytes) -> Answer:
    async def answer(writer: asyncio.StreamWriter) -> None:
        for position in range(len(data)):
            writer.write(data[position : position + 1])
            await writer.drain()
            await asyncio.sleep(0)

    return answer


def never(_writer: asyncio.StreamWriter) -> Awaitable[None]:
    return asyncio.get_running_loop().create_future()


@contextlib.asynccontextmanager
async def serving(tls: ssl.SSLContext | None = None) -> AsyncIterator[ScriptedServer]:
    scripted = ScriptedServer()
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(scripted.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    scripted.port = server.sockets[0].getsockname()[1]
    try:
        yield scripted
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with serving() as scripted:
        yield scripted


@contextlib.asynccontextmanager
async def transport_to(
    origin: str,
    *,
    connections: int = 4,
    connect_seconds: float = 10,
    read_seconds: float = 10,
    idle_seconds: float = 30,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[HttptoolsTransport]:
    transport = HttptoolsTransport(
        origin,
        connections=connections,
        connect_seconds=connect_seconds,
        read_seconds=read_seconds,
        idle_seconds=idle_seconds,
        max_head_bytes=4096,
        max_body_bytes=8192,
        tls=tls,
    )
    async with transport:
        yield transport


@pytest.mark.parametrize("reused", [False, True], ids=["fresh", "reused"])
@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize(
    ("ending", "error"),
    [(write_then_close, httpx.RemoteProtocolError), (write_then_reset, httpx.ReadError)],
    ids=["close", "reset"],
)
async def test_an_answer_ended_at_any_byte_is_an_error_and_never_a_second_request(
    ending: Callable[[bytes], Answer], error: type[Exception], framing: str, reused: bool
) -> None:
    """Wherever the server ends the connection, the request went out once and the caller is told."""
    whole = FRAMINGS[framing]
    for length in range(len(whole)):
        async with serving() as server, transport_to(server.origin) as transport:
            request = RequestTemplate(server.origin, {}).get("/x")
            if reused:
                server.script.append(write(OK))
                await transport.handle_async_request(request)
            server.script.append(ending(whole[:length]))
            with pytest.raises(error) as caught:
                await transport.handle_async_request(request)
            assert isinstance(caught.value, httpx.RequestError)
            assert caught.value.request is request, length
            assert len(server.requests) == 1 + reused, length
            assert server.connections == 1, length


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("pace", [write, byte_by_byte])
async def test_a_whole_answer_is_read_whatever_its_framing_and_pieces(
    server: ScriptedServer, framing: str, pace: Callable[[bytes], Answer]
) -> None:
    """Content-Length, chunks and interim answers give one body, and the connection is kept."""
    server.script += [pace(FRAMINGS[framing]), write(OK)]
    async with transport_to(server.origin) as transport:
        template = RequestTemplate(server.origin, {"Authorization": "Basic eDp5"})
        response = await transport.handle_async_request(template.get("/a?b=c"))
        again = await transport.handle_async_request(template.get("/d"))
    assert (response.status_code, response.json(), again.json()) == (200, {}, {})
    assert not {"link", "x-trailer"} & {*response.headers}
    assert server.connections == 1
    assert (
        server.requests[0]
        == (
            f"GET /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
            "Authorization: Basic eDp5\r\nAccept-Encoding: identity\r\n\r\n"
        ).encode()
    )


@pytest.mark.parametrize(
    "answer",
    [
        write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"),
        write(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}"),
        write(OK + OK),
        write(OK + b"garbage"),
        write_then_close(OK),
        write_then_reset(OK),
    ],
    ids=["connection-close", "http-1.0", "second-answer", "garbage-after", "closed", "reset"],
)
async def test_a_connection_that_cannot_be_trusted_is_not_used_again(
    server: ScriptedServer, answer: Answer
) -> None:
    """The whole answer counts, and the next request has a connection of its own."""
    server.script += [answer, write(OK)]
    async with transport_to(server.origin) as transport:
        template = RequestTemplate(server.origin, {})
        first = await transport.handle_async_request(template.get("/1"))
        await server.gone.wait()
        second = await transport.handle_async_request(template.get("/2"))
    assert (first.content, second.content) == (b"{}", b"{}")
    assert [head.split()[1] for head in server.requests] == [b"/1", b"/2"]
    assert server.connections == 2


async def test_what_arrives_unasked_on_an_idle_connection_is_no_answer(
    server: ScriptedServer,
) -> None:
    """Bytes that the event loop has not even read yet close the connection before its next use."""
    writers: list[asyncio.StreamWriter] = []

    async def keep_writer(writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await write(OK)(writer)

    server.script += [keep_writer, write(OK)]
    async with transport_to(server.origin) as transport:
        template = RequestTemplate(server.origin, {})
        await transport.handle_async_request(template.get("/1"))
        raw = socket.socket(fileno=socket.dup(writers[0].get_extra_info("socket").fileno()))
        with raw:  # past the event loop: it has no chance to read before the next request
            raw.send(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        second = await transport.handle_async_request(template.get("/2"))
    assert second.status_code == 200
    assert server.connections == 2


async def test_an_idle_connection_is_trusted_for_a_time_only(server: ScriptedServer) -> None:
    """One idle for longer than allowed is closed instead of used."""
    server.script += [write(OK), write(OK)]
    async with transport_to(server.origin, idle_seconds=0) as transport:
        template = RequestTemplate(server.origin, {})
        for target in ("/1", "/2"):
            await transport.handle_async_request(template.get(target))
    assert server.connections == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n{}",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: ws\r\n\r\n\0\0",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 5000,
        b"HTTP/1.1 200 OK\r\n" + b"X-Filler: 0123456789\r\n" * 300 + b"Content-Length: 0\r\n\r\n",
        CONTINUE * 1000,
        b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n" + b"x" * 9000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 9000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: " + b"x" * 13000,
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b"
        % (len(gzip.compress(b"{}")), gzip.compress(b"{}")),
    ],
    ids=[
        "not-http",
        "bad-length",
        "upgrade",
        "endless-header",
        "many-headers",
        "endless-1xx",
        "large-body",
        "large-chunked-body",
        "endless-trailer",
        "compressed",
    ],
)
async def test_what_is_no_bounded_answer_is_a_protocol_error(
    server: ScriptedServer, answer: bytes
) -> None:
    """Garbage, and more than the bounds allow, end the call; the request was sent once."""
    server.script.append(write(answer))
    async with transport_to(server.origin) as transport:
        request = RequestTemplate(server.origin, {}).get("/x")
        with pytest.raises(httpx.RemoteProtocolError) as caught:
            await transport.handle_async_request(request)
        assert caught.value.request is request
    assert len(server.requests) == 1


@pytest.mark.parametrize("answer", [never, write(OK[:-1]), write(CONTINUE)])
async def test_the_whole_answer_must_come_in_time(server: ScriptedServer, answer: Answer) -> None:
    """Neither silence nor a beginning that never ends outlasts the read timeout."""
    server.script.append(answer)
    async with transport_to(server.origin, read_seconds=0.05) as transport:
        request = RequestTemplate(server.origin, {}).get("/x")
        with pytest.raises(httpx.ReadTimeout) as caught:
            await transport.handle_async_request(request)
        assert caught.value.request is request
        server.script.append(write(OK))
        await transport.handle_async_request(request)
    assert server.connections == 2


async def test_a_refused_connection_is_a_connect_error() -> None:
    """Nothing was sent, and the error says so by its type."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
    request = RequestTemplate(origin, {}).get("/x")
    async with transport_to(origin) as transport:
        with pytest.raises(httpx.ConnectError) as caught:
            await transport.handle_async_request(request)
    assert caught.value.request is request


async def test_a_connection_that_is_not_there_in_time_is_a_connect_timeout() -> None:
    """A handshake that never ends is bounded, and nothing was sent."""
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and never speaks TLS
        origin = f"https://127.0.0.1:{silent.getsockname()[1]}"
        request = RequestTemplate(origin, {}).get("/x")
        async with transport_to(origin, connect_seconds=0.05) as transport:
            with pytest.raises(httpx.ConnectTimeout) as caught:
                await transport.handle_async_request(request)
    assert caught.value.request is request


async def test_a_cancelled_call_closes_its_connection(server: ScriptedServer) -> None:
    """The answer that may still come must not meet the next request."""
    asked = asyncio.Event()

    async def ask_then_wait(writer: asyncio.StreamWriter) -> None:
        asked.set()
        await never(writer)

    server.script += [ask_then_wait, write(OK)]
    async with transport_to(server.origin, connections=1) as transport:
        template = RequestTemplate(server.origin, {})
        call = asyncio.ensure_future(transport.handle_async_request(template.get("/1")))
        await asked.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        response = await transport.handle_async_request(template.get("/2"))
    assert response.content == b"{}"
    assert server.connections == 2


@pytest.mark.parametrize("error", [PermissionError("lease is over"), asyncio.CancelledError()])
async def test_before_send_has_the_last_word(server: ScriptedServer, error: BaseException) -> None:
    """What it raises reaches the caller unchanged, nothing is written, the connection is kept."""

    def refuse() -> None:
        raise error

    seen_before: list[int] = []
    server.script += [write(OK), write(OK)]
    async with transport_to(server.origin, connections=1) as transport:
        template = RequestTemplate(server.origin, {})
        await transport.handle_async_request(template.get("/1"))
        with pytest.raises(type(error)) as caught:
            await transport.handle_async_request(template.get("/2", refuse))
        assert caught.value is error
        await transport.handle_async_request(
            template.get("/3", lambda: seen_before.append(len(server.requests)))
        )
    assert [head.split()[1] for head in server.requests] == [b"/1", b"/3"]
    assert seen_before == [1]
    assert server.connections == 1


async def test_before_send_is_not_called_without_a_connection() -> None:
    """A call marked as sent has a connection to be sent on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
    called: list[bool] = []
    async with transport_to(origin) as transport:
        request = RequestTemplate(origin, {}).get("/x", lambda: called.append(True))
        with pytest.raises(httpx.ConnectError):
            await transport.handle_async_request(request)
    assert not called


async def test_no_more_connections_than_allowed(server: ScriptedServer) -> None:
    """Calls over the limit wait for a connection and reuse it."""
    server.script += [write(OK)] * 20
    async with transport_to(server.origin, connections=2) as transport:
        template = RequestTemplate(server.origin, {})
        await asyncio.gather(
            *(transport.handle_async_request(template.get(f"/{call}")) for call in range(20))
        )
    assert len(server.requests) == 20
    assert server.connections <= 2


async def test_a_closed_transport_sends_nothing(server: ScriptedServer) -> None:
    """Closing closes what is idle, and a later call is a mistake of the program."""
    server.script.append(write(OK))
    async with transport_to(server.origin) as transport:
        request = RequestTemplate(server.origin, {}).get("/x")
        await transport.handle_async_request(request)
    await server.gone.wait()
    with pytest.raises(RuntimeError, match="closed"):
        await transport.handle_async_request(request)


@pytest.mark.parametrize(
    "target", ["/a\r\nX: y", "/a b", "/\N{LATIN SMALL LETTER E WITH ACUTE}", "relative", "", "/\0"]
)
async def test_a_target_cannot_add_lines_to_the_request(
    server: ScriptedServer, target: str
) -> None:
    """What is no encoded path is refused before anything is sent."""
    async with transport_to(server.origin) as transport:
        request = RequestTemplate(server.origin, {}).get(target)
        with pytest.raises(httpx.LocalProtocolError):
            await transport.handle_async_request(request)
    assert server.connections == 0


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/", {"X": "a\r\nY: b"}),
        ("POST", "/", {}),
        ("HEAD", "/", {}),
        ("GET", "/", {"Content-Length": "1"}),
        ("GET", "http://127.0.0.2/", {}),
    ],
    ids=["line-end-in-header", "post", "head", "body", "other-origin"],
)
async def test_a_plain_request_that_cannot_be_sent_safely_is_refused(
    server: ScriptedServer, method: str, path: str, headers: dict[str, str]
) -> None:
    """No body, no second header line, no other origin, which would be given the credentials."""
    url = path if path.startswith("http:") else server.origin + path
    async with transport_to(server.origin) as transport:
        with pytest.raises(httpx.LocalProtocolError):
            await transport.handle_async_request(httpx.Request(method, url, headers=headers))
    assert server.connections == 0


async def test_it_serves_httpx_own_client(server: ScriptedServer) -> None:
    """The interface is httpx's, so its client works on it too."""
    server.script.append(write(CHUNKED))
    async with (
        transport_to(server.origin) as transport,
        httpx.AsyncClient(transport=transport) as client,
    ):
        response = await client.get(f"{server.origin}/x", params={"a": "b"})
    assert response.json() == {}
    assert server.requests[0].startswith(b"GET /x?a=b HTTP/1.1\r\nHost: 127.0.0.1:")


async def test_tls_is_verified_and_spoken() -> None:
    """A trusted certificate serves over one kept connection; an unknown one is a connect error."""
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority = trustme.CA()
    authority.issue_cert("127.0.0.1").configure_cert(server_side)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with serving(server_side) as server:
        origin = server.origin.replace("http:", "https:")
        request = RequestTemplate(origin, {}).get("/x")
        async with transport_to(origin, tls=trusting) as transport:
            server.script += [write(OK), write(CHUNKED), write_then_close(OK[:-1])]
            for _ in range(2):
                assert (await transport.handle_async_request(request)).json() == {}
            with pytest.raises(httpx.RemoteProtocolError):
                await transport.handle_async_request(request)
            assert server.connections == 1
        async with transport_to(origin) as transport:
            with pytest.raises(httpx.ConnectError):
                await transport.handle_async_request(request)
    assert len(server.requests) == 3
