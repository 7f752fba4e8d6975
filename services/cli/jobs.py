"""`bulk-lookup jobs` and `status`: how far jobs are."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import typer

from services.cli import watch
from services.cli.output import AsJson, Column, Screen
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


def tell_more(screen: Screen, *, more: bool) -> None:
    """Say that a list was cut, if it was."""
    if more:
        screen.note("There are more: --limit 0 shows all.")
