import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest

from services.contracts.codec import decode
from services.contracts.messages import LookupRequest, RejectedContact
from services.ingest.settings import IngestSettings
from services.ingest.submissions import BusyError, Submissions
from services.local.processes import free_port
from services.runtime.kafka import partition_of

Until = Callable[[Callable[[], Awaitable[bool]]], Awaitable[None]]
Read = Callable[[str], Awaitable[list[Any]]]

FILE = (
    "\ufeffName;Phone;Customer ID\r\n"
    '"A\r\nB";+49 30 901820;c1\r\n'
    "C;030 901820;c2\r\n"
    "D;12;c3\r\n"
    "E;+1 202-555-0123;c4\r\n"
    "F;2025550123 abc;c5\r\n"
).encode()
QUERY = {"default_country": "DE", "packages": "caller_name"}


async def test_a_file_becomes_a_job_with_all_its_contacts_in_kafka(
    ingest: httpx.AsyncClient, read_topic: Read, database: asyncpg.Connection
) -> None:
    """The answer's counts, the records and the job's row say the same."""
    answer = await ingest.post(
        "/v1/jobs", params=QUERY, content=FILE, headers={"Content-Type": "text/csv"}
    )
    assert answer.status_code == 201, answer.text
    body = answer.json()
    link = f"https://results.example/v1/jobs/{body['job_id']}"
    assert body == {
        "job_id": body["job_id"],
        "accepted": 3,
        "rejected": 2,
        "duplicates": 1,
        "found": body["found"],
        "links": {"self": link, "results": f"{link}/results", "rejected": f"{link}/rejected"},
    }
    assert answer.headers["Location"] == link
    assert (body["found"]["kind"], body["found"]["delimiter"]) == ("csv", ";")
    assert body["found"]["phone"] == [{"column": "Phone", "by": "heading"}]

    records = await read_topic("contacts")
    contacts = [decode(record.value, LookupRequest) for record in records]
    assert {(c.row, c.phone, c.reference) for c in contacts} == {
        (2, "+4930901820", "c1"),
        (3, "+4930901820", "c2"),
        (5, "+12025550123", "c4"),
    }
    for record, contact in zip(records, contacts, strict=True):
        assert record.key == contact.phone.encode()
        assert record.partition == partition_of(record.key, 3)
        assert contact.packages == ("basic", "caller_name")
        assert contact.fresh_for == {"basic": 2592000, "caller_name": 2592000}
        assert (contact.source, contact.account, contact.turn) == ("shop", "default", 1)

    rejected = [decode(r.value, RejectedContact) for r in await read_topic("contacts.rejected")]
    assert [(r.row, r.column, r.reason) for r in rejected] == [
        (4, "Phone", "too-short"),
        (6, "Phone", "letters"),
    ]
    assert "55501" not in rejected[1].text

    job = await database.fetchrow("SELECT * FROM jobs WHERE job_id = $1", UUID(body["job_id"]))
    assert job is not None
    assert (job["state"], job["source"], job["packages"]) == (
        "sealed",
        "shop",
        ["basic", "caller_name"],
    )
    assert (job["accepted"], job["rejected"], job["duplicates"]) == (3, 2, 1)
    assert all(contact.accepted_at == job["created_at"] for contact in contacts)


async def test_each_phone_column_asked_for_gives_contacts(
    ingest: httpx.AsyncClient, read_topic: Read
) -> None:
    """A row with two numbers is two contacts, each with its column's name and an id of its own."""
    file = b"Who;Phone, work;Mobile\r\nA;+12025550123;+12025550124\r\nB;;+12025550125\r\nC;n/a;\r\n"
    answer = await ingest.post(
        "/v1/jobs", params={"phone_column": ["Phone, work", "mobile"]}, content=file
    )
    assert (answer.json()["accepted"], answer.json()["rejected"]) == (3, 1)
    contacts = [decode(r.value, LookupRequest) for r in await read_topic("contacts")]
    assert {(c.row, c.column, c.phone) for c in contacts} == {
        (2, "Phone, work", "+12025550123"),
        (2, "Mobile", "+12025550124"),
        (3, "Mobile", "+12025550125"),
    }
    assert len({c.request_id for c in contacts}) == 3


async def test_a_dry_run_publishes_and_stores_nothing(
    ingest: httpx.AsyncClient, read_topic: Read, database: asyncpg.Connection
) -> None:
    """It says what the job says afterwards, and leaves no trace."""
    dry = await ingest.post("/v1/jobs", params=QUERY | {"dry_run": "true"}, content=FILE)
    assert dry.status_code == 200
    assert await database.fetchval("SELECT count(*) FROM jobs") == 0
    assert await read_topic("contacts") == []
    assert await read_topic("contacts.rejected") == []
    job = await ingest.post("/v1/jobs", params=QUERY, content=FILE)
    assert job.status_code == 201
    for name in ("accepted", "rejected", "duplicates", "found"):
        assert dry.json()[name] == job.json()[name]


async def test_the_same_again_is_the_same_job_and_publishes_nothing(
    ingest: httpx.AsyncClient, read_topic: Read
) -> None:
    """Sending again, also in a form or with its defaults written out, changes nothing."""
    first = await ingest.post("/v1/jobs", params=QUERY, content=FILE)
    again = await ingest.post("/v1/jobs", params=QUERY, content=FILE)
    form = await ingest.post(
        "/v1/jobs",
        params=QUERY | {"packages": "basic,caller_name", "account": "default", "fresh_for": "30d"},
        files={"file": ("contacts.csv", FILE)},
    )
    assert (first.status_code, again.status_code, form.status_code) == (201, 200, 200)
    assert first.json() == again.json() == form.json()
    assert len(await read_topic("contacts")) == 3


@pytest.mark.parametrize(
    ("query", "content", "differs"),
    [
        (QUERY, FILE + b"G;+49 30 901821;c6\r\n", "content"),
        (QUERY | {"account": "other"}, FILE, "options"),
        (QUERY | {"fresh_for": "1h"}, FILE, "options"),
    ],
)
async def test_a_key_stands_for_one_content_and_one_set_of_options(
    ingest: httpx.AsyncClient, query: dict[str, str], content: bytes, differs: str
) -> None:
    """The same key with anything else is refused, and the answer names what differs."""
    headers = {"Idempotency-Key": "monday"}
    first = await ingest.post("/v1/jobs", params=QUERY, content=FILE, headers=headers)
    answer = await ingest.post("/v1/jobs", params=query, content=content, headers=headers)
    assert answer.status_code == 409
    assert answer.json()["type"].endswith(":idempotency-key-reused")
    assert answer.json()["job_id"] == first.json()["job_id"]
    assert answer.json()["differs"] == differs


async def test_a_broken_job_is_gone_on_with(
    ingest: httpx.AsyncClient, read_topic: Read, database: asyncpg.Connection
) -> None:
    """A job left `receiving` is published from the start with the very same records."""
    headers = {"Idempotency-Key": "monday"}
    first = await ingest.post("/v1/jobs", params=QUERY, content=FILE, headers=headers)
    await database.execute(
        "UPDATE jobs SET state = 'receiving', accepted = NULL, rejected = NULL, duplicates = NULL"
    )
    again = await ingest.post("/v1/jobs", params=QUERY, content=FILE, headers=headers)
    assert (again.status_code, again.json()) == (201, first.json())
    for topic, count in (("contacts", 3), ("contacts.rejected", 2)):
        values = [record.value for record in await read_topic(topic)]
        assert len(values) == 2 * count
        assert len(set(values)) == count


async def test_a_job_that_another_process_publishes_is_left_alone(
    ingest: httpx.AsyncClient, database: asyncpg.Connection
) -> None:
    """While another session holds the job's lock, sending it again gets 409 and a time."""
    first = await ingest.post("/v1/jobs", params=QUERY, content=FILE)
    job_id = UUID(first.json()["job_id"])
    await database.execute("UPDATE jobs SET state = 'receiving'")
    await database.execute(
        "SELECT pg_advisory_lock($1)", int.from_bytes(job_id.bytes[:8], "big", signed=True)
    )
    answer = await ingest.post("/v1/jobs", params=QUERY, content=FILE)
    assert answer.status_code == 409
    assert answer.json()["type"].endswith("in-progress")
    assert "Retry-After" in answer.headers


GOOD_ROWS = b"Phone\r\n" + b"+12025550123\r\n" * 3000


@pytest.mark.parametrize(
    ("content", "code", "row"),
    [
        (b"", "empty-file", None),
        (b"Phone\r\n", "no-rows", None),
        (b"Nothing;Here\r\n1;2\r\n", "no-phone-column", None),
        (GOOD_ROWS + b'"never closed\r\n', "unclosed-quote", 3002),
        (GOOD_ROWS + "ü".encode() + b"\xff\r\n", "bad-encoding", 3002),
    ],
)
async def test_a_file_that_cannot_be_taken_leaves_nothing(
    ingest: httpx.AsyncClient,
    read_topic: Read,
    database: asyncpg.Connection,
    content: bytes,
    code: str,
    row: int | None,
) -> None:
    """A fault anywhere in the file is found before anything is published or stored."""
    answer = await ingest.post("/v1/jobs", content=content)
    assert answer.status_code == 422
    assert (answer.json()["code"], answer.json()["row"]) == (code, row)
    assert await database.fetchval("SELECT count(*) FROM jobs") == 0
    assert await read_topic("contacts") == []


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ({"packages": "horoscope"}, {}, 422),
        ({"account": "No Such!"}, {}, 422),
        ({"default_country": "XX"}, {}, 422),
        ({"phone_colum": "typo"}, {}, 422),
        ({"fresh_for": "soon"}, {}, 422),
        ({}, {"Idempotency-Key": "k" * 256}, 422),
        ({}, {"Content-Type": "image/png"}, 415),
        ({}, {"Content-Type": "text/csv; charset=shift_jis"}, 415),
        ({}, {"Content-Encoding": "br"}, 415),
        ({}, {"Content-Type": "application/json"}, 422),
        ({"delimiter": ":"}, {}, 422),
        ({"encoding": "shift_jis"}, {}, 422),
        ({}, {"Content-Type": "multipart/form-data"}, 422),
        ({}, {"Authorization": "Bearer wrong-and-long-enough"}, 401),
    ],
)
async def test_a_wrong_request_is_refused_by_name(
    ingest: httpx.AsyncClient, query: dict[str, str], headers: dict[str, str], status: int
) -> None:
    """Options, headers and kinds of body that are not known are never guessed at."""
    answer = await ingest.post("/v1/jobs", params=query, content=FILE, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"


async def test_an_account_that_may_not_be_named_leaves_nothing(
    ingest: httpx.AsyncClient, read_topic: Read, database: asyncpg.Connection
) -> None:
    """An account beyond ACCOUNTS is refused with those that may be named; nothing is stored."""
    answer = await ingest.post("/v1/jobs", params=QUERY | {"account": "third"}, content=FILE)
    assert (answer.status_code, answer.json()["accounts"]) == (422, ["default", "other"])
    assert answer.json()["type"].endswith(":unknown-account")
    assert "'third'" in answer.json()["detail"]
    assert await database.fetchval("SELECT count(*) FROM jobs") == 0
    assert await read_topic("contacts") == []


async def _in_pieces(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 1000):
        yield b"x" * 1000


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize(
    ("limit", "room", "status"),
    [(50_000, 200_000, 413), (200_000, 50_000, 503)],
    ids=["over MAX_UPLOAD_BYTES", "over SPOOL_LIMIT_BYTES"],
)
async def test_a_file_over_the_limit_is_refused(
    settings: IngestSettings,
    running: Any,
    until: Until,
    limit: int,
    room: int,
    status: int,
    *,
    announced: bool,
) -> None:
    """Announced or not, a body over MAX_UPLOAD_BYTES gets 413, one over the spool's room 503."""
    small = settings.model_copy(update={"max_upload_bytes": limit, "spool_limit_bytes": room})
    async with running(small) as client:

        async def is_open() -> bool:
            return bool((await client.post("/v1/jobs", content=b"")).status_code == 422)

        await until(is_open)
        body = b"x" * 100_000 if announced else _in_pieces(100_000)
        answer = await client.post("/v1/jobs", content=body)
    assert answer.status_code == status
    assert ("Retry-After" in answer.headers) == (status == 503)


@pytest.mark.parametrize("asked", [0, 1], ids=["before the body", "after it"])
async def test_more_jobs_at_once_than_are_taken_are_sent_away_for_now(
    ingest: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, asked: int
) -> None:
    """Also when others took the room while the body came; sent again later, it is taken."""
    room = iter([True] * asked + [False])

    def check_room(_: Submissions) -> None:
        if not next(room):
            raise BusyError

    with monkeypatch.context() as patch:
        patch.setattr(Submissions, "check_room", check_room)
        answer = await ingest.post("/v1/jobs", params=QUERY, content=FILE)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.json()["type"].endswith(":unavailable")
    assert "Too many files" in answer.json()["detail"]
    assert "ingest_spool_bytes 0.0" in (await ingest.get("/metrics")).text
    assert (await ingest.post("/v1/jobs", params=QUERY, content=FILE)).status_code == 201


async def _begin_sending(
    settings: IngestSettings, client: httpx.AsyncClient, body: bytes, announced: int
) -> asyncio.StreamWriter:
    _, writer = await asyncio.open_connection("127.0.0.1", settings.http_port)
    writer.write(
        b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\n"
        b"Authorization: " + client.headers["Authorization"].encode() + b"\r\n"
        b"Idempotency-Key: monday\r\n"
        b"Content-Length: " + str(announced).encode() + b"\r\n\r\n" + body
    )
    await writer.drain()
    return writer


async def test_a_body_that_breaks_off_leaves_nothing_and_its_key_is_free(
    ingest: httpx.AsyncClient,
    settings: IngestSettings,
    database: asyncpg.Connection,
    until: Until,
) -> None:
    """Half a body is forgotten: no job, no bytes on disk; the whole one is taken by that key."""
    writer = await _begin_sending(settings, ingest, GOOD_ROWS, len(GOOD_ROWS) + 20)
    writer.close()
    series = 'ingest_http_request_duration_seconds_count{code="400",method="POST",route="/v1/jobs"}'

    async def ended() -> bool:
        return series in (await ingest.get("/metrics")).text

    await until(ended)
    assert await database.fetchval("SELECT count(*) FROM jobs") == 0
    assert "ingest_spool_bytes 0.0" in (await ingest.get("/metrics")).text
    again = await ingest.post("/v1/jobs", content=GOOD_ROWS, headers={"Idempotency-Key": "monday"})
    assert (again.status_code, again.json()["accepted"]) == (201, 3000)


async def test_leaving_after_the_whole_body_is_there_changes_nothing(
    ingest: httpx.AsyncClient,
    settings: IngestSettings,
    database: asyncpg.Connection,
    until: Until,
) -> None:
    """Publishing goes on until the job is sealed though nobody waits for the answer."""
    writer = await _begin_sending(settings, ingest, GOOD_ROWS, len(GOOD_ROWS))

    async def begun() -> bool:
        return bool(await database.fetchval("SELECT count(*) FROM jobs"))

    async def sealed() -> bool:
        accepted = await database.fetchval("SELECT accepted FROM jobs WHERE state = 'sealed'")
        return bool(accepted == 3000)

    await until(begun)
    writer.close()
    await until(sealed)


@pytest.mark.parametrize("away", ["kafka", "postgresql"])
async def test_without_kafka_or_postgresql_nothing_is_taken(
    settings: IngestSettings, running: Any, until: Until, away: str
) -> None:
    """The readiness probe says what is missing, uploads get 503 with a time, and a stop still works."""
    closed = f"127.0.0.1:{free_port()}"
    update: dict[str, Any] = (
        {"kafka_bootstrap_servers": closed}
        if away == "kafka"
        else {"database_url": type(settings.database_url)(f"postgresql://u@{closed}/d")}
    )
    async with running(settings.model_copy(update=update)) as client:

        async def waits() -> bool:
            return set((await client.get("/readyz")).json()["missing"]) == {away}

        await until(waits)
        answer = await client.post("/v1/jobs", content=FILE)
        assert (await client.get("/livez")).status_code == 200
    assert answer.status_code == 503
    assert "Retry-After" in answer.headers
    assert away in answer.json()["detail"]


async def test_the_api_says_what_it_takes(ingest: httpx.AsyncClient) -> None:
    """The OpenAPI page names the body's types and every option."""
    api = (await ingest.get("/openapi.json")).json()
    operation = api["paths"]["/v1/jobs"]["post"]
    assert {"text/csv", "application/x-ndjson", "application/gzip", "multipart/form-data"} <= set(
        operation["requestBody"]["content"]
    )
    names = {parameter["name"] for parameter in operation["parameters"]}
    assert {"phone_column", "sheet", "packages", "fresh_for", "Idempotency-Key"} <= names
