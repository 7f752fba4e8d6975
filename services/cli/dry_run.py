"""Shows what a dry run says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.cli.file_found import how_read
from services.cli.output import Column, Screen
from services.cli.own_words import in_own_words
from services.cli.wording import count


def show(screen: Screen, run: Mapping[str, Any]) -> None:
    """Print what would become of a file."""
    screen.line("Dry run: nothing was stored or published.", "bold")
    for line in how_read(run["found"]):
        screen.line(line)
    show_counts(screen, run)
    if run["reasons"]:
        screen.line("")
        screen.table(
            [Column("Rows", number=True), Column("Rejected for"), Column("Way out", wraps=True)],
            [
                (count(one["rows"]), one["reason"], in_own_words(one["way_out"]))
                for one in run["reasons"]
            ],
        )
    screen.line("")
    several = len(run["found"]["phone"]) > 1
    screen.table(
        [
            Column("Row", number=True),
            *([Column("Column", wraps=True)] if several else []),
            Column("As read", wraps=True),
            Column("Number, or why not"),
            Column("Country"),
            Column("Reference", wraps=True),
        ],
        [
            (
                str(one["row"]),
                *([one["column"]] if several else []),
                one["text"],
                one["phone"] or one["reason"],
                one["country"] or "",
                one["reference"] or "",
            )
            for one in run["contacts"]
        ],
    )
    if run["accepted"]:
        screen.note("To look them up, say the same without --dry-run.")


def show_counts(screen: Screen, counted: Mapping[str, Any], *, to_person: bool = False) -> None:
    """Print how many contacts are taken and rejected."""
    say = screen.note if to_person else screen.line
    for name, meaning in (
        ("accepted", "contacts to look up"),
        ("duplicates", "of them with a number of an earlier row: paid once"),
        ("rejected", "rows that cannot be a number"),
    ):
        say(f"{count(counted[name]):>12} {name:<11}{meaning}")
