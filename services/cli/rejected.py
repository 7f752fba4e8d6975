"""`bulk-lookup rejected`: rows that cannot be a number, and how to send them again."""

from __future__ import annotations

import csv
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from services.cli import watch
from services.cli.exits import UNAVAILABLE, CommandError
from services.cli.jobs import JobId, Limit, tell_more
from services.cli.output import AsJson, Column, Screen
from services.cli.own_words import in_own_words
from services.cli.saving import save
from services.cli.session import Session
from services.cli.wording import count
from services.contracts.csv_cells import REJECTED_COLUMNS, plain

if TYPE_CHECKING:
    from services.cli.client import Api


def rejected(
    ctx: typer.Context,
    job: JobId,
    out: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False,
            help="CSV file to write with the whole rows, to be mended and sent again; readable "
            "by you alone.",
        ),
    ] = None,
    limit: Limit = 100,
    as_json: AsJson = False,
) -> None:
    """List rows of a job that cannot be a number, and why; with --out, as a file to mend."""
    session: Session = ctx.obj
    screen = Screen(as_json=as_json)
    if out is not None:
        _save(session, screen, job, out)
        return
    with session.results() as api:
        _wait_for_all(api, job)
        found, more = api.first(f"/v1/jobs/{job}/rejected", limit)
    if as_json:
        for row in found:
            screen.json(row)
    elif not found:
        screen.note("No row of this job was rejected.")
    else:
        screen.table(
            [
                Column("Row", number=True),
                Column("Column", wraps=True),
                Column("Why"),
                Column("What stood there (masked)", wraps=True),
            ],
            [[count(r["row"]), r["column"] or "-", r["reason"], r["text"]] for r in found],
        )
        screen.note("What to do:")
        for reason, way_out in {r["reason"]: r["way_out"] for r in found}.items():
            screen.note(f"  {reason}: {in_own_words(way_out)}")
        screen.note("To mend them:")
        screen.command(f"bulk-lookup rejected {job} --out rejected.csv")
    tell_more(screen, more=more)


def _save(session: Session, screen: Screen, job: UUID, out: Path) -> None:
    with session.results() as api:
        _wait_for_all(api, job)
        rows = save(api.download(f"/v1/jobs/{job}/rejected.csv"), out, screen)
    screen.note(f"{count(rows)} rejected rows in {out}")
    if rows:
        again = ["bulk-lookup", "submit", str(out)]
        # They may have been found by what they hold, which the rows that are left need not show.
        for column in _phone_columns(out):
            again += ["--phone-column", column]
        screen.note("Each says what is wrong with it. Mend them there, and send the file again:")
        screen.command(shlex.join(again))
        screen.note(
            "Say the other options of the first time too, without --sheet, --encoding and "
            "--idempotency-key. The columns called rejected.* are not read, and may stay."
        )


def _phone_columns(file: Path) -> list[str]:
    """The columns in which something was rejected, of a file of rejected rows."""
    with file.open(encoding="utf-8-sig", newline="") as text:
        # It has the delimiter of the file that was sent.
        delimiter = text.read(len(REJECTED_COLUMNS[0]) + 1)[-1]
        text.seek(0)
        rows = csv.reader(text, delimiter=delimiter)
        next(rows)
        return [column for column in dict.fromkeys(plain(row[1]) for row in rows) if column]


def _wait_for_all(api: Api, job_id: UUID) -> None:
    """Wait until results has stored every rejected row: a part of them would look like all.

    Raises:
        CommandError: It does not get to the end of them.
    """
    until = time.monotonic() + watch.PATIENCE_SECONDS
    while not watch.has_rejected(job := watch.read(api, str(job_id))):
        if time.monotonic() >= until:
            raise CommandError(
                f"results has stored {count(job['rejected'])} of "
                f"{count(job['sealed']['rejected'])} rejected rows so far. Try again later.",
                UNAVAILABLE,
            )
        time.sleep(watch.POLL_SECONDS)
