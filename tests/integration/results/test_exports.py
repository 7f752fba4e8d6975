"""What comes back to the client: from records on Kafka, by way of PostgreSQL, to files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator
from uuid import UUID

import httpx
import pytest
from prometheus_client import CollectorRegistry

from services.contracts.messages import Message
from services.results import api_exports
from services.results.api import build_api
from services.results.store import Store
from services.runtime.api import Tokens, make_api
from services.runtime.database import Pool
from services.runtime.health import Readiness
from services.runtime.http import serve_http
from tests.integration.results.made import JOB, moves, rejected, request, result, taken

HEADINGS = ["Phone", "Note"]
EXTRA = {"Note": '=1+1, "Zoë"\r\n', "state": "CA"}


class NoActs:
    """Nobody does anything."""

    async def set_hold(self, key: str, *, held: bool, why: str, by: str) -> None:  # noqa: ARG002 - the interface
        """Is never called."""
        raise AssertionError(key)


@pytest.fixture
async def client(pool: Pool) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the served API."""
    tokens = Tokens({"ops": "token-of-the-tests"})
    app = make_api("results", Readiness(), CollectorRegistry(), tokens, "results")
    build_api(app, pool, NoActs())
    headers = {"Authorization": "Bearer token-of-the-tests"}
    async with (
        serve_http(app, "127.0.0.1", 0, 1) as port,
        httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}/v1", headers=headers, timeout=60
        ) as made,
    ):
        yield made


@pytest.fixture(autouse=True)
async def job(pool: Pool) -> None:
    """The job as ingest has stored it."""
    found = {
        "delimiter": ";",
        "kept": [{"column": "Note", "by": "option"}, {"column": "state", "by": "option"}],
    }
    await pool.execute(
        "INSERT INTO jobs (job_id, source, state, account, packages, options, headings) "
        "VALUES ($1, 'tests', 'sealed', 'main', '{basic}', $2, $3)",
        JOB,
        {"found": found},
        HEADINGS,
    )


async def write(store: Store, topic: str, *messages: Message, first: int = 0) -> None:
    records = taken(topic, *messages, first=first)
    await store.write(records, moves(records))


def rows_of(answer: httpx.Response, delimiter: str = ",") -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    text = io.StringIO(answer.content.decode("utf-8-sig"), newline="")
    return list(csv.DictReader(text, delimiter=delimiter, strict=True))


async def test_texts_that_ride_along_come_back(
    client: httpx.AsyncClient, store: Store, pool: Pool
) -> None:
    """Kept columns are stored with the request, once, and stand in every form of its results.

    Whichever of its records is read first: the result alone will do.
    """
    await write(store, "lookup.results", result(1, extra=EXTRA))
    await write(store, "contacts", request(1, extra=EXTRA), request(2))
    await write(store, "contacts", request(1, extra=EXTRA), first=2)

    first, second = rows_of(await client.get(f"/jobs/{JOB}/results.csv"))
    assert (first["Note"], first["extra.state"]) == ("'" + EXTRA["Note"], "CA")
    assert (first["row"], first["column"], first["state"]) == ("2", "phone", "completed")
    assert (second["Note"], second["extra.state"], second["state"]) == ("", "", "pending")

    lines = (await client.get(f"/jobs/{JOB}/results.jsonl")).text.splitlines()
    listed = (await client.get(f"/jobs/{JOB}/results")).json()["items"]
    assert list(map(json.loads, lines)) == listed
    assert [contact["extra"] for contact in listed] == [EXTRA, {}]
    assert list(listed[0]["extra"]) == list(EXTRA)
    # A contact without any takes no room for it.
    assert await pool.fetchval("SELECT count(*) FROM requests WHERE extra IS NULL") == 1


async def test_a_file_holds_what_was_asked_for(client: httpx.AsyncClient, store: Store) -> None:
    """The filters of the list hold for files too."""
    await write(store, "contacts", request(1), request(2))
    await write(store, "lookup.results", result(2))
    path = f"/jobs/{JOB}/results.csv"
    found = rows_of(await client.get(path, params={"state": "completed"}))
    assert [row["row"] for row in found] == ["3"]
    found = rows_of(await client.get(path, params={"package_status": "basic:ok"}))
    assert [row["row"] for row in found] == ["3"]


async def test_rejected_rows_come_back_as_they_were(
    client: httpx.AsyncClient, store: Store
) -> None:
    """Cells of any kind are stored once and given back; the list shows them masked alone."""
    awkward = ('=1 "Zoë"', "a\\b,{NULL}\n;")
    rows = [
        rejected(2, cells=awkward),
        rejected(3, cells=("12",), cut=True),
        rejected(4),
        rejected(5, cells=()),
    ]
    await write(store, "contacts.rejected", *rows)
    await write(store, "contacts.rejected", *rows, first=4)

    answer = await client.get(f"/jobs/{JOB}/rejected.csv")
    assert f'filename="rejected-{JOB}.csv"' in answer.headers["Content-Disposition"]
    assert answer.headers["Cache-Control"] == "no-store"
    found = rows_of(answer, ";")
    assert [row["rejected.row"] for row in found] == ["2", "3", "4", "5"]
    assert (found[0]["Phone"], found[0]["Note"]) == ("'" + awkward[0], awkward[1])
    assert (found[0]["rejected.column"], found[0]["rejected.reason"]) == ("phone", "too-short")
    assert "too long to be given back" in found[1]["rejected.way_out"]
    assert "not known any more" in found[2]["rejected.way_out"]

    listed = (await client.get(f"/jobs/{JOB}/rejected")).text
    assert "Zoë" not in listed
    assert json.loads(listed)["items"][0]["way_out"].startswith("There are too few digits")


async def test_a_large_job_is_written_by_the_page(
    client: httpx.AsyncClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every contact and every rejected row stands in its file once, in the order of the file."""
    monkeypatch.setattr(api_exports, "PAGE", 2)
    await write(store, "contacts", *(request(number) for number in range(1, 7)))
    await write(store, "contacts.rejected", *(rejected(number) for number in range(1, 6)))
    found = rows_of(await client.get(f"/jobs/{JOB}/results.csv"))
    assert [row["row"] for row in found] == ["2", "3", "4", "5", "6", "7"]
    found = rows_of(await client.get(f"/jobs/{JOB}/rejected.csv"), ";")
    assert [row["rejected.row"] for row in found] == ["1", "2", "3", "4", "5"]


async def test_a_file_that_breaks_off_is_not_taken_for_a_whole_one(
    client: httpx.AsyncClient, store: Store, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault in the middle breaks the connection; the next file is written all the same."""
    monkeypatch.setattr(api_exports, "PAGE", 1)
    monkeypatch.setattr(api_exports, "MAX_AT_ONCE", 1)
    await write(store, "contacts", request(1), request(2))
    path = f"/jobs/{JOB}/results.csv"
    await pool.execute(
        "UPDATE requests SET answers = '{\"basic\": 1}' WHERE request_id = $1", UUID(int=2)
    )
    with pytest.raises(httpx.RemoteProtocolError):
        await client.get(path)
    await pool.execute("UPDATE requests SET answers = '{}'")
    assert len(rows_of(await client.get(path))) == 2


async def test_so_many_files_are_written_at_a_time(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One more is refused, and told when to come again."""
    monkeypatch.setattr(api_exports, "MAX_AT_ONCE", 0)
    answer = await client.get(f"/jobs/{JOB}/results.csv")
    assert answer.status_code == 503
    assert answer.json()["type"].endswith(":too-many-exports")
    assert answer.headers["Retry-After"]


@pytest.mark.parametrize("file", ["results.csv", "results.jsonl", "rejected.csv"])
async def test_a_job_that_is_not_there_has_no_file(client: httpx.AsyncClient, file: str) -> None:
    """An unknown job is a problem, not an empty file."""
    answer = await client.get(f"/jobs/{UUID(int=99)}/{file}")
    assert (answer.status_code, answer.json()["type"][-11:]) == (404, "unknown-job")
