"""The API of results, on a real PostgreSQL and over a real connection."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import asyncpg
import httpx
import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from services.reference.openapi import results_api
from services.results.api import build_api
from services.results.migrate import migrate
from services.runtime.api import Tokens, make_api
from services.runtime.database import open_pool
from services.runtime.health import Readiness
from services.runtime.http import serve_http
from services.runtime.kafka import ProduceError
from services.runtime.program import Stop
from services.runtime.settings import DatabaseSettings

TOKEN = "a-token-for-the-tests"
JOB = UUID("6a1c1f7e-6f0e-5b43-9d0b-000000000001")
LATER_JOB = UUID("6a1c1f7e-6f0e-5b43-9d0b-000000000002")
PHONE = "+14155550100"
#: In the past, so that it lies before what the service takes for now.
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class Acts:
    """Notes what a person did."""

    done: list[tuple[str, bool, str, str]] = field(default_factory=list)
    refused: bool = False

    async def set_hold(self, key: str, *, held: bool, why: str, by: str) -> None:
        """Note it."""
        if self.refused:
            raise ProduceError("TopicAuthorizationFailedError")
        self.done.append((key, held, why, by))


@pytest.fixture
async def url(postgres: str) -> str:
    """URL of a migrated database of the test's own, as superuser."""
    await migrate(postgres)
    return postgres


@pytest.fixture
async def database(url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection that puts rows into the database."""
    connection = await asyncpg.connect(url)
    yield connection
    await connection.close()


@pytest.fixture
def acts() -> Acts:
    """What a person did over the API."""
    return Acts()


@pytest.fixture
async def client(url: str, acts: Acts) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the served API, whose token is named `ops`."""
    readiness = Readiness("postgresql")
    settings = DatabaseSettings(database_url=SecretStr(url))
    pool = await open_pool(settings, "results", readiness, Stop())
    app = make_api(
        "results", readiness, CollectorRegistry(), Tokens({"ops": TOKEN}), "Bulk Lookup: results"
    )
    build_api(app, pool, acts)
    async with (
        serve_http(app, "127.0.0.1", 0, 1) as port,
        httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {TOKEN}"}
        ) as made,
    ):
        yield made
    await pool.close()


async def add_job(database: asyncpg.Connection, job_id: UUID = JOB, **values: Any) -> None:
    """Add a sealed job of 3 contacts."""
    row = {
        "job_id": job_id,
        "source": "crm",
        "state": "sealed",
        "account": "main",
        "packages": ["basic", "caller_name"],
        "created_at": AT,
        "accepted": 3,
        "rejected": 1,
        "duplicates": 0,
    } | values
    await insert(database, "jobs", row)


async def add_request(database: asyncpg.Connection, number: int, **values: Any) -> UUID:
    """Add a contact of row `number`, and count it."""
    row = {
        "request_id": uuid5(JOB, str(number)),
        "job_id": JOB,
        "source": "crm",
        "account": "main",
        "phone": PHONE,
        "country": "US",
        "packages": ["basic", "caller_name"],
        "reference": f"r{number}",
        "row_number": number,
        "accepted_at": AT,
        "state": "pending",
        "generation": 0,
        "turn": 1,
        "answers": "{}",
    } | values
    await insert(database, "requests", row)
    await database.execute(
        "INSERT INTO job_counts VALUES ($1, $2, 1) "
        "ON CONFLICT (job_id, state) DO UPDATE SET n = job_counts.n + 1",
        row["job_id"],
        row["state"],
    )
    return UUID(str(row["request_id"]))


async def add_dead_letter(database: asyncpg.Connection, offset: int, **values: Any) -> None:
    """Add a dead letter at this offset."""
    row = {
        "topic": "lookup.dead-letters",
        "partition": 0,
        "offset": offset,
        "dead_letter_id": uuid5(JOB, f"dead {offset}"),
        "reason": "attempts-exhausted",
        "detail": "four attempts failed",
        "recorded_at": AT + timedelta(seconds=offset),
    } | values
    await insert(database, "dead_letters", row)


async def insert(database: asyncpg.Connection, table: str, row: dict[str, Any]) -> None:
    """Insert one row."""
    columns = ", ".join(f'"{name}"' for name in row)
    places = ", ".join(f"${place}" for place in range(1, len(row) + 1))
    await database.execute(f"INSERT INTO {table} ({columns}) VALUES ({places})", *row.values())  # noqa: S608 - the tests' own names


def answered(**statuses: str) -> str:
    """Answers of packages by status, as JSON."""
    return (
        "{"
        + ", ".join(
            f'"{package}": {{"status": "{status}", "looked_up_at": "2026-03-01T12:00:00Z", '
            f'"billed": "{"yes" if package == "caller_name" else "no"}", '
            f'"data": {{"valid": true}}}}'
            for package, status in statuses.items()
        )
        + "}"
    )


async def pages_of(client: httpx.AsyncClient, path: str, **params: Any) -> list[list[Any]]:
    """Every page of a list, following `next`."""
    pages = []
    while True:
        answer = await client.get(path, params=params)
        assert answer.status_code == 200, answer.text
        pages.append(answer.json()["items"])
        if answer.json()["next"] is None:
            return pages
        params["after"] = answer.json()["next"]


async def test_a_job_adds_up(client: httpx.AsyncClient, database: asyncpg.Connection) -> None:
    """A job shows its totals, states, last contacts, reasons, packages, calls and holds."""
    await add_job(database, accepted=5)
    await add_request(
        database,
        2,
        state="completed",
        ended_at=datetime.now(UTC),
        answers=answered(basic="ok", caller_name="ok"),
    )
    await add_request(
        database,
        3,
        state="completed",
        ended_at=AT,
        answers=answered(basic="ok", caller_name="failed"),
    )
    dead = await add_request(database, 4, state="dead", ended_at=AT, last_error="read-timeout")
    await add_dead_letter(database, 0, job_id=JOB, request_id=dead)
    await add_request(database, 5, state="parked", causes=["account:main:person"])
    await database.execute("INSERT INTO job_counts VALUES ($1, 'rejected', 1)", JOB)
    for key, held in (("account:main:person", True), ("account:other:person", True)):
        await insert(
            database, "holds", {"key": key, "held": held, "why": "tests", "by": "me", "at": AT}
        )

    job = (await client.get(f"/v1/jobs/{JOB}")).json()

    assert job["sealed"] == {"accepted": 5, "rejected": 1, "duplicates": 0}
    assert {state: n for state, n in job["counts"].items() if n} == {
        "completed": 2,
        "dead": 1,
        "parked": 1,
    }
    assert (job["known"], job["finished"], job["rejected"]) == (4, 3, 1)
    assert (job["share"], job["complete"]) == (0.6, False)
    # One ended within the last minute; one is neither finished nor held.
    assert job["rate_per_second"] == round(1 / 60, 3)
    assert job["seconds_left"] == pytest.approx(60)
    assert [hold["key"] for hold in job["holds"]] == ["account:main:person"]
    assert [contact["row"] for contact in job["last_successes"]] == [2, 3]
    assert [contact["row"] for contact in job["last_failures"]] == [4]
    assert job["reasons"] == [
        {"state": "dead", "reason": "attempts-exhausted", "count": 1},
        {"state": "parked", "reason": "account:main:person", "count": 1},
    ]
    caller_name = job["outcomes"][1]
    assert caller_name["package"] == "caller_name"
    assert (caller_name["ok"], caller_name["failed"]) == (1, 1)
    assert (caller_name["asked"], caller_name["billed_yes"]) == (2, 2)
    assert job["created_at"] == "2026-03-01T12:00:00Z"


async def test_a_quick_look_leaves_the_breakdown_out(
    client: httpx.AsyncClient, database: asyncpg.Connection
) -> None:
    """Who watches a job asks without what takes a walk over all of its contacts."""
    await add_job(database)
    job = (await client.get(f"/v1/jobs/{JOB}", params={"breakdown": "false"})).json()
    assert (job["reasons"], job["outcomes"]) == (None, None)


async def test_the_sum_holds_at_every_reading(
    client: httpx.AsyncClient, database: asyncpg.Connection
) -> None:
    """While contacts come and change, what a reading knows is always the count of its rows."""
    await add_job(database)

    async def write() -> None:
        for number in range(60):
            async with database.transaction():
                await add_request(database, number, state="completed", answers=answered(basic="ok"))

    writing = asyncio.create_task(write())
    readings: list[tuple[int, int, int]] = []
    while not writing.done() or not readings:
        job = (await client.get(f"/v1/jobs/{JOB}")).json()
        rows = sum(outcome["asked"] for outcome in job["outcomes"])
        readings.append((job["known"], sum(job["counts"].values()), rows))
    await writing
    assert all(known == states == rows for known, states, rows in readings)


async def test_jobs_come_newest_first(
    client: httpx.AsyncClient, database: asyncpg.Connection
) -> None:
    """Pages of jobs hold each once, the newest first, also those of one instant."""
    await add_job(database, UUID(int=1))
    await add_job(database, UUID(int=2))
    await add_job(database, UUID(int=3), created_at=AT + timedelta(seconds=1))
    pages = await pages_of(client, "/v1/jobs", limit=2)
    assert [[UUID(job["job_id"]).int for job in page] for page in pages] == [[3, 2], [1]]


@pytest.mark.parametrize(
    ("filters", "rows"),
    [
        ({}, [None, 2, 3, 4, 10]),
        ({"state": "completed"}, [None, 2, 3]),
        ({"state": "dead"}, [10]),
        ({"package_status": "failed"}, [3]),
        ({"package_status": "caller_name:failed"}, [3]),
        ({"package_status": "basic:failed"}, []),
        ({"package_status": "exhausted"}, [4]),
        ({"package_status": "caller_name:ok"}, [2]),
        ({"state": "completed", "package_status": "basic:ok"}, [None, 2, 3]),
    ],
)
async def test_results_by_the_page(
    client: httpx.AsyncClient,
    database: asyncpg.Connection,
    filters: dict[str, str],
    rows: list[int | None],
) -> None:
    """Pages hold each contact once, in the order of the file, by state and package."""
    await add_job(database)
    await add_request(database, 10, state="dead")
    await add_request(database, 4, answers=answered(basic="ok", caller_name="exhausted"))
    await add_request(
        database, 3, state="completed", answers=answered(basic="ok", caller_name="failed")
    )
    await add_request(
        database, 2, state="completed", answers=answered(basic="ok", caller_name="ok")
    )
    await add_request(database, 0, row_number=None, state="completed", answers=answered(basic="ok"))
    await add_request(database, 99, job_id=LATER_JOB)
    for limit in (1, 2, 1000):
        pages = await pages_of(client, f"/v1/jobs/{JOB}/results", limit=limit, **filters)
        assert [contact["row"] for page in pages for contact in page] == rows
        assert max(len(page) for page in pages) <= limit


async def test_a_contact_is_whole(client: httpx.AsyncClient, database: asyncpg.Connection) -> None:
    """A contact carries the client's reference, and every package asked for, owed ones too."""
    await add_job(database)
    await add_request(database, 2, answers=answered(basic="ok"))
    (contact,) = (await client.get(f"/v1/jobs/{JOB}/results")).json()["items"]
    assert (contact["reference"], contact["row"], contact["phone"]) == ("r2", 2, PHONE)
    assert [(p["package"], p["status"]) for p in contact["packages"]] == [
        ("basic", "ok"),
        ("caller_name", "owed"),
    ]
    assert contact["packages"][0]["data"] == {"valid": True}
    assert contact["packages"][0]["looked_up_at"] == "2026-03-01T12:00:00Z"


async def test_rejected_rows(client: httpx.AsyncClient, database: asyncpg.Connection) -> None:
    """Rejected rows come in the order of the file, with column, reason and masked text."""
    await add_job(database)
    for number in (7, 5, 6):
        row = {
            "rejection_id": uuid5(JOB, f"rejected {number}"),
            "job_id": JOB,
            "row_number": number,
            "column_name": "phone",
            "reason": "too-short",
            "masked_text": "***",
            "rejected_at": AT,
        }
        await insert(database, "rejected", row)
    pages = await pages_of(client, f"/v1/jobs/{JOB}/rejected", limit=2)
    assert [[item["row"] for item in page] for page in pages] == [[5, 6], [7]]
    assert pages[0][0]["column"] == "phone"


async def test_a_number_is_found(client: httpx.AsyncClient, database: asyncpg.Connection) -> None:
    """A search shows the newest answers for a number and who asked for it, by account or all."""
    await add_job(database)
    request = await add_request(database, 2, state="completed")
    await add_request(database, 3, account="other", accepted_at=AT + timedelta(hours=1))
    await add_request(database, 4, phone="+14155550101")
    for account in ("main", "other"):
        row = {
            "account": account,
            "phone": PHONE,
            "package": "basic",
            "looked_up_at": AT,
            "answer": '{"status": "ok", "looked_up_at": "2026-03-01T12:00:00Z"}',
            "request_id": request,
        }
        await insert(database, "answers", row)
    both = (await client.post("/v1/numbers/search", json={"phone": "+1 415-555-0100"})).json()
    assert both["phone"] == PHONE
    assert [answer["account"] for answer in both["answers"]] == ["main", "other"]
    assert [contact["row"] for contact in both["requests"]] == [3, 2]
    assert both["newest_at"] == "2026-03-01T12:00:00Z"
    one = (
        await client.post("/v1/numbers/search", json={"phone": PHONE, "account": "other"})
    ).json()
    assert [answer["account"] for answer in one["answers"]] == ["other"]
    assert [contact["row"] for contact in one["requests"]] == [3]
    none = (await client.post("/v1/numbers/search", json={"phone": "+442079460000"})).json()
    assert (none["answers"], none["requests"], none["newest_at"]) == ([], [], None)


@pytest.mark.parametrize(
    ("filters", "offsets"),
    [
        ({}, [3, 2, 1, 0]),
        ({"reason": "undecodable"}, [3]),
        ({"job": str(JOB)}, [2, 1, 0]),
        ({"job": str(JOB), "reason": "number-not-found"}, [1]),
    ],
)
async def test_dead_letters(
    client: httpx.AsyncClient,
    database: asyncpg.Connection,
    filters: dict[str, str],
    offsets: list[int],
) -> None:
    """Dead letters come newest first, by reason and job, with where the contact stands now."""
    request = await add_request(database, 2, state="completed")
    await add_dead_letter(database, 0, job_id=JOB, request_id=request, original_offset=0)
    await add_dead_letter(database, 1, job_id=JOB, reason="number-not-found", original_offset=1)
    await add_dead_letter(database, 2, job_id=JOB, original_offset=2)
    await add_dead_letter(database, 3, reason="undecodable", original_offset=3)
    for limit in (1, 100):
        pages = await pages_of(client, "/v1/dead-letters", limit=limit, **filters)
        assert [item["original_offset"] for page in pages for item in page] == offsets
    if 0 in offsets:
        assert (pages[-1][-1]["state_now"], pages[-1][-1]["phone"]) == ("completed", PHONE)


async def test_dead_letters_by_reason(
    client: httpx.AsyncClient, database: asyncpg.Connection
) -> None:
    """The summary counts dead letters by reason, the most frequent first."""
    for offset in range(2):
        await add_dead_letter(database, offset)
    await add_dead_letter(database, 2, reason="undecodable")
    assert (await client.get("/v1/dead-letters/summary")).json() == {
        "total": 3,
        "reasons": [
            {"reason": "attempts-exhausted", "count": 2, "newest_at": "2026-03-01T12:00:01Z"},
            {"reason": "undecodable", "count": 1, "newest_at": "2026-03-01T12:00:02Z"},
        ],
    }


async def test_accounts_and_their_holds(
    client: httpx.AsyncClient, database: asyncpg.Connection
) -> None:
    """An account is known by its jobs, its holds or what is parked; a package's hold lets it run."""
    await add_job(database)
    await add_request(database, 2, account="inbound", state="parked")
    for key, held in (
        ("account:main:person", True),
        ("account:main:refused", False),
        ("account:eu:package:caller_name", True),
        (f"job:{JOB}:person", True),
    ):
        await insert(
            database, "holds", {"key": key, "held": held, "why": "tests", "by": "me", "at": AT}
        )
    found = (await client.get("/v1/accounts")).json()["accounts"]
    assert [
        (one["name"], one["running"], [hold["cause"] for hold in one["holds"]], one["parked"])
        for one in found
    ] == [
        ("eu", True, ["package:caller_name"], 0),
        ("inbound", True, [], 1),
        ("main", False, ["person"], 0),
    ]


async def test_a_person_stops_and_resumes(
    client: httpx.AsyncClient, database: asyncpg.Connection, acts: Acts
) -> None:
    """A stop sets the person's cause; a resume clears every cause, and a stop not yet read."""
    stopped = await client.post("/v1/accounts/main/stop", json={"why": "maintenance"})
    assert stopped.json() == {"name": "main", "held": True, "causes": ["person"], "by": "ops"}
    for key in ("account:main:refused", "account:main2:refused"):
        await insert(
            database, "holds", {"key": key, "held": True, "why": "20003", "by": "lookup", "at": AT}
        )
    resumed = await client.post("/v1/accounts/main/resume", json={"why": "new key"})
    assert resumed.json()["causes"] == ["person", "refused"]
    assert acts.done == [
        ("account:main:person", True, "maintenance", "ops"),
        ("account:main:person", False, "new key", "ops"),
        ("account:main:refused", False, "new key", "ops"),
    ]


async def test_a_person_stops_and_resumes_a_job(
    client: httpx.AsyncClient, database: asyncpg.Connection, acts: Acts
) -> None:
    """A stop sets the person's cause; a resume clears every cause of the job, read back or not."""
    await add_job(database)
    stopped = await client.post(f"/v1/jobs/{JOB}/stop", json={"why": "wrong file"})
    assert stopped.json() == {
        "job_id": str(JOB),
        "held": True,
        "causes": ["person"],
        "by": "ops",
    }
    resumed = await client.post(f"/v1/jobs/{JOB}/resume", json={"why": "mended"})
    assert (resumed.json()["held"], resumed.json()["causes"]) == (
        False,
        ["person", "configuration"],
    )
    assert acts.done == [
        (f"job:{JOB}:person", True, "wrong file", "ops"),
        (f"job:{JOB}:person", False, "mended", "ops"),
        (f"job:{JOB}:configuration", False, "mended", "ops"),
    ]


async def test_a_job_shows_its_holds(
    client: httpx.AsyncClient, database: asyncpg.Connection
) -> None:
    """What holds a job itself stands in it with its key; another job's does not."""
    await add_job(database)
    for key in (f"job:{JOB}:configuration", f"job:{LATER_JOB}:person"):
        await insert(
            database, "holds", {"key": key, "held": True, "why": "60622", "by": "lookup", "at": AT}
        )
    (hold,) = (await client.get(f"/v1/jobs/{JOB}")).json()["holds"]
    assert (hold["key"], hold["why"]) == (f"job:{JOB}:configuration", "60622")


@pytest.mark.parametrize("act", ["stop", "resume"])
@pytest.mark.parametrize("path", ["/v1/accounts/main", f"/v1/jobs/{JOB}"])
async def test_what_kafka_refuses_is_said(
    client: httpx.AsyncClient, database: asyncpg.Connection, acts: Acts, path: str, act: str
) -> None:
    """A stop or resume that Kafka does not take is a problem of its own, not a fault of ours."""
    await add_job(database)
    acts.refused = True
    answer = await client.post(f"{path}/{act}", json={"why": "tests"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.json()["type"] == "urn:bulk-lookup:problem:refused-by-kafka"


async def test_summary(client: httpx.AsyncClient, database: asyncpg.Connection) -> None:
    """The summary adds up all jobs and names the oldest unfinished contact."""
    await add_job(database)
    await add_job(database, LATER_JOB, state="standing", accepted=None)
    await add_request(database, 2, state="completed")
    await add_request(database, 3, accepted_at=AT + timedelta(hours=1))
    oldest = await add_request(database, 4, job_id=LATER_JOB, state="retrying")
    summary = (await client.get("/v1/summary")).json()
    assert (summary["known"], summary["rejected"]) == (3, 0)
    assert {state: n for state, n in summary["counts"].items() if n} == {
        "completed": 1,
        "pending": 1,
        "retrying": 1,
    }
    assert summary["jobs"] == {"sealed": 1, "standing": 1}
    assert summary["oldest_unfinished"]["request_id"] == str(oldest)
    assert summary["oldest_unfinished"]["age_seconds"] > 0
    assert summary["holds"] == []


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "field"),
    [
        ("GET", f"/v1/jobs/{JOB}", None, 404, None),
        ("GET", f"/v1/jobs/{JOB}/results", None, 404, None),
        ("GET", f"/v1/jobs/{JOB}/rejected", None, 404, None),
        ("POST", f"/v1/jobs/{JOB}/stop", {"why": "x"}, 404, None),
        ("POST", f"/v1/jobs/{JOB}/resume", {"why": "x"}, 404, None),
        ("POST", f"/v1/jobs/{JOB}/stop", {"why": " "}, 422, "body.why"),
        ("POST", f"/v1/jobs/{JOB}/stop", {"why": "a\0b"}, 422, "body.why"),
        ("POST", f"/v1/jobs/{JOB}/stop", {"why": "x" * 500 + " "}, 422, "body.why"),
        ("GET", "/v1/dead-letters?reason=%00", None, 422, "query.reason"),
        ("GET", "/v1/jobs/4155550100", None, 422, "path.job_id"),
        ("GET", "/v1/jobs?after=nonsense", None, 422, "query.after"),
        ("GET", f"/v1/jobs/{JOB}/results?after=nonsense", None, 422, "query.after"),
        ("GET", "/v1/dead-letters?after=nonsense", None, 422, "query.after"),
        ("GET", "/v1/jobs?limit=0", None, 422, "query.limit"),
        ("GET", "/v1/jobs?limit=1001", None, 422, "query.limit"),
        ("GET", f"/v1/jobs/{JOB}/results?state=gone", None, 422, "query.state"),
        ("GET", f"/v1/jobs/{JOB}/results?package_status=x:ok", None, 422, "query.package_status"),
        ("POST", "/v1/numbers/search", {"phone": "4155550100"}, 422, "body.phone"),
        ("POST", "/v1/numbers/search", {}, 422, "body.phone"),
        ("POST", "/v1/accounts/Main/stop", {"why": "x"}, 422, "path.name"),
        ("POST", "/v1/accounts/main/stop", {"why": " "}, 422, "body.why"),
    ],
)
async def test_what_is_wrong_is_said(
    client: httpx.AsyncClient,
    method: str,
    path: str,
    body: dict[str, str] | None,
    status: int,
    field: str | None,
) -> None:
    """An unknown job and a wrong field are problems that name it and repeat no number."""
    answer = await client.request(method, path, json=body)
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert field is None or answer.json()["errors"][0]["field"] == field
    assert "4155550100" not in answer.text


async def test_a_body_that_is_no_text_is_refused(client: httpx.AsyncClient) -> None:
    """What cannot be read at all has a type of its own, and is no fault of the service."""
    answer = await client.post(
        "/v1/numbers/search", content=b"\xff", headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 400
    assert answer.json()["type"] == "urn:bulk-lookup:problem:unreadable"


async def test_the_description_is_whole(client: httpx.AsyncClient) -> None:
    """OpenAPI describes every route with its security, model and problems, as published."""
    described = (await client.get("/openapi.json")).json()
    assert described == results_api()
    routes = {
        (path, method): route
        for path, methods in described["paths"].items()
        for method, route in methods.items()
        if path.startswith("/v1/")
    }
    assert len(routes) == 16
    for (path, _), route in routes.items():
        assert route["security"] == [{"HTTPBearer": []}]
        content = route["responses"]["200"]["content"]
        if path.endswith((".csv", ".jsonl")):
            assert set(content) == {"text/csv" if path.endswith("csv") else "application/jsonl"}
        else:
            assert "$ref" in content["application/json"]["schema"]
        problem = route["responses"]["422"]["$ref"].rpartition("/")[2]
        content = described["components"]["responses"][problem]["content"]
        assert "application/problem+json" in content
