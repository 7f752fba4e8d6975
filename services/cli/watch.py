"""Follows a job to its end, and shows what came of it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from services.cli import wording
from services.cli.exits import NOT_OK, OK, UNAVAILABLE, CommandError
from services.cli.output import Column, Screen

if TYPE_CHECKING:
    from services.cli.client import Api

POLL_SECONDS = 1.0
#: Between two lines where there is no terminal to draw on.
LINE_SECONDS = 5.0
#: A service that restarts is waited for this long.
PATIENCE_SECONDS = 60.0
_BAD = ("dead", "cancelled")


def follow(api: Api, job_id: str, screen: Screen) -> dict[str, Any]:
    """Wait until every contact of a job has its end, telling how far it is meanwhile.

    Its rejected rows are stored then, too.

    Raises:
        CommandError: The job cannot be read, for longer than a restart takes.
    """
    told_at = told = None
    with screen.err.status("Waiting", spinner="line") as status:
        while True:
            job = read(api, job_id)
            line = wording.progress(job)
            if job["state"] == "receiving":
                line += "; still being received"
            for hold in job["holds"]:
                line += f"; held: {hold['key']} ({hold['why']})"
            status.update(line)
            now = time.monotonic()
            ended = bool(job["complete"]) and has_rejected(job)
            due = told_at is None or now - told_at >= LINE_SECONDS
            if not screen.err.is_terminal and line != told and (due or ended):
                screen.note(line)
                told, told_at = line, now
            if ended:
                return read(api, job_id, breakdown=True)
            time.sleep(POLL_SECONDS)


def show(screen: Screen, job: Mapping[str, Any]) -> None:
    """Print how far a job is and what came of it."""
    now = datetime.now(UTC)
    sealed = job["sealed"]
    fields = {
        "Job": str(job["job_id"]),
        "File": job["file_name"] or "-",
        "From": f"{job['source']}, {wording.when(job['created_at'], now)}",
        "Account": job["account"],
        "Packages": ", ".join(job["packages"]),
        "Accepted": wording.count(sealed["accepted"]) if sealed else f"not sealed ({job['state']})",
        "Rejected": wording.count(sealed["rejected"] if sealed else job["rejected"]),
        "Progress": wording.progress(job),
    }
    for hold in job["holds"]:
        fields[f"Held by {hold['key']}"] = (
            f"{hold['why']} ({hold['by']}, {wording.when(hold['at'], now)})"
        )
    screen.fields(fields)
    screen.line("")
    screen.table(
        [Column("State"), Column("Contacts", number=True)],
        [[state, wording.count(n)] for state, n in job["counts"].items() if n],
    )
    if job["outcomes"]:
        screen.line("")
        _show_outcomes(screen, job["outcomes"])
    if job["reasons"]:
        screen.line("")
        screen.table(
            [Column("State"), Column("Why", wraps=True), Column("Contacts", number=True)],
            [[r["state"], r["reason"] or "-", wording.count(r["count"])] for r in job["reasons"]],
        )


def exit_code(job: Mapping[str, Any]) -> int:
    """0 if the job did all it could, 1 if contacts are dead or cancelled."""
    return NOT_OK if any(job["counts"].get(state) for state in _BAD) else OK


def _show_outcomes(screen: Screen, outcomes: list[dict[str, Any]]) -> None:
    names = ("ok", "failed", "exhausted", "reused", "billed_yes", "billed_unknown")
    headings = ("Package", "Answered", "Failed", "Gave up", "Reused", "Billed", "Maybe billed")
    screen.table(
        [Column(heading, number=place > 0) for place, heading in enumerate(headings)],
        [[one["package"], *(wording.count(one[name]) for name in names)] for one in outcomes],
    )


def has_rejected(job: Mapping[str, Any]) -> bool:
    """Tell whether all rejected rows of a job are stored, as far as their number is known."""
    return not job["sealed"] or job["rejected"] >= job["sealed"]["rejected"]


def read(api: Api, job_id: str, *, breakdown: bool = False) -> dict[str, Any]:
    """One reading; a service that is away for a moment is asked again.

    Raises:
        CommandError: The job cannot be read, for longer than a restart takes.
    """
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return api.get(f"/v1/jobs/{job_id}", {"breakdown": breakdown})
        except CommandError as error:
            if error.code != UNAVAILABLE or time.monotonic() >= give_up_at:
                raise
            time.sleep(POLL_SECONDS)
