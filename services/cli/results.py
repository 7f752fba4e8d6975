"""`bulk-lookup results`: every contact of a job, with its answers."""

from __future__ import annotations

import csv
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, Literal, TextIO

import typer

from services.cli.exits import CommandError
from services.cli.export import HEADER, csv_row
from services.cli.jobs import JobId
from services.cli.output import AsJson, Screen
from services.cli.session import Session
from services.cli.wording import count

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

_TOLD_EVERY = 1000


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
    with session.results() as api:
        found = api.items(
            f"/v1/jobs/{job}/results", {"state": state, "package_status": package_status}
        )
        if out is None:
            _write(sys.stdout, found, as_json=as_json)
            return
        with _whole_file(out) as file, screen.err.status("Reading", spinner="line") as status:
            written = _write(
                file, _counted(found, lambda n: status.update(f"{count(n)} read")), as_json=as_json
            )
    screen.note(f"{count(written)} contacts in {out}")


def _write(file: TextIO, contacts: Iterable[dict[str, Any]], *, as_json: bool) -> int:
    """Write contacts; gives how many there were."""
    written = 0
    if as_json:
        for contact in contacts:
            file.write(json.dumps(contact, ensure_ascii=False) + "\n")
            written += 1
        return written
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(HEADER)
    for contact in contacts:
        writer.writerow(csv_row(contact))
        written += 1
    return written


def _counted(
    contacts: Iterable[dict[str, Any]], tell: Callable[[int], None]
) -> Iterator[dict[str, Any]]:
    for number, contact in enumerate(contacts, start=1):
        if number % _TOLD_EVERY == 0:
            tell(number)
        yield contact


@contextmanager
def _whole_file(path: Path) -> Iterator[TextIO]:
    """A file that takes the place of `path` when all is written, and else is gone.

    Raises:
        CommandError: It cannot be written.
    """
    try:
        # Made for its owner alone: phone numbers are personal data.
        handle, name = tempfile.mkstemp(dir=path.absolute().parent, prefix=f".{path.name}.")
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}.") from error
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            yield file
        Path(name).replace(path)
    except BaseException as error:
        with suppress(OSError):
            Path(name).unlink()
        if isinstance(error, OSError):
            raise CommandError(f"{path}: {error.strerror}.") from error
        raise
