"""`bulk-lookup job`: stop a job, let it go on."""

from __future__ import annotations

from uuid import UUID

import typer

from services.cli.accounts import Why
from services.cli.jobs import JobId
from services.cli.output import AsJson, Screen
from services.cli.session import Session

job = typer.Typer(help="Stop a job, or let it go on.", no_args_is_help=True)


@job.command()
def stop(ctx: typer.Context, job: JobId, why: Why, as_json: AsJson = False) -> None:
    """Stop a job: within a second nothing more is asked for it, and nothing is lost."""
    _act(ctx, job, "stop", why, as_json=as_json)


@job.command()
def resume(ctx: typer.Context, job: JobId, why: Why, as_json: AsJson = False) -> None:
    """Let a job go on, whatever held it; what holds its account stays."""
    _act(ctx, job, "resume", why, as_json=as_json)


def _act(ctx: typer.Context, job_id: UUID, act: str, why: str, *, as_json: bool) -> None:
    session: Session = ctx.obj
    screen = Screen(as_json=as_json)
    with session.results() as api:
        done = api.post(f"/v1/jobs/{job_id}/{act}", {"why": why})
    if as_json:
        screen.json(done)
        return
    screen.line(
        f"{job_id} is stopped ({done['by']})."
        if done["held"]
        else f"{job_id} goes on; cleared: {', '.join(done['causes'])}."
    )
    if done["held"]:
        screen.note(f"Let it go on with: bulk-lookup job resume {job_id} --why ...")
