"""`bulk-lookup accounts`: what holds them, stop one, let it go on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import quote

import typer

from services.cli.output import AsJson, Column, Screen
from services.cli.session import Session
from services.cli.wording import count, when

accounts = typer.Typer(help="List Twilio accounts, and stop one or let it go on.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The account's name in the settings.")]
Why = Annotated[str, typer.Option(help="Shown to others beside the hold.")]


@accounts.callback(invoke_without_command=True)
def list_accounts(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List Twilio accounts that have jobs or holds, and stop one or let it go on."""
    if ctx.invoked_subcommand is not None:
        return
    session: Session = ctx.obj
    screen = Screen(as_json=as_json)
    with session.results() as api:
        found = api.get("/v1/accounts")["accounts"]
    if as_json:
        for account in found:
            screen.json(account)
    elif not found:
        screen.note("No account has a job or a hold yet.")
    else:
        screen.table(
            [
                Column("Account"),
                Column("Runs"),
                Column("Contacts held", number=True),
                Column("Why", wraps=True),
            ],
            [_row(account) for account in found],
        )


@accounts.command()
def stop(ctx: typer.Context, name: Name, why: Why, as_json: AsJson = False) -> None:
    """Stop an account: within a second nothing more is asked of it, and nothing is lost."""
    _act(ctx, name, "stop", why, as_json=as_json)


@accounts.command()
def resume(ctx: typer.Context, name: Name, why: Why, as_json: AsJson = False) -> None:
    """Let an account go on, whatever held it: what waited goes to lookup again."""
    _act(ctx, name, "resume", why, as_json=as_json)


def _act(ctx: typer.Context, name: str, act: str, why: str, *, as_json: bool) -> None:
    session: Session = ctx.obj
    screen = Screen(as_json=as_json)
    with session.results() as api:
        done = api.post(f"/v1/accounts/{quote(name, safe='')}/{act}", {"why": why})
    if as_json:
        screen.json(done)
        return
    screen.line(
        f"{done['name']} is stopped ({done['by']})."
        if done["held"]
        else f"{done['name']} goes on; cleared: {', '.join(done['causes'])}."
    )
    if done["held"]:
        screen.note(f"Let it go on with: bulk-lookup accounts resume {done['name']} --why ...")


def _row(account: dict[str, Any]) -> list[str]:
    now = datetime.now(UTC)
    why = "; ".join(
        f"{hold['cause']}: {hold['why']} ({hold['by']}, {when(hold['at'], now)})"
        for hold in account["holds"]
    )
    return [account["name"], "yes" if account["running"] else "no", count(account["parked"]), why]
