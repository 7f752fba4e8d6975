"""`bulk-lookup jobs`, `status` and `rejected`: how far jobs are."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from services.cli import watch
from services.cli.output import AsJson, Column, Screen
from services.cli.saving import save
from services.cli.session import Session
from services.cli.wording import age, count, share

JobId = Annotated[UUID, typer.Argument(metavar="JOB", help="Id of a job.")]
Limit = Annotated[int, typer.Option(min=0, help="Most of them that are shown; 0 shows all.")]


def jobs(ctx: typer.Context, limit: Limit = 20, as_json: AsJson = False) -> None:
    """List jobs, newest first."""
    session: Session = ctx.obj
    screen = Screen(as_json=as_json)
    with session.results() as api:
        found, more = api.first("/v1/jobs", limit)
    if as_json:
        for job in found:
            screen.json(job)
    elif not found:
        screen.note("There are no jobs yet; `bulk-lookup submit FILE` makes one.")
    else:
        now = datetime.now(UTC)
        screen.table(
            [
                Column("Job"),
                Column("File", wraps=True),
                Column("Contacts", number=True),
                Column("Done", number=True),
                Column("Age", number=True),
            ],
            [
                [
                    job["job_id"],
                    job["file_name"] or f"({job['source']})",
                    count(job["sealed"]["accepted"] if job["sealed"] else job["known"]),
                    share(job["share"]),
                    age(job["created_at"], now),
                ]
                for job in found
            ],
        )
    tell_more(screen, more=more)


def status(
    ctx: typer.Context,
    job: JobId,
    follow: Annotated[
        bool,
        typer.Option(
            "--watch", help="Follow it to its end; exit code 1 if contacts are dead then."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show how far a job is: contacts by state, speed, time left, what came of each package."""
    session: Session = ctx.obj
    screen = Screen(as_json=as_json)
    with session.results() as api:
        found = watch.follow(api, str(job), screen) if follow else api.get(f"/v1/jobs/{job}")
    if as_json:
        screen.json(found)
    else:
        watch.show(screen, found)
    if follow:
        raise typer.Exit(watch.exit_code(found))


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
        _save_rejected(session, screen, job, out)
        return
    with session.results() as api:
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
            screen.note(f"  {reason}: {way_out}")
        screen.note(f"To mend them: bulk-lookup rejected {job} --out rejected.csv")
    tell_more(screen, more=more)


def _save_rejected(session: Session, screen: Screen, job: UUID, out: Path) -> None:
    with session.results() as api:
        rows = save(api.download(f"/v1/jobs/{job}/rejected.csv"), out, screen)
    screen.note(f"{count(rows)} rejected rows in {out}")
    if rows:
        screen.note("Each says what is wrong with it. Mend them there, and send the file again:")
        screen.note(f"  bulk-lookup submit {shlex.quote(str(out))} ...")
        screen.note("with the options of the first time; columns called rejected.* are not read.")


def tell_more(screen: Screen, *, more: bool) -> None:
    """Say that a list was cut, if it was."""
    if more:
        screen.note("There are more: --limit 0 shows all.")
