"""`bulk-lookup reconcile`: do the books add up, and what carries on what has no end yet."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from services.cli.exits import NOT_OK, OK
from services.cli.output import AsJson, Screen

if TYPE_CHECKING:
    from services.cli.reconciliation import Report

_WAY_OUT = {
    "retry late": "the scheduler does not move them: see scheduler_lateness_seconds and its log",
    "not given back": "nothing holds them, and results does not release them: see its log",
    "missing": "no topic holds them any more, and nothing will carry them on: put them before "
    "lookup again with --republish",
}


def reconcile(
    job: Annotated[UUID | None, typer.Argument(help="One job; all of them without it.")] = None,
    republish: Annotated[
        bool,
        typer.Option(
            "--republish", help="Put before lookup again what is missing; paid answers are kept."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Add up jobs by PostgreSQL and Kafka: what is missing, doubled or stuck; exit code 1 if any.

    It needs KAFKA_ settings and DATABASE_URL, as the programs do.
    """
    from services.cli import reconciliation  # noqa: PLC0415 - slow, and only here

    screen = Screen(as_json=as_json)
    report = asyncio.run(reconciliation.reconcile(job, republish=republish))
    if as_json:
        screen.json(_as_json(report))
    else:
        _tell(screen, report)
    raise typer.Exit(OK if report.well else NOT_OK)


def _tell(screen: Screen, report: Report) -> None:
    contacts = sum(job.known for job in report.jobs)
    screen.line(f"{len(report.jobs):,} jobs, {contacts:,} contacts")
    unfinished = report.unfinished
    screen.fields(
        {
            "ended": f"{contacts - unfinished.counts.total():,}",
            **{where: f"{n:,}" for where, n in unfinished.counts.items()},
        }
    )
    for cause, n in unfinished.holds.most_common():
        screen.line(f"held by {cause}: {n:,}")
    for program, n in report.unread.items():
        if n:
            screen.note(f"{program} has {n:,} records still to read")
    names = {job.job_id: job.name for job in report.jobs}
    for job_id, faults in report.faults().items():
        for fault in faults:
            screen.note(f"{job_id} ({names[job_id]}): {fault}", "red")
    for where, requests in unfinished.named.items():
        n = unfinished.counts[where]
        if where == "missing" and report.republished:
            screen.note(f"{n:,} were missing, and were put before lookup again")
            continue
        screen.note(f"{n:,} {where}: {_WAY_OUT[where]}. Of them:", "red")
        for request in requests:
            screen.note(f"  {request}")
    if report.well:
        screen.note("It adds up.", "green")


def _as_json(report: Report) -> dict[str, object]:
    unfinished = report.unfinished
    return {
        "well": report.well,
        "jobs": [
            {"job_id": job.job_id, "rows": job.rows, "counters": job.counters}
            for job in report.jobs
        ],
        "faults": {str(job_id): faults for job_id, faults in report.faults().items()},
        "unfinished": unfinished.counts,
        "named": unfinished.named,
        "holds": unfinished.holds,
        "unread": report.unread,
        "republished": report.republished,
    }
