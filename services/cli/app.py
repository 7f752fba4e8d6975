"""The command's parts put together, and how it ends when something is wrong."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from services.cli.accounts import accounts
from services.cli.dead_letters import dead_letters
from services.cli.exits import EXPLAINED, FAULT, OK, CommandError
from services.cli.holds import job
from services.cli.jobs import jobs, status
from services.cli.local import demo, down, up
from services.cli.number import lookup
from services.cli.operate import check, migrate, run
from services.cli.output import Screen
from services.cli.reconcile import reconcile
from services.cli.rejected import rejected
from services.cli.results import results
from services.cli.session import INGEST_URL, RESULTS_URL, Session
from services.cli.submit import submit
from services.cli.topics import topics
from services.contracts.masking import mask_text

_NAME = "bulk-lookup"


class _Group(TyperGroup):
    """Tells foreseen errors as they are, without a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except CommandError as error:
            Screen().note(str(error), "red")
            raise typer.Exit(error.code) from None


app = typer.Typer(
    name=_NAME,
    cls=_Group,
    help="Looks phone numbers up at Twilio in bulk: each once, nothing lost, nothing paid twice.",
    epilog=f"The token that the APIs want stands in API_TOKEN, or in the file API_TOKEN_FILE. "
    f"{EXPLAINED}",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    # Its tracebacks show variables, and with them numbers and tokens.
    pretty_exceptions_enable=False,
)

_USE, _RUN, _HERE = "Numbers and jobs", "Programs and their parts", "All of it on this machine"
_COMMANDS: tuple[tuple[str, tuple[Callable[..., None], ...]], ...] = (
    (_USE, (submit, lookup, jobs, status, results, rejected, dead_letters)),
    (_RUN, (check, migrate, run, reconcile)),
    (_HERE, (up, down, demo)),
)
for panel, commands in _COMMANDS:
    for command in commands:
        app.command(rich_help_panel=panel)(command)
app.add_typer(accounts, name="accounts", rich_help_panel=_USE)
app.add_typer(job, name="job", rich_help_panel=_USE)
app.add_typer(topics, name="topics", rich_help_panel=_RUN)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 - slow, and only here

        typer.echo(version("bulk-lookup"))
        raise typer.Exit(OK)


@app.callback()
def _root(
    ctx: typer.Context,
    ingest_url: Annotated[
        str, typer.Option(envvar="INGEST_URL", help="Where ingest's API is.")
    ] = INGEST_URL,
    results_url: Annotated[
        str, typer.Option(envvar="RESULTS_URL", help="Where results' API is.")
    ] = RESULTS_URL,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    ctx.obj = Session(ingest_url, results_url)


def main() -> int:
    """Run the command; returns its exit code, or ends the process with it."""
    try:
        app(prog_name=_NAME)
    except Exception as error:  # noqa: BLE001 - the last resort: said without numbers, and exit 70
        sys.stderr.write(mask_text("".join(traceback.format_exception(error))))
        sys.stderr.write("This is a fault of bulk-lookup; please report it with the lines above.\n")
        return FAULT
    return OK
