"""`bulk-lookup job`: stop a job, let it go on."""

from __future__ import annotations

import typer

from services.cli.acts import Why, carry_out
from services.cli.jobs import JobId
from services.cli.output import AsJson

job = typer.Typer(help="Stop a job, or let it go on.", no_args_is_help=True)
_JOBS = ("jobs", "job")


@job.command()
def stop(ctx: typer.Context, job: JobId, why: Why, as_json: AsJson = False) -> None:
    """Stop a job: within a second nothing more is asked for it, and nothing is lost."""
    carry_out(ctx, "stop", _JOBS, str(job), why, as_json=as_json)


@job.command()
def resume(ctx: typer.Context, job: JobId, why: Why, as_json: AsJson = False) -> None:
    """Let a job go on, whatever held it; what holds its account stays."""
    carry_out(ctx, "resume", _JOBS, str(job), why, as_json=as_json)
