"""`bulk-lookup lookup`: one number, and the answer."""

from __future__ import annotations

import csv
import io
import sys
import time
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.cli.exits import NOT_OK, OK, UNAVAILABLE, CommandError
from services.cli.output import AsJson, Screen
from services.cli.own_words import in_own_words
from services.cli.packages import Packages, joined
from services.cli.session import Session
from services.cli.submit import Accept, Account, Country, FreshFor
from services.cli.wording import when

if TYPE_CHECKING:
    from services.cli.client import Api

POLL_SECONDS = 0.25
_UNFINISHED = frozenset({"pending", "releasing", "retrying", "parked"})


def lookup(
    ctx: typer.Context,
    phone: Annotated[
        str,
        typer.Argument(
            metavar="NUMBER",
            help="International, as +14155550100; quote one with spaces. - reads it from "
            "standard input, so that no shell remembers it.",
        ),
    ],
    package: Packages = None,
    country: Country = None,
    account: Account = None,
    fresh_for: FreshFor = None,
    accept: Accept = None,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds to wait for the answer.")] = 60,
    as_json: AsJson = False,
) -> None:
    """Look up one number and wait for the answer; exit code 1 unless all of it is there."""
    session: Session = ctx.obj
    screen = Screen(as_json=as_json)
    text = sys.stdin.readline().strip() if phone == "-" else phone
    query = {
        "packages": joined(package),
        "account": account,
        "fresh_for": fresh_for,
        "default_country": country,
        "accept": accept,
        "phone_column": "phone",
        "file_name": "one number",
    }
    # A key of its own each time: how old an answer may be is for lookup to judge.
    headers = {"Idempotency-Key": f"lookup-{uuid.uuid4()}"}
    with session.ingest() as api:
        job, _ = api.upload("/v1/jobs", [_one_row(text)], query, headers)
    with session.results() as api, screen.err.status("Waiting", spinner="line"):
        until = time.monotonic() + timeout
        if job["rejected"]:
            raise _rejection(_wait(api, job["job_id"], "rejected", until, timeout))
        contact = _wait(api, job["job_id"], "results", until, timeout)
    if as_json:
        screen.json(contact)
    else:
        _show(screen, contact)
    answered = all(answer["status"] == "ok" for answer in contact["packages"])
    raise typer.Exit(OK if contact["state"] == "completed" and answered else NOT_OK)


def _one_row(phone: str) -> bytes:
    file = io.StringIO()
    csv.writer(file).writerows([["phone"], [phone]])
    return file.getvalue().encode()


def _wait(api: Api, job_id: str, what: str, until: float, timeout: float) -> dict[str, Any]:
    """The one row of a job, once it has its end.

    Raises:
        CommandError: Not in time.
    """
    while True:
        found, _ = api.first(f"/v1/jobs/{job_id}/{what}", 1)
        state = found[0].get("state") if found else "not read by results yet"
        if found and state not in _UNFINISHED:
            return found[0]
        if time.monotonic() >= until:
            holds = api.get(f"/v1/jobs/{job_id}", {"breakdown": False})["holds"]
            why = "; ".join(f"held by {hold['key']}: {hold['why']}" for hold in holds)
            raise CommandError(
                f"No answer within {timeout:g} s ({why or state}). It goes on: "
                f"`bulk-lookup status {job_id}` shows how far it is.",
                UNAVAILABLE,
            )
        time.sleep(POLL_SECONDS)


def _rejection(row: dict[str, Any]) -> CommandError:
    way_out = in_own_words(row["way_out"])
    if row["reason"] == "no-country":
        way_out = "Write it with + and the country code, or say --country."
    return CommandError(f"This cannot be a number ({row['reason']}). {way_out}", NOT_OK)


def _show(screen: Screen, contact: dict[str, Any]) -> None:
    now = datetime.now(UTC)
    fields = {"Number": contact["phone"], "State": contact["state"]}
    if contact["last_error"] and contact["state"] != "completed":
        fields["Last error"] = contact["last_error"]
    for answer in contact["packages"]:
        fields[answer["package"]] = _said(answer, now)
        for name, value in (answer["data"] or {}).items():
            if value not in (None, [], ""):
                fields[f"  {name}"] = ", ".join(value) if isinstance(value, list) else str(value)
    screen.fields(fields)


def _said(answer: dict[str, Any], now: datetime) -> str:
    said = str(answer["status"])
    if answer["reason"] or answer["code"]:
        said += f": {answer['reason'] or ''} {answer['code'] or ''}".rstrip()
    if answer["looked_up_at"]:
        said += f", {when(answer['looked_up_at'], now)}"
    return f"{said}, reused" if answer["reused"] else said
