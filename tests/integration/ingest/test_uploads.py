"""Files of every kind, sent as a body and in a form, to a running ingest."""

from __future__ import annotations

import gzip
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import openpyxl
import pytest

from services.contracts.codec import decode
from services.contracts.messages import LookupRequest
from tests.unit.workbooks import by_hand, saved

Read = Callable[[str], Awaitable[list[Any]]]

CSV = "Phone;Name\n+493090182\N{SOFT HYPHEN}0;Zoë\n"
ROWS = [{"Phone": "+4930901820", "Name": "Zoë"}]
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def workbook() -> bytes:
    book = openpyxl.Workbook()
    book.create_sheet("May").append(["Phone"])
    book["May"].append([4930901820])
    book["May"]["A2"].number_format = "+0"
    book.create_sheet("June").append(["Phone"])
    return saved(book)


@pytest.mark.parametrize(
    ("name", "kind", "data", "row"),
    [
        ("a.csv", "text/csv", CSV.encode(), 2),
        ("a.csv", "text/csv; charset=utf-8", CSV.encode("cp1252"), 2),
        ("a.csv", "text/csv; charset=windows-1252", CSV.encode("cp1252"), 2),
        ("a.csv", "application/vnd.ms-excel", CSV.encode("utf-16"), 2),
        ("a.tsv", "text/tab-separated-values", CSV.replace(";", "\t").encode(), 2),
        ("a.jsonl", "application/x-ndjson", json.dumps(ROWS[0]).encode(), 1),
        ("a.json", "application/json", json.dumps(ROWS).encode(), 1),
        ("a.xlsx", XLSX, workbook(), 2),
        ("a.csv.gz", "application/gzip", gzip.compress(CSV.encode()), 2),
        ("a.xlsx.gz", "application/octet-stream", gzip.compress(workbook()), 2),
    ],
)
@pytest.mark.parametrize("way", ["body", "form"])
async def test_every_kind_of_file_becomes_a_job(
    ingest: httpx.AsyncClient,
    read_topic: Read,
    name: str,
    kind: str,
    data: bytes,
    row: int,
    way: str,
) -> None:
    """What a file is, its content says, however it is sent and whatever it is called."""
    query = {"sheet": "may"} if "xlsx" in name else {}
    sent: dict[str, Any] = (
        {"content": data, "headers": {"Content-Type": kind}}
        if way == "body"
        else {"files": {"file": (name, data, kind)}}
    )
    answer = await ingest.post("/v1/jobs", params=query, **sent)
    assert answer.status_code == 201, answer.text
    (record,) = await read_topic("contacts")
    contact = decode(record.value, LookupRequest)
    assert (contact.phone, contact.row) == ("+4930901820", row)
    again = await ingest.post("/v1/jobs", params=query, **sent)
    assert (again.status_code, again.json()["job_id"]) == (200, answer.json()["job_id"])


async def test_a_body_may_be_compressed_on_its_way(
    ingest: httpx.AsyncClient, read_topic: Read
) -> None:
    """`Content-Encoding: gzip` is undone as a compressed file is."""
    answer = await ingest.post(
        "/v1/jobs",
        content=gzip.compress(CSV.encode()),
        headers={"Content-Type": "text/csv", "Content-Encoding": "gzip"},
    )
    assert answer.status_code == 201, answer.text
    assert len(await read_topic("contacts")) == 1


@pytest.mark.parametrize(
    ("data", "query", "code"),
    [
        (workbook(), {}, "several-sheets"),
        (workbook(), {"sheet": "July"}, "no-such-sheet"),
        (workbook(), {"sheet": "May", "delimiter": ";"}, "wrong-option"),
        (CSV.encode(), {"file_name": "a.json"}, "json-not-objects"),
        (b"%PDF-1.7", {}, "not-a-table"),
        (gzip.compress(CSV.encode())[:-5], {}, "gzip-cut"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_file_that_cannot_be_taken_is_told_by_its_code(
    ingest: httpx.AsyncClient, read_topic: Read, data: bytes, query: dict[str, str], code: str
) -> None:
    """The code is for programs, and nothing was published."""
    answer = await ingest.post("/v1/jobs", params=query, content=data)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert answer.json()["type"].endswith(":bad-file")
    assert await read_topic("contacts") == []


async def test_what_a_workbook_unpacks_to_has_room_on_the_disk_or_is_sent_away(
    settings: Any, running: Any, until: Any
) -> None:
    """Strings that a workbook shares count against SPOOL_LIMIT_BYTES as an upload does."""
    text = "x" * 30_000
    book = by_hand('<row><c t="s"><v>0</v></c></row>', strings=f"<si><t>{text}</t></si>")
    small = settings.model_copy(update={"spool_limit_bytes": 20_000})
    async with running(small) as client:

        async def is_open() -> bool:
            return bool((await client.post("/v1/jobs", content=b"")).status_code == 422)

        await until(is_open)
        answer = await client.post("/v1/jobs", content=book)
        assert answer.status_code == 503, answer.text
        assert "Retry-After" in answer.headers
        assert "room on disk" in answer.json()["detail"]
