"""`bulk-lookup submit`: sends a file of contacts to ingest."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from services.cli import watch
from services.cli.exits import NOT_OK, OK
from services.cli.output import AsJson, Screen
from services.cli.packages import Packages, joined
from services.cli.session import Session
from services.cli.wording import count

_CHUNK = 256 * 1024
_STANDARD_INPUT = Path("-")


def _check_file(file: Path) -> Path:
    if file != _STANDARD_INPUT and not (file.is_file() and os.access(file, os.R_OK)):
        raise typer.BadParameter(f"{file} is no file that can be read")
    return file


File = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        callback=_check_file,
        help="CSV file with a row of headings, UTF-8; - reads standard input.",
    ),
]
Country = Annotated[
    str | None,
    typer.Option(
        "--country", help="Country of nationally written numbers: two letters, as DE or US."
    ),
]
Account = Annotated[
    str | None, typer.Option("--account", help="Twilio account to ask; ingest's default without.")
]
FreshFor = Annotated[
    str | None,
    typer.Option(
        "--fresh-for", help="How old an answer may be to be taken: 12h, 30d; 0s asks anew."
    ),
]


def _check_key(key: str | None) -> str | None:
    if key is not None and not (key.strip() == key and key and all(" " <= c <= "~" for c in key)):
        raise typer.BadParameter("must be of printable ASCII characters")
    return key


def submit(
    ctx: typer.Context,
    file: File,
    country: Country = None,
    package: Packages = None,
    account: Account = None,
    fresh_for: FreshFor = None,
    phone_column: Annotated[
        str | None, typer.Option(help="Heading of the numbers' column; found without.")
    ] = None,
    country_column: Annotated[
        str | None, typer.Option(help="Heading of the countries' column; found without.")
    ] = None,
    reference_column: Annotated[
        str | None, typer.Option(help="Heading of your own ids' column; found without.")
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            "--idempotency-key",
            callback=_check_key,
            help="One key, one job, however often it is sent. Without, the same file with the "
            "same options is one job.",
        ),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Follow the job to its end.")] = False,
    as_json: AsJson = False,
) -> None:
    """Look up all contacts of a CSV file."""
    session: Session = ctx.obj
    screen = Screen(as_json=as_json)
    piped = file == _STANDARD_INPUT
    query = {
        "packages": joined(package),
        "account": account,
        "fresh_for": fresh_for,
        "file_name": None if piped else file.name,
        "default_country": country,
        "phone_column": phone_column,
        "country_column": country_column,
        "reference_column": reference_column,
    }
    headers = {} if key is None else {"Idempotency-Key": key}
    with session.ingest() as api, sys.stdin.buffer if piped else file.open("rb") as source:
        size = None if piped else file.stat().st_size
        if size is not None:
            headers["Content-Length"] = str(size)
        content = _sent(source, size, screen)
        job = api.upload("/v1/jobs", content, query, headers)
    if wait:
        _follow(session, screen, job)
    if as_json:
        screen.json(job)
    else:
        _tell(screen, job)
    raise typer.Exit(OK if job["accepted"] else NOT_OK)


def _sent(source: BinaryIO, size: int | None, screen: Screen) -> Iterator[bytes]:
    """The file in chunks, with a bar while they go out, and a word while ingest works on it."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn  # noqa: PLC0415 - only here

    progress = Progress(
        TextColumn("Sending"),
        BarColumn(),
        DownloadColumn(),
        console=screen.err,
        transient=True,
        disable=not screen.err.is_terminal,
    )
    left = size
    with progress:
        task = progress.add_task("", total=size)
        while chunk := source.read(_CHUNK if left is None else min(_CHUNK, left)):
            yield chunk
            progress.advance(task, len(chunk))
            if left is not None:
                # A file that grows meanwhile is sent as long as it was announced.
                left -= len(chunk)
    screen.note("Sent; it is being put on Kafka.")


def _follow(session: Session, screen: Screen, job: dict[str, object]) -> None:
    _tell(screen, job, to_person=True)
    with session.results() as api:
        ended = watch.follow(api, str(job["job_id"]), screen)
    if screen.as_json:
        screen.json(job | {"job": ended})
    else:
        watch.show(screen, ended)
    raise typer.Exit(watch.exit_code(ended))


def _tell(screen: Screen, job: dict[str, object], *, to_person: bool = False) -> None:
    say = screen.note if to_person else screen.line
    say(f"Job {job['job_id']}", "bold")
    for name, meaning in (
        ("accepted", "contacts to look up"),
        ("duplicates", "of them with a number of an earlier row: paid once"),
        ("rejected", "rows that cannot be a number"),
    ):
        number = job[name]
        say(f"{count(number if isinstance(number, int) else None):>12} {name:<11}{meaning}")
    if to_person:
        return
    screen.note("What next:")
    screen.note(f"  bulk-lookup status {job['job_id']} --watch")
    screen.note(f"  bulk-lookup results {job['job_id']} --out results.csv")
    if job["rejected"]:
        screen.note(f"  bulk-lookup rejected {job['job_id']}")
