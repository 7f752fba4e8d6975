"""The files of a whole job: what stands in them, for people, spreadsheets and programs."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from services.contracts.packages import Package
from services.results.contact_csv import ANSWER_FIELDS, csv_header
from services.results.exports import ResultsCsv, ResultsJson

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
ANSWER = {"status": "ok", "looked_up_at": "2026-03-01T12:00:00Z", "billed": "no"}


def contact(**changes: Any) -> dict[str, Any]:
    """A row of `requests`."""
    return {
        "request_id": UUID(int=1),
        "job_id": UUID(int=7),
        "reference": "ACME-1",
        "row_number": 2,
        "column_name": "Mobile",
        "phone": "+14155550100",
        "country": "US",
        "account": "main",
        "state": "completed",
        "packages": ["basic", "caller_name"],
        "answers": {},
        "attempts": 0,
        "last_error": None,
        "causes": [],
        "generation": 0,
        "turn": 1,
        "accepted_at": AT,
        "due_at": None,
        "ended_at": AT,
        "extra": None,
    } | changes


def job(*kept: str, state: str = "sealed") -> dict[str, Any]:
    """A job's row, of whose file these columns were kept."""
    found = {"kept": [{"column": heading, "by": "option"} for heading in kept]}
    return {"state": state, "headings": None, "options": {"found": found}}


def written(of: dict[str, Any], *rows: dict[str, Any]) -> list[dict[str, str]]:
    form = ResultsCsv(of)
    text = form.begin() + form.page(rows)
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def test_every_package_has_its_columns() -> None:
    """What any package of Twilio's brings has a column, whether or not it was asked for."""
    assert tuple(ANSWER_FIELDS) == tuple(Package)
    assert {f"{package}.status" for package in Package} < set(csv_header([]))


def test_a_contact_is_a_row() -> None:
    """Place, number, state and all answers stand in one row, empty where there is nothing."""
    basic = ANSWER | {
        "data": {
            "valid": True,
            "national_format": "(415) 555-0100",
            "validation_errors": ["TOO_SHORT", "NOT_A_NUMBER"],
        }
    }
    [row] = written(job(), contact(answers={"basic": basic}))
    assert (row["row"], row["column"], row["reference"]) == ("2", "Mobile", "ACME-1")
    assert (row["phone"], row["country"], row["state"]) == ("+14155550100", "US", "completed")
    assert (row["basic.status"], row["basic.valid"]) == ("ok", "true")
    assert row["basic.validation_errors"] == "TOO_SHORT NOT_A_NUMBER"
    assert (row["caller_name.status"], row["line_type_intelligence.status"]) == ("owed", "")
    assert (row["attempts"], row["ended_at"]) == ("0", "2026-03-01T12:00:00Z")


def test_columns_that_were_kept_stand_under_their_headings() -> None:
    """They come in the order in which they were named; a contact need not have them all."""
    first = contact(extra='{"Company": "Zoë, & Co", "Note": "two\\nlines\\r"}')
    form = ResultsCsv(job("Note", "Company"))
    header = form.begin().rstrip("\n").split(",")
    assert header[:6] == ["row", "column", "reference", "Note", "Company", "phone"]
    rows = written(job("Note", "Company"), first, contact())
    assert [(row["Note"], row["Company"]) for row in rows] == [
        ("two\nlines\r", "Zoë, & Co"),
        ("", ""),
    ]


@pytest.mark.parametrize(
    ("heading", "written_as"),
    [
        ("state", "extra.state"),
        ("basic.valid", "extra.basic.valid"),
        ("row", "extra.row"),
        ("extra", "extra.extra"),
        ("extra.state", "extra.extra.state"),
        ("State", "State"),
        ("=cmd", "'=cmd"),
    ],
)
def test_a_kept_column_is_told_apart_from_ours(heading: str, written_as: str) -> None:
    """A heading that is one of ours stands under another name, always the same one."""
    [row] = written(job(heading), contact(extra=json.dumps({heading: "theirs"})))
    assert row[written_as] == "theirs"
    assert row["state"] == "completed"
    assert len(row) == len(csv_header([])) + 1


def test_what_came_from_upstream_stands_in_one_column() -> None:
    """Contacts of `contacts.inbound` bring texts of any names, so the headings never change."""
    upstream = job(state="standing")
    rows = written(upstream, contact(extra='{"tier": "=gold"}'), contact())
    assert [row["extra"] for row in rows] == ['{"tier": "=gold"}', ""]


def test_no_text_of_others_is_a_formula() -> None:
    """What clients, upstream systems and Twilio wrote is text to a spreadsheet."""
    hostile = contact(
        reference="=1+1",
        column_name="@x",
        extra='{"Note": "+1|calc"}',
        answers={"caller_name": ANSWER | {"data": {"caller_name": "-2+3", "caller_type": "\t="}}},
    )
    [row] = written(job("Note"), hostile)
    assert (row["reference"], row["column"], row["Note"]) == ("'=1+1", "'@x", "'+1|calc")
    assert row["caller_name.caller_name"] == "'-2+3"
    assert row["caller_name.caller_type"] == "'\t'="
    assert row["phone"] == "+14155550100"


def test_json_lines_are_the_contacts_of_the_api() -> None:
    """In JSON nothing is marked: a text is what it is."""
    form = ResultsJson()
    text = form.begin() + form.page([contact(reference="=1", extra='{"Note": "=1"}'), contact()])
    first, second = map(json.loads, text.splitlines())
    assert (first["reference"], first["extra"]) == ("=1", {"Note": "=1"})
    assert (first["column"], second["extra"]) == ("Mobile", {})
