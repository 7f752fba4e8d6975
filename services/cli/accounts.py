"""`bulk-lookup accounts`: what holds them, stop one, let it go on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from services.cli.acts import Why, carry_out
from services.cli.output import AsJson, Column, Screen
from services.cli.session import Session
from services.cli.wording import count, when

accounts = typer.Typer(help="List Twilio accounts, and stop one or let it go on.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The account's name in the settings.")]
_ACCOUNTS = ("accounts", "accounts")


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
    carry_out(ctx, "stop", _ACCOUNTS, name, why, as_json=as_json)


@accounts.command()
def resume(ctx: typer.Context, name: Name, why: Why, as_json: AsJson = False) -> None:
    """Let an account go on, whatever held it: what waited goes to lookup again."""
    carry_out(ctx, "resume", _ACCOUNTS, name, why, as_json=as_json)


def _row(account: dict[str, Any]) -> list[str]:
    now = datetime.now(UTC)
    why = "; ".join(
        f"{hold['cause']}: {hold['why']} ({hold['by']}, {when(hold['at'], now)})"
        for hold in account["holds"]
    )
    return [account["name"], "yes" if account["running"] else "no", count(account["parked"]), why]
