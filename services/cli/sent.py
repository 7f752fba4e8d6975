"""Says what became of a file that was sent, and what can be done next."""

from __future__ import annotations

from typing import Any

from services.cli.dry_run import show_counts
from services.cli.file_found import how_read
from services.cli.output import Screen


def tell(screen: Screen, job: dict[str, Any], *, is_new: bool, to_person: bool = False) -> None:
    """Say which job it is, how the file is read, and how much of it is taken.

    Args:
        screen: Where to.
        job: As ingest answers.
        is_new: Whether there was no such job before.
        to_person: As a note, because something else is the result.
    """
    say = screen.note if to_person else screen.line
    say(f"Job {job['job_id']}", "bold")
    if not is_new:
        screen.note("It was sent before: nothing is looked up or paid again.")
    for line in how_read(job["found"]) if job.get("found") else ():
        say(line)
    show_counts(screen, job, to_person=to_person)


def tell_next(screen: Screen, job: dict[str, Any], *what: str) -> None:
    """Say which commands show what came of a job, of those that have something to show."""
    words = {"status": " --watch", "results": " --out results.csv", "rejected": ""}
    screen.note("What next:")
    for name in what:
        if job["rejected" if name == "rejected" else "accepted"]:
            screen.command(f"bulk-lookup {name} {job['job_id']}{words[name]}")
