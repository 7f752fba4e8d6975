"""A dry run says what would become of a file, without Kafka and PostgreSQL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from services.ingest.api import jobs_router
from services.ingest.door import Door
from services.ingest.options import Options
from services.ingest.phone import normalise
from services.ingest.preview import DryRuns
from services.ingest.settings import IngestSettings
from services.ingest.spool import Spool
from services.ingest.submissions import BusyError
from services.runtime.api import Tokens, make_api
from services.runtime.health import Readiness
from services.runtime.metrics import registry_for
from tests.unit.held_source import HeldSource

TOKEN = "a-token-of-the-tests"
FILE = (
    "Tel;Who;ID\r\n"
    "(202) 555-0123;A;c1\r\n"
    "+1 202-555-0123;B;c2\r\n"
    "n/a;C;c3\r\n"
    "12;D;c4\r\n"
    "13;E;c5\r\n"
    "020 7946 0958;F;c6;too;many\r\n"
).encode("utf-16") + "+49 30 901820;Zoë;c\r\n".encode("utf-16-le") * 10


@pytest.fixture
def door() -> Door:
    """A door behind which nothing is yet."""
    return Door(Readiness("kafka", "postgresql"))


@pytest.fixture
def client(tmp_path: Path, door: Door) -> httpx.AsyncClient:
    """A client of an ingest that has neither Kafka nor PostgreSQL."""
    settings = IngestSettings(
        api_tokens=SecretStr(f"shop:{TOKEN}"), spool_directory=tmp_path, max_upload_bytes=10_000
    )
    spool = Spool(tmp_path, 20_000, 10_000)
    tokens = Tokens.from_settings(settings)
    app = make_api("ingest", Readiness(), registry_for("ingest"), tokens, "Ingest")
    app.include_router(jobs_router(door, spool, settings))
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://ingest",
        headers={"Authorization": f"Bearer {TOKEN}"},
    )


async def dry_run(client: httpx.AsyncClient, content: bytes, **query: Any) -> httpx.Response:
    return await client.post("/v1/jobs", params={"dry_run": "1", **query}, content=content)


async def test_a_row_on_which_our_own_code_fails_is_rejected_for_that(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in publishing: it does not keep the others back, and is no answer of 500."""

    def failing(text: str, *rest: Any) -> Any:
        if text == "13":
            raise ZeroDivisionError
        return normalise(text, *rest)

    monkeypatch.setattr("services.ingest.accept.normalise", failing)
    answer = await dry_run(client, FILE, default_country="US")
    assert answer.status_code == 200, answer.text
    reasons = {one["reason"]: one["rows"] for one in answer.json()["reasons"]}
    assert reasons == {"letters": 1, "too-short": 1, "too-many-cells": 1, "internal-error": 1}


async def test_it_says_what_would_be_taken_and_what_not(client: httpx.AsyncClient) -> None:
    """Counts, reasons with the way out, how the file is read, and ten contacts as they were read."""
    answer = await dry_run(client, FILE, default_country="US")
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["accepted"], body["rejected"], body["duplicates"]) == (12, 4, 10)
    assert [(one["reason"], one["rows"]) for one in body["reasons"]] == [
        ("too-short", 2),
        ("letters", 1),
        ("too-many-cells", 1),
    ]
    assert body["reasons"][1]["way_out"].endswith("Write it in digits alone.")
    found = body["found"]
    assert (found["kind"], found["encoding"], found["encoding_by"]) == ("csv", "utf-16-le", "mark")
    assert (found["delimiter"], found["header"], found["sheet"]) == (";", True, None)
    assert found["phone"] == [{"column": "Tel", "by": "heading"}]
    assert (found["country"], found["reference"]["column"]) == (None, "ID")
    assert len(body["contacts"]) == 10
    assert body["contacts"][0] == {
        "row": 2,
        "column": "Tel",
        "text": "(202) 555-0123",
        "phone": "+12025550123",
        "country": "US",
        "reference": "c1",
        "extra": {},
        "reason": None,
    }
    assert (body["contacts"][2]["text"], body["contacts"][2]["reason"]) == ("n/a", "letters")
    assert body["contacts"][5]["phone"] is None


async def test_nothing_of_it_is_kept_or_logged(
    client: httpx.AsyncClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file is gone from the disk with the answer, and no number of it is in the log."""
    await dry_run(client, FILE)
    await dry_run(client, b"Who;Here;There\r\n" + b"A;+12025550123;+12025550123\r\n")
    assert list(tmp_path.iterdir()) == []  # noqa: ASYNC240 - a test may block
    logged = capsys.readouterr().out
    assert "http request" in logged
    assert "555" not in logged


@pytest.mark.parametrize(
    ("content", "query", "status", "code"),
    [
        (b"", {}, 422, "empty-file"),
        (b"Who;Tel\r\n", {}, 422, "no-rows"),
        (b"Who\r\nA\r\n", {}, 422, "no-phone-column"),
        (b"Tel;Mobil\r\n1;2\r\n", {}, 422, "ambiguous-column"),
        (b"A;+12025550123\r\n", {"guess": "false"}, 422, "uncertain-column"),
        (b'Tel\r\n"1', {}, 422, "unclosed-quote"),
        (b"Tel\r\n1\r\n", {"packages": "horoscope"}, 422, None),
        (b"Tel\r\n1\r\n", {"account": "nobody"}, 422, None),
        (b"Tel\r\n1\r\n", {"phone_column": ["1"] * 17}, 422, None),
        (b"x" * 10_001, {}, 413, None),
    ],
)
async def test_what_cannot_be_taken_is_refused_as_in_earnest(
    client: httpx.AsyncClient, content: bytes, query: dict[str, Any], status: int, code: str | None
) -> None:
    """Each refusal is a problem with a stable type, the request's id and a way out."""
    answer = await dry_run(client, content, **query)
    body = answer.json()
    assert (answer.status_code, body.get("code")) == (status, code)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert body["type"].startswith("urn:bulk-lookup:problem:")
    assert body["request_id"] == answer.headers["X-Request-ID"]
    assert body["detail"]


async def test_columns_that_are_not_clear_are_named_for_programs(client: httpx.AsyncClient) -> None:
    """The problem lists the columns there are, and those that may be meant."""
    file = b"Who;Here;There\r\nA;+12025550123;+12025550124\r\n"
    body = (await dry_run(client, file)).json()
    assert body["columns"] == ["Who", "Here", "There"]
    assert body["candidates"] == [
        {"column": name, "numbers": 1, "of": 1, "example": f"+12*******{end}"}
        for name, end in (("Here", 23), ("There", 24))
    ]
    chosen = await dry_run(client, file, phone_column=["There", "Here"])
    assert [one["column"] for one in chosen.json()["contacts"]] == ["There", "Here"]


async def test_in_earnest_it_still_waits_for_kafka(client: httpx.AsyncClient) -> None:
    """Only a dry run needs nothing behind the door."""
    assert (await client.post("/v1/jobs", content=FILE)).status_code == 503


async def test_a_program_that_stops_takes_no_more(client: httpx.AsyncClient, door: Door) -> None:
    """After a stop was asked for, dry runs are turned away too."""
    door.close()
    answer = await dry_run(client, FILE)
    assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)


async def test_dry_runs_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """More at a time than there is room for are turned away, and the rest goes on."""
    monkeypatch.setattr("services.ingest.preview._TAKEN", 0)
    runs = DryRuns()
    source = HeldSource(b"Phone\n+12025550123\n")
    with pytest.raises(BusyError):
        await runs.run(source, Options(), is_json=False)
    monkeypatch.setattr("services.ingest.preview._TAKEN", 1)
    for _ in range(2):
        assert (await runs.run(source, Options(), is_json=False)).accepted == 1
