"""`bulk-lookup results`: every contact of a job, with its answers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from services.cli.jobs import JobId
from services.cli.output import AsJson, Screen
from services.cli.saving import save
from services.cli.session import Session
from services.cli.wording import count, progress

#: As `services.contracts.turns.State`, whose import would slow every command down.
StateName = Literal[
    "pending",
    "releasing",
    "retrying",
    "parked",
    "completed",
    "invalid",
    "dead",
    "cancelled",
    "erased",
]


def results(
    ctx: typer.Context,
    job: JobId,
    state: Annotated[StateName | None, typer.Option(help="Only contacts that stand there.")] = None,
    package_status: Annotated[
        str | None,
        typer.Option(help="Only contacts with a package answered so: failed, caller_name:failed."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False,
            help="File to write, there only once it is whole, readable by you alone; standard "
            "output without.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write all contacts of a job with their answers, as CSV; as JSON lines with --json."""
    session: Session = ctx.obj
    screen = Screen(as_json=as_json)
    path = f"/v1/jobs/{job}/results.{'jsonl' if as_json else 'csv'}"
    query = {"state": state, "package_status": package_status}
    with session.results() as api:
        found = api.download(path, query)
        if out is None:
            for part in found:
                sys.stdout.buffer.write(part)
            sys.stdout.buffer.flush()
        else:
            rows = save(found, out, screen, is_csv=not as_json)
            screen.note(f"{count(rows)} contacts in {out}")
        standing = api.get(f"/v1/jobs/{job}", {"breakdown": False})
    if standing["sealed"] and not standing["complete"]:
        screen.note(f"The job has not ended: {progress(standing)}.")
