"""Columns that ride along and rejected rows, through a running ingest."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import httpx

from services.contracts.codec import decode
from services.contracts.messages import LookupRequest, RejectedContact

Read = Callable[[str], Awaitable[list[Any]]]

CSV = "Phone;Name;Note\n+4930901820;Zoë;'=1+1\n12;Ann;+x\n"
QUERY = {"keep": ["note", "Name"]}


async def test_what_goes_back_is_in_kafka_and_in_the_jobs_row(
    ingest: httpx.AsyncClient, read_topic: Read, database: asyncpg.Connection
) -> None:
    """Kept columns stand in the contact, a rejected row's cells in its record, headings by job."""
    answer = await ingest.post("/v1/jobs", params=QUERY, content=CSV.encode())
    assert answer.status_code == 201, answer.text
    assert answer.json()["found"]["kept"] == [
        {"column": "Note", "by": "option"},
        {"column": "Name", "by": "option"},
    ]
    (contact,) = await read_topic("contacts")
    extra = decode(contact.value, LookupRequest).extra
    assert list(extra.items()) == [("Note", "=1+1"), ("Name", "Zoë")]
    (refused,) = await read_topic("contacts.rejected")
    record = decode(refused.value, RejectedContact)
    assert (record.row, record.cells, record.cut) == (3, ("12", "Ann", "+x"), False)
    stored = await database.fetchval("SELECT headings FROM jobs")
    assert stored == ["Phone", "Name", "Note"]


async def test_columns_to_keep_make_another_job(ingest: httpx.AsyncClient) -> None:
    """The same file keeps its job as long as the same columns are kept."""
    jobs = []
    for query in (QUERY, QUERY, {}, {"keep": ["note"]}):
        answer = await ingest.post("/v1/jobs", params=query, content=CSV.encode())
        jobs.append(answer.json()["job_id"])
    assert jobs[0] == jobs[1]
    assert len(set(jobs)) == 3


async def test_a_dry_run_shows_what_would_ride_along(ingest: httpx.AsyncClient) -> None:
    """Before anything is paid, the columns to keep and their first cells can be seen."""
    query = QUERY | {"dry_run": "1"}
    answer = await ingest.post("/v1/jobs", params=query, content=CSV.encode())
    assert answer.status_code == 200
    shown = [contact["extra"] for contact in answer.json()["contacts"]]
    assert shown == [{"Note": "=1+1", "Name": "Zoë"}, {"Note": "+x", "Name": "Ann"}]


async def test_too_many_columns_to_keep_are_refused(ingest: httpx.AsyncClient) -> None:
    """The limit is an error of the request that names the option; one that is not there too."""
    many = {"keep": [f"c{n}" for n in range(21)]}
    answer = await ingest.post("/v1/jobs", params=many, content=CSV.encode())
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"].startswith("query.keep")
    answer = await ingest.post("/v1/jobs", params={"keep": "Nme"}, content=CSV.encode())
    assert (answer.status_code, answer.json()["code"]) == (422, "no-such-column")
    assert "`keep`" in answer.json()["detail"]
