"""The HTTP server below our routes."""

from __future__ import annotations

import asyncio
import json

import pytest
from fastapi import Request
from prometheus_client import CollectorRegistry

from services.runtime import http
from services.runtime.api import Tokens, make_api
from services.runtime.health import Readiness
from services.runtime.http import serve_http


async def _exchange(sent: bytes) -> tuple[list[bytes], bytes]:
    """The head's lines and the body of what is answered to these bytes."""
    app = make_api("results", Readiness(), CollectorRegistry(), Tokens({}), "Test")

    @app.post("/size")
    async def size(request: Request) -> int:
        return len(await request.body())

    async with serve_http(app, "127.0.0.1", 0, 1) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        answer = await reader.read()
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return head.split(b"\r\n"), body


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        b"+14155550100\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost : x\r\n\r\n",
        # Just over the limit, without an end: an answer to more might be lost with the rest of it.
        b"GET /livez HTTP/1.1\r\nX: ".ljust(64 * 1024 + 1, b"x"),
        b"GET /".ljust(64 * 1024 + 1, b"x"),
        (b"GET /livez HTTP/1.1\r\n" + b"X: x\r\n" * 11_000)[: 64 * 1024 + 1],
    ],
    ids=["tls", "a number", "version", "a space", "a header", "a path", "headers"],
)
async def test_what_is_no_http_gets_a_problem(sent: bytes) -> None:
    """Also below the framework an error has its type and an id, and repeats nothing."""
    head, body = await _exchange(sent)
    assert head[0] == b"HTTP/1.1 400 Bad Request"
    assert b"content-type: application/problem+json" in head
    problem = json.loads(body)
    assert (problem["type"], problem["status"]) == ("urn:bulk-lookup:problem:unreadable", 400)
    assert f"x-request-id: {problem['request_id']}".encode() in head
    assert b"415555" not in body


async def test_a_body_may_be_larger_than_a_head() -> None:
    """Only what comes before it is bounded here, and between its chunks or after it."""
    chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    head, body = await _exchange(
        b"POST /size HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 4 + b"0\r\n\r\n"
    )
    assert (head[0], body) == (b"HTTP/1.1 200 OK", b"262144")


async def test_a_wish_for_another_protocol_is_not_heard() -> None:
    """A request that asks to be upgraded is answered as the HTTP that it is."""
    head, _ = await _exchange(
        b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: upgrade, close\r\n"
        b"Upgrade: websocket\r\n\r\n"
    )
    assert head[0] == b"HTTP/1.1 200 OK"


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET /livez HT", b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\nGET /livez HTTP/1.1\r\nHost:"],
    ids=["nothing", "the first", "a next one"],
)
async def test_a_head_that_does_not_end_is_given_up(
    sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection on which nothing comes, or half a head, is not held for ever."""
    monkeypatch.setattr("services.runtime.http._LONGEST_HEAD", 0.1)
    head, body = await _exchange(sent)
    last = body if sent.startswith(b"GET /livez HTTP") else b"\r\n".join(head)
    assert b"HTTP/1.1 400 Bad Request" in last
    assert b"The head was not whole within 0.1 s." in body


async def test_an_answer_under_way_outlasts_the_head_of_a_next_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Waiting for a next head breaks no answer off."""
    given_up = asyncio.Event()

    class Watched(http._Protocol):
        def _give_up(self) -> None:
            super()._give_up()
            given_up.set()

    monkeypatch.setattr(http, "_Protocol", Watched)
    monkeypatch.setattr(http, "_LONGEST_HEAD", 0.1)
    app = make_api("results", Readiness(), CollectorRegistry(), Tokens({}), "Test")

    @app.get("/late")
    async def late() -> str:
        await given_up.wait()
        return "late"

    async with serve_http(app, "127.0.0.1", 0, 1) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /late HTTP/1.1\r\nHost: x\r\n\r\nGET /late")
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
        writer.close()
