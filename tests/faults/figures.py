"""Prints what runs measured as the table of docs/guarantees.md.

`FAULT_FIGURES=FILE make test-faults`, then `python -m tests.faults.figures FILE`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

_HEADINGS = (
    "fault",
    "runs",
    "contacts",
    "calls",
    "repeats",
    "in flight when lost",
    "moves again, s",
    "flows again, s",
    "retries late at p99, s",
    "SIGTERM to exit, s",
)


def table(runs: Iterable[Mapping[str, Any]]) -> str:
    """A row for each case; of several runs the sums, and of durations the longest."""
    cases: dict[str, list[Mapping[str, Any]]] = {}
    for run in runs:
        cases.setdefault(run["case"], []).append(run)
    rows = [_HEADINGS, ("---",) * len(_HEADINGS), *(_row(*case) for case in cases.items())]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _row(name: str, runs: list[Mapping[str, Any]]) -> tuple[str, ...]:
    def total(key: str) -> str:
        return f"{sum(run[key] for run in runs):,}"

    in_flight = [int(text.split()[0]) for run in runs for text in run["in flight"]]
    moved = [s for run in runs for s in run.get("partitions move again, s", ()) if s is not None]
    flowing = [
        float(seconds)
        for run in runs
        for text in run.get("flowing again, s", ())
        if (seconds := text.rsplit(": ", 1)[1]) != "None"
    ]
    late = [run["retries late, s"]["p99"] for run in runs if "retries late, s" in run]
    exits = [s for run in runs for s in run["SIGTERM to exit, s"].values()]
    return (
        name,
        str(len(runs)),
        total("contacts"),
        total("calls"),
        total("repeats"),
        str(sum(in_flight)) if in_flight else "",
        *(f"{max(seconds):.1f}" if seconds else "" for seconds in (moved, flowing, late, exits)),
    )


def main(file: str) -> None:
    """Print the table of a file of figures, one run a line."""
    lines = Path(file).read_text(encoding="utf-8").splitlines()
    sys.stdout.write(table(json.loads(line) for line in lines) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
