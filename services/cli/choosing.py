"""Asks a person which column holds the numbers, when the file does not say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import typer

from services.cli.exits import CommandError
from services.cli.output import Screen

_UNCERTAIN = "uncertain-column"


def chosen(screen: Screen, problem: Mapping[str, Any]) -> dict[str, Any] | None:
    """Ask for what ingest could not know; gives the options that say it.

    `None` if it is not such a refusal.

    Raises:
        CommandError: The person wants none of them.
    """
    candidates: Sequence[Mapping[str, Any]] = problem.get("candidates") or ()
    if not candidates:
        return None
    if problem.get("code") == _UNCERTAIN:
        screen.note(
            f"No heading says which column holds the numbers. It seems to be {_said(candidates[0])}."
        )
        if typer.confirm("Take it?", err=True):
            # As without asking: the same file stays the same job.
            return {"guess": None}
        raise _none()
    screen.note("Several columns may hold the phone number:")
    for number, candidate in enumerate(candidates, start=1):
        screen.note(f"  {number}  {_said(candidate)}")
    names = [str(candidate["column"]) for candidate in candidates]
    answer: list[int] = typer.prompt(
        "Which? A number, or several with commas",
        value_proc=lambda text: _numbers(text, len(names)),
        err=True,
    )
    return {"phone_column": [names[number - 1] for number in answer]}


def _said(candidate: Mapping[str, Any]) -> str:
    said = f"'{candidate['column']}'"
    if candidate.get("of"):
        said += f": {candidate['numbers']} of {candidate['of']} cells are numbers"
    if candidate.get("example"):
        said += f", such as {candidate['example']}"
    return said


def _numbers(text: str, most: int) -> list[int]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and 1 <= int(part) <= most for part in parts):
        raise typer.BadParameter(f"give numbers from 1 to {most}")
    return list(dict.fromkeys(map(int, parts)))


def _none() -> CommandError:
    return CommandError("Nothing was sent to be looked up. Name the column by --phone-column.")
