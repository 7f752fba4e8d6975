"""How the demo looks: live progress on a terminal, plain lines elsewhere, and its summary."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from services.local.demo_summary import Summary

#: Seconds between two lines where there is no terminal.
_LINE_SECONDS = 2.0
_STATE_STYLES = {"completed": "green", "dead": "red", "retrying": "yellow", "parked": "yellow"}


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the job is at one instant; `left` is seconds, None if nobody can tell."""

    total: int
    finished: int
    states: Mapping[str, int]
    rate: float
    left: float | None
    in_flight: int
    calls: int


@dataclass(slots=True)
class View:
    """The demo's running display; a context manager.

    Args:
        console: Where to.
    """

    console: Console
    _started: float = field(default_factory=time.monotonic)
    _line_at: float = 0.0
    _live: Live | None = None

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self._live = Live(console=self.console, refresh_per_second=8, transient=True)
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def step(self, text: str) -> None:
        """Tell about a step; it stays on the screen."""
        self.console.print(
            Text.assemble((f"{self._elapsed:5.1f} s  ", "dim"), text), soft_wrap=True
        )

    def show(self, progress: Progress) -> None:
        """Tell how far it is."""
        if self._live is not None:
            self._live.update(_live_panel(progress, self._elapsed))
        elif time.monotonic() - self._line_at >= _LINE_SECONDS:
            self._line_at = time.monotonic()
            self.step(_line(progress))

    @property
    def _elapsed(self) -> float:
        return time.monotonic() - self._started


def _line(progress: Progress) -> str:
    states = ", ".join(f"{state} {n:,}" for state, n in progress.states.items() if n)
    return (
        f"{progress.finished:,} of {progress.total:,} finished; {progress.rate:,.0f}/s, "
        f"{_left(progress)}; {progress.in_flight} calls in flight; {states or 'none read yet'}"
    )


def _left(progress: Progress) -> str:
    if progress.left is None:
        return "time left unknown"
    return f"{progress.left:.0f} s left"


def _live_panel(progress: Progress, elapsed: float) -> RenderableType:
    bar = Table.grid(padding=(0, 2))
    share = progress.finished / progress.total if progress.total else 0.0
    bar.add_row(
        ProgressBar(total=max(1, progress.total), completed=progress.finished, width=40),
        f"{share:4.0%}",
        f"{progress.finished:,} of {progress.total:,}",
        f"{elapsed:.0f} s",
    )
    figures = Table.grid(padding=(0, 3))
    figures.add_row(
        f"{progress.rate:,.0f} contacts/s",
        _left(progress),
        f"{progress.in_flight} calls in flight",
        f"{progress.calls:,} calls so far",
    )
    states = Text("   ").join(
        Text(f"{state} {n:,}", _STATE_STYLES.get(state, ""))
        for state, n in progress.states.items()
        if n
    )
    return Padding(Group(bar, figures, states), (1, 2))


def show_summary(console: Console, summary: Summary, closing: Sequence[str]) -> None:
    """Print the summary for a person, and after it where to look next."""
    console.print()
    console.print(Text("What came of it", "bold"))
    console.print(_contacts(summary))
    console.print(_packages(summary))
    console.print(_faults(summary))
    console.print(_calls(summary))
    console.print(Text("Does it add up?", "bold"))
    console.print(_checks(summary))
    for line in closing:
        console.print(line, soft_wrap=True)


def _grid(*columns: str) -> Table:
    """A table without frames; a column's heading begins with > where numbers stand in it."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="dim")
    for place, column in enumerate(columns):
        numbers = column.startswith(">")
        table.add_column(
            column.removeprefix(">"),
            justify="right" if numbers else "left",
            no_wrap=numbers or place == 0,
        )
    return table


def _contacts(summary: Summary) -> RenderableType:
    table = _grid("Contacts", ">", "of these")
    table.add_row("rows in the file", f"{summary.rows:,}", "")
    table.add_row("rejected", f"{summary.rejected:,}", _named(summary.rejected_by_reason))
    table.add_row(
        "accepted",
        f"{summary.accepted:,}",
        f"{summary.duplicates:,} with a number that stood in the file before",
    )
    for state, n in summary.states.items():
        why = _named(summary.dead_by_reason) if state == "dead" else ""
        table.add_row(Text(f"  {state}", _STATE_STYLES.get(state, "")), f"{n:,}", why)
    return Padding(table, (0, 0, 1, 2))


def _packages(summary: Summary) -> RenderableType:
    table = _grid("Package", ">answered", ">reused", ">failed", ">given up", "because of")
    for line in summary.packages:
        table.add_row(
            line.package,
            f"{line.answered:,}",
            f"{line.reused:,}",
            f"{line.failed:,}",
            f"{line.exhausted:,}",
            _named(line.failures),
        )
    return Padding(table, (0, 0, 1, 2))


def _faults(summary: Summary) -> RenderableType:
    table = _grid("Injected fault", ">calls", ">numbers", ">completed", "meant to")
    for line in summary.faults:
        table.add_row(
            line.name,
            f"{line.calls:,}",
            f"{line.numbers:,}",
            f"{line.completed:,}",
            "pass" if line.recovers else "stay",
        )
    return Padding(table, (0, 0, 1, 2))


def _calls(summary: Summary) -> RenderableType:
    table = _grid("Calls, money and time", "")
    per_number = ", ".join(
        f"{n:,} with {'one call' if calls == 1 else f'{calls} calls'}"
        for calls, n in summary.numbers_by_calls.items()
    )
    table.add_row(
        "calls",
        f"{summary.calls:,} ({_named(summary.calls_by_outcome)}), {summary.retries:,} again",
    )
    table.add_row("calls per contact", f"{summary.calls_per_contact:.2f}; numbers: {per_number}")
    prices = ", ".join(
        f"{line.billed:,} x {line.package}" for line in summary.packages if line.billed
    )
    table.add_row(
        "would have cost",
        f"{summary.cost_by_ledger} {summary.currency} at the simulator's prices ({prices})",
    )
    if unknown := sum(summary.calls_by_outcome.get(how, 0) for how in ("cut", "abandoned")):
        table.add_row(
            "may cost more",
            f"{unknown:,} calls whose answer never came whole: Twilio does not say if it bills them",
        )
    table.add_row("time", f"{summary.seconds:.1f} s, {summary.contacts_per_second:,.0f} contacts/s")
    return Padding(table, (0, 0, 1, 2))


def _checks(summary: Summary) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    for check in summary.checks:
        mark = Text("✓", "green") if check.holds else Text("✗", "bold red")
        table.add_row(
            mark, Text(check.rule, no_wrap=True), Text(check.seen, "dim" if check.holds else "red")
        )
    return Padding(table, (0, 0, 1, 2))


def _named(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{n:,} {name}" for name, n in counts.items())
