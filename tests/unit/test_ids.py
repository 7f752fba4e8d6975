"""Ids are the same for ever, and differ where what they name differs."""

from __future__ import annotations

import json
from uuid import UUID, uuid5

from hypothesis import given
from hypothesis import strategies as st

from services.ingest import ids

JOB = UUID("00000000-0000-5000-8000-000000000001")
HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
CONTENT = ids.content_key(HASH, {"packages": ["basic"], "default_country": None})


def request_id(job: UUID, content: str, sheet: str, row: int, column: str) -> str:
    return ids.request_ids(job, content, sheet, column)(row)


def golden() -> dict[str, str]:
    return {
        "job": str(ids.job_id("crm", "import-1")),
        "content": CONTENT,
        "request": request_id(JOB, CONTENT, "", 2, "Phone"),
        "rejection": str(ids.rejection_id(JOB, CONTENT, "", 2, "Phone")),
        "inbound job": str(ids.inbound_job_id("crm")),
        "inbound request": str(ids.inbound_request_id("crm", "42", "+14155550123", ["basic"])),
        "inbound record": str(
            ids.inbound_record_id("contacts.inbound", 3, 14, 1_788_220_800_000, b'{"phone":"x"}')
        ),
    }


def test_golden_values() -> None:
    """Ids made by an earlier version are made again: a change pays for everything twice."""
    assert golden() == {
        "job": "d2b386f8-27cb-5047-8417-9dd88d516ab4",
        "content": "9e5bb42e81ef1399f6ab7949c24e5da0026d44b28d422587df3b428b387d0402",
        "request": "4d7f00be-5c71-5f2c-a1b9-6c361f48dabf",
        "rejection": "f47561ce-737d-51ba-853d-e113708a2819",
        "inbound job": "8830094d-0b75-5058-9926-cb31b28932ec",
        "inbound request": "c67cab1f-42e0-5ce2-bb75-f35b27f45509",
        "inbound record": "149f108d-1317-5227-93a8-dd9b30520214",
    }


@given(st.text(max_size=20), st.text(max_size=20), st.integers(0, 2**63 - 1))
def test_a_rows_name_is_a_plain_uuid(sheet: str, column: str, row: int) -> None:
    """What is hashed once for all rows makes the very name that hashing it each time would."""
    whole = json.dumps(["request", str(JOB), CONTENT, sheet, row, column], separators=(",", ":"))
    assert request_id(JOB, CONTENT, sheet, row, column) == str(uuid5(ids.NAMESPACE, whole))


def test_kinds_never_meet() -> None:
    """No two kinds of id share a value, whatever their parts."""
    values = golden().values()
    assert len(set(values)) == len(values)
    assert ids.job_id("a", "b") != ids.inbound_job_id("a")


def test_parts_never_run_together() -> None:
    """Parts that read alike when joined name different things."""
    assert ids.job_id("a", "bc") != ids.job_id("ab", "c")
    assert ids.job_id('a","b', "c") != ids.job_id("a", 'b","c')
    assert ids.job_id("", "a") != ids.job_id("a", "")
    assert request_id(JOB, CONTENT, "1", 12, "P") != request_id(JOB, CONTENT, "11", 2, "P")


def test_each_part_of_a_request_counts() -> None:
    """Another job, content, sheet, row or column is another request."""
    other_job = UUID("00000000-0000-5000-8000-000000000002")
    requests = {
        request_id(JOB, CONTENT, "", 2, "Phone"),
        request_id(other_job, CONTENT, "", 2, "Phone"),
        request_id(JOB, HASH, "", 2, "Phone"),
        request_id(JOB, CONTENT, "Sheet1", 2, "Phone"),
        request_id(JOB, CONTENT, "", 3, "Phone"),
        request_id(JOB, CONTENT, "", 2, "Mobile"),
    }
    assert len(requests) == 6


def test_each_part_of_an_inbound_record_counts() -> None:
    """Another place, time or value of the record is another request."""
    records = {
        ids.inbound_record_id("contacts.inbound", 3, 14, 1, b"a"),
        ids.inbound_record_id("other.inbound", 3, 14, 1, b"a"),
        ids.inbound_record_id("contacts.inbound", 4, 14, 1, b"a"),
        ids.inbound_record_id("contacts.inbound", 3, 15, 1, b"a"),
        ids.inbound_record_id("contacts.inbound", 3, 14, 2, b"a"),
        ids.inbound_record_id("contacts.inbound", 3, 14, 1, b"b"),
    }
    assert len(records) == 6


def test_order_that_means_nothing_changes_nothing() -> None:
    """Options in another order, packages in another order or twice, are the same."""
    assert ids.content_key(HASH, {"a": 1, "b": 2}) == ids.content_key(HASH, {"b": 2, "a": 1})
    assert ids.content_key(HASH, {"a": 1}) != ids.content_key(HASH, {"a": 2})
    one = ids.inbound_request_id("crm", "42", "+14155550123", ["caller_name", "basic"])
    assert one == ids.inbound_request_id(
        "crm", "42", "+14155550123", ("basic", "caller_name", "basic")
    )


def test_any_text_names() -> None:
    """A lone surrogate, as loose JSON can bring, is a name like any other."""
    assert ids.job_id("\ud800", "k") != ids.job_id("\ud801", "k")
