"""`bulk-lookup dead-letters`: what went no further, and why."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID

import typer

from services.cli.jobs import Limit, tell_more
from services.cli.output import AsJson, Column, Screen
from services.cli.session import Session
from services.cli.wording import count, when

#: As `services.contracts.messages.DeadReason`, whose import would slow every command down.
ReasonName = Literal[
    "undecodable",
    "internal-error",
    "number-not-found",
    "bad-request",
    "attempts-exhausted",
    "age-exhausted",
    "not-a-number",
    "bad-inbound",
]


def dead_letters(
    ctx: typer.Context,
    reason: Annotated[ReasonName | None, typer.Option(help="Only of this reason.")] = None,
    job: Annotated[UUID | None, typer.Option(help="Only of this job.")] = None,
    summary: Annotated[
        bool, typer.Option("--summary", help="Only how many there are of each reason.")
    ] = False,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List records that go no further, newest first."""
    session: Session = ctx.obj
    screen = Screen(as_json=as_json)
    if summary and (reason or job):
        raise typer.BadParameter("--summary counts all: give it without --reason and --job")
    if summary:
        _summary(session, screen)
        return
    with session.results() as api:
        found, more = api.first("/v1/dead-letters", limit, {"reason": reason, "job": _text(job)})
    if as_json:
        for letter in found:
            screen.json(letter)
    elif not found:
        screen.note("There are no dead letters of this kind." if reason or job else "None.")
    else:
        now = datetime.now(UTC)
        screen.table(
            [
                Column("When", number=True),
                Column("Reason"),
                Column("What happened", wraps=True),
                Column("Number"),
                Column("Row", number=True),
                Column("Job", wraps=True),
                Column("State now"),
            ],
            [
                [
                    when(letter["recorded_at"], now),
                    letter["reason"],
                    letter["detail"],
                    letter["phone"] or "-",
                    count(letter["row"]),
                    letter["job_id"] or "-",
                    letter["state_now"] or "-",
                ]
                for letter in found
            ],
        )
    tell_more(screen, more=more)


def _summary(session: Session, screen: Screen) -> None:
    with session.results() as api:
        found = api.get("/v1/dead-letters/summary")
    if screen.as_json:
        screen.json(found)
        return
    now = datetime.now(UTC)
    screen.table(
        [Column("Reason"), Column("Dead letters", number=True), Column("Newest", number=True)],
        [
            *(
                [r["reason"], count(r["count"]), when(r["newest_at"], now)]
                for r in found["reasons"]
            ),
            ["all", count(found["total"]), ""],
        ],
    )


def _text(job: UUID | None) -> str | None:
    return None if job is None else str(job)
