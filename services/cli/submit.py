"""`bulk-lookup submit`: sends a file of contacts to ingest."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from services.cli import dry_run as dry
from services.cli import watch
from services.cli.choosing import chosen
from services.cli.exits import NOT_OK, OK
from services.cli.output import AsJson, Screen
from services.cli.packages import Packages, joined
from services.cli.sending import in_chunks
from services.cli.sent import tell, tell_next
from services.cli.session import Session

_STANDARD_INPUT = Path("-")


class Acceptable(StrEnum):
    """As `services.ingest.phone.Accept`, whose import would slow every command down."""

    VALID = "valid"
    POSSIBLE = "possible"


def _check_file(file: Path) -> Path:
    if file != _STANDARD_INPUT and not (file.is_file() and os.access(file, os.R_OK)):
        raise typer.BadParameter(f"{file} is no file that can be read")
    return file


File = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        callback=_check_file,
        help="CSV, TSV, JSON Lines, a JSON array or an Excel workbook, also compressed with gzip; "
        "- reads standard input.",
    ),
]
Country = Annotated[
    str | None,
    typer.Option(
        "--country", help="Country of nationally written numbers: a code, as DE or US, or a name."
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

Accept = Annotated[
    Acceptable | None,
    typer.Option(
        "--accept",
        metavar="WHICH",
        help="Numbers to take: valid, those in their country's numbering plan; possible, all of "
        "a length that it has. valid without.",
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
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="Heading of the numbers' column; found without. Again for more: each number "
            "is a contact.",
        ),
    ] = None,
    country_column: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Heading of the countries' column; found without."),
    ] = None,
    reference_column: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Heading of your own ids' column; found without."),
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="Heading of a column that comes back with the results; again for more.",
        ),
    ] = None,
    header: Annotated[
        bool | None,
        typer.Option(
            "--header/--no-header",
            help="Whether the first row holds headings; found without. Columns of a file "
            "without are called A, B, C.",
        ),
    ] = None,
    accept: Accept = None,
    delimiter: Annotated[
        str | None, typer.Option(help="Between the cells of CSV: , ; | or tab; found without.")
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(help="utf-8, utf-16 or windows-1252; found without.")
    ] = None,
    sheet: Annotated[
        str | None, typer.Option(help="Sheet of a workbook; the only one with rows without.")
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
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would be taken and rejected.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask, if a column had to be guessed.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Follow the job to its end.")] = False,
    as_json: AsJson = False,
) -> None:
    """Look up all contacts of a file.

    If no heading says which column holds the numbers, what the cells hold does;
    on a terminal you are asked first.
    """
    session: Session = ctx.obj
    screen = Screen(as_json=as_json)
    query = {
        "packages": joined(package),
        "account": account,
        "fresh_for": fresh_for,
        "file_name": None if file == _STANDARD_INPUT else file.name,
        "default_country": country,
        "phone_column": phone_column or None,
        "country_column": country_column,
        "reference_column": reference_column,
        "keep": keep or None,
        "header": header,
        "accept": accept,
        "delimiter": delimiter,
        "encoding": encoding,
        "sheet": sheet,
        "dry_run": dry_run or None,
    }
    headers = {} if key is None else {"Idempotency-Key": key}
    asks = file != _STANDARD_INPUT and not (yes or as_json or dry_run) and _somebody_is_there()
    answer, is_new = _send(session, screen, file, query, headers, asks=asks)
    if dry_run:
        screen.json(answer) if as_json else dry.show(screen, answer)
    elif wait:
        _follow(session, screen, answer, is_new=is_new)
    elif as_json:
        screen.json(answer)
    else:
        tell(screen, answer, is_new=is_new)
        tell_next(screen, answer, "status", "results", "rejected")
    raise typer.Exit(OK if answer["accepted"] else NOT_OK)


def _somebody_is_there() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def _send(
    session: Session,
    screen: Screen,
    file: Path,
    query: Mapping[str, Any],
    headers: Mapping[str, str],
    *,
    asks: bool,
) -> tuple[dict[str, Any], bool]:
    """Send the file; what it does not say is asked for, if `asks`, before anything is taken.

    Gives the answer, and whether there was no such job before.
    """
    from services.cli.client import RefusedError  # noqa: PLC0415 - httpx costs 0.3 s

    piped = file == _STANDARD_INPUT
    size = None if piped else file.stat().st_size
    length = {} if size is None else {"Content-Length": str(size)}
    asked: dict[str, Any] = {"guess": False} if asks else {}
    with session.ingest() as api:
        while True:
            with sys.stdin.buffer if piped else file.open("rb") as source:
                content = in_chunks(source, size, screen)
                try:
                    return api.upload(
                        "/v1/jobs", content, {**query, **asked}, {**headers, **length}
                    )
                except RefusedError as refused:
                    choice = chosen(screen, refused.problem) if asks else None
                    if choice is None:
                        raise
                    asked |= choice


def _follow(session: Session, screen: Screen, job: dict[str, Any], *, is_new: bool) -> None:
    tell(screen, job, is_new=is_new, to_person=True)
    with session.results() as api:
        ended = watch.follow(api, str(job["job_id"]), screen)
    if screen.as_json:
        screen.json(job | {"job": ended})
    else:
        watch.show(screen, ended)
        tell_next(screen, job, "results", "rejected")
    raise typer.Exit(watch.exit_code(ended))
