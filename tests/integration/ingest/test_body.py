"""Bodies on their way to the disk: what stops one is told by its type, and takes no room."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from prometheus_client import CollectorRegistry
from starlette.types import Message

from services.ingest.body import TYPES, spool_body
from services.ingest.patience import Patience
from services.ingest.spool import Spool
from services.runtime.api import Tokens, make_api
from services.runtime.health import Readiness

ROOM, LARGEST = 300, 200
FORM = "multipart/form-data; boundary=b"
PART = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nx\r\n'


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """Room for one file and a half."""
    return Spool(tmp_path, ROOM, LARGEST)


@pytest.fixture
def app(spool: Spool) -> FastAPI:
    """An API that takes a body, gives its size, and forgets it."""
    made = make_api("ingest", Readiness(), CollectorRegistry(), Tokens({}), "Test")

    @made.post("/bodies")
    async def take(request: Request) -> int:
        body = await spool_body(request, spool, Patience(silence=0.01))
        with body.file:
            return body.file.size

    return made


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client of it."""
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as made:
        yield made


async def _in_pieces(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def _standing_still() -> AsyncIterator[bytes]:
    yield b"x"
    await asyncio.Event().wait()


REFUSED: list[tuple[dict[str, str], Callable[[], Any], int, str, dict[str, Any]]] = [
    (
        {},
        lambda: b"x" * (LARGEST + 1),
        413,
        "file-too-large",
        {"max_bytes": LARGEST},
    ),
    (
        {},
        lambda: _in_pieces(b"x" * LARGEST, b"x"),
        413,
        "file-too-large",
        {"max_bytes": LARGEST},
    ),
    ({}, _standing_still, 408, "body-too-slow", {}),
    (
        {"Content-Type": "image/png"},
        lambda: b"x",
        415,
        "unsupported-type",
        {"types": ["multipart/form-data", *TYPES]},
    ),
    ({"Content-Type": "text/csv; charset=koi8-r"}, lambda: b"x", 415, "unsupported-charset", {}),
    ({"Content-Encoding": "br"}, lambda: b"x", 415, "encoded-body", {}),
    ({"Content-Encoding": "gzip, gzip"}, lambda: b"x", 415, "encoded-body", {}),
    ({"Content-Type": "multipart/form-data"}, lambda: PART, 422, "bad-form", {}),
    ({"Content-Type": FORM}, lambda: PART, 422, "bad-form", {}),
    ({"Content-Type": FORM}, lambda: PART + PART + b"--b--", 422, "bad-form", {}),
    ({"Content-Type": FORM}, lambda: b"--b--\r\n", 422, "bad-form", {}),
]


@pytest.mark.parametrize(("headers", "body", "status", "slug", "members"), REFUSED)
async def test_what_is_not_taken_is_told_by_its_type(
    client: httpx.AsyncClient,
    spool: Spool,
    headers: dict[str, str],
    body: Callable[[], Any],
    status: int,
    slug: str,
    members: dict[str, Any],
) -> None:
    """Each has its type, status and members, with the request's id; its room is given back."""
    answer = await client.post(
        "/bodies", content=body(), headers=headers | {"X-Request-ID": "request-of-a-test"}
    )
    problem = answer.json()
    said = ("title", "detail")
    assert {name: value for name, value in problem.items() if name not in said} == {
        "type": f"urn:bulk-lookup:problem:{slug}",
        "status": status,
        "request_id": "request-of-a-test",
        **members,
    }
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    _has_all_its_room(spool)


async def test_a_body_that_breaks_off_takes_no_room(app: FastAPI, spool: Spool) -> None:
    """What came is forgotten; the answer, if anybody should still read it, says to send it again."""
    told: list[Message] = []
    coming: Iterator[Message] = iter(
        [
            {"type": "http.request", "body": b"x" * 10, "more_body": True},
            {"type": "http.disconnect"},
        ]
    )

    async def receive() -> Message:
        return next(coming)

    async def send(message: Message) -> None:
        told.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/bodies",
        "query_string": b"",
        "headers": [(b"content-length", b"20")],
    }
    await app(scope, receive, send)
    assert told[0]["status"] == 400
    assert b"urn:bulk-lookup:problem:body-cut" in told[1]["body"]
    _has_all_its_room(spool)


@pytest.mark.parametrize("announced", [True, False])
async def test_more_than_the_disk_has_room_for_is_sent_away_for_now(
    client: httpx.AsyncClient, spool: Spool, *, announced: bool
) -> None:
    """While others take the room, 503 and a time; when they are done, the same body is taken."""
    body = b"x" * (ROOM - LARGEST + 1)
    with spool.open(0) as other:
        await other.fill(_in_pieces(b"x" * LARGEST))
        answer = await client.post("/bodies", content=body if announced else _in_pieces(body))
        _is_sent_away(answer)
    _has_all_its_room(spool)
    assert (await client.post("/bodies", content=body)).json() == len(body)


async def test_more_uploads_than_there_are_at_a_time_are_sent_away_for_now(
    client: httpx.AsyncClient, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However small they are: each holds a file."""
    monkeypatch.setattr("services.ingest.spool.MOST_FILES", 1)
    with spool.open(0):
        _is_sent_away(await client.post("/bodies", content=b""))
    assert (await client.post("/bodies", content=b"")).json() == 0


async def test_a_full_disk_sends_away_for_now(
    client: httpx.AsyncClient, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that others filled, found while writing, is no fault of ours or of the sender's."""
    full = partial(open, "/dev/full", "r+b", buffering=0)
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "TemporaryFile", lambda **_: full())
        _is_sent_away(await client.post("/bodies", content=b"x"))
    _has_all_its_room(spool)


def _is_sent_away(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.json()["type"] == "urn:bulk-lookup:problem:unavailable"
    assert "no room on disk" in answer.json()["detail"]


def _has_all_its_room(spool: Spool) -> None:
    """Nothing is counted against its limit."""
    with spool.open(LARGEST) as one:
        one.scratch().append(b"x" * ROOM)
