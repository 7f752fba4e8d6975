"""`bulk-lookup check`, `topics`, `migrate` and `run`: for who runs the programs.

What these work with is imported when they are called: it takes half a second.
"""

from __future__ import annotations

import asyncio
import importlib
from typing import Annotated, Literal

import typer

from services.cli.exits import NOT_OK, OK
from services.cli.output import AsJson, Screen

ProgramName = Literal["ingest", "lookup", "scheduler", "results"]

_MODULES: dict[ProgramName, str] = {
    "ingest": "services.ingest.app",
    "lookup": "services.lookup.app",
    "scheduler": "services.lookup.scheduler",
    "results": "services.results.app",
}


def run(program: Annotated[ProgramName, typer.Argument(help="Which one.")]) -> None:
    """Run a program until SIGTERM; its settings are environment variables, its log JSON lines."""
    raise typer.Exit(importlib.import_module(_MODULES[program]).main())


def migrate(as_json: AsJson = False) -> None:
    """Bring the schema of DATABASE_URL (or the file DATABASE_URL_FILE) up to date."""
    from services.cli import database  # noqa: PLC0415 - see above

    screen = Screen(as_json=as_json)
    applied = asyncio.run(database.bring_up_to_date())
    if as_json:
        screen.json({"applied": applied})
    elif applied:
        for name in applied:
            screen.line(f"applied {name}")
    else:
        screen.line("The schema is up to date.")


def check(as_json: AsJson = False) -> None:
    """Check settings, Kafka, PostgreSQL and, by a free call each, the Twilio accounts."""
    from services.cli import checks  # noqa: PLC0415 - see above

    screen = Screen(as_json=as_json)

    async def tell() -> bool:
        good = True
        async for finding in checks.findings():
            good = good and finding.ok
            if as_json:
                screen.json({"what": finding.what, "ok": finding.ok, "detail": finding.detail})
            else:
                word, style = ("ok    ", "green") if finding.ok else ("failed", "red")
                screen.line(f"{word}  {finding.what}: {finding.detail}", style)
        return good

    raise typer.Exit(OK if asyncio.run(tell()) else NOT_OK)
