"""What was seen of each fault, and the table of it in the operations page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

BEGIN = "<!-- seen: begin, written by `make record-alerts` -->"
END = "<!-- seen: end -->"


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of one fault. Alerts are named `Name severity`; times are seconds as they passed."""

    fault: str
    #: From the fault to each alert.
    fired: Mapping[str, float]
    expected: frozenset[str]
    runbook: str
    #: Patterns that the runbook's steps did not show.
    not_shown: tuple[str, ...]
    cleared_by: str
    #: From then on, how long each still fired; without those that did not end.
    cleared: Mapping[str, float]

    @property
    def problems(self) -> list[str]:
        """What was not as it must be."""
        found = [f"{name} did not fire" for name in sorted(self.expected - self.fired.keys())]
        found += [f"{name} fired" for name in sorted(self.fired.keys() - self.expected)]
        found += [f"{self.runbook}.md did not show {pattern}" for pattern in self.not_shown]
        found += [f"{name} did not clear" for name in sorted(self.fired.keys() - self.cleared)]
        return [f"{self.fault}: {problem}" for problem in found]


def table(seen: Iterable[Seen]) -> str:
    """A Markdown table: a row for each fault, and in it a line for each alert."""
    lines = [
        "| fault | alert, and when it fired | runbook followed | cleared by | gone |",
        "| --- | --- | --- | --- | --- |",
    ]
    for one in seen:
        order = sorted(one.fired, key=lambda name: one.fired[name])
        fired = "<br>".join(
            f"`{name.split()[0]}` {name.split()[1]}, after {one.fired[name]:.0f} s"
            for name in order
        )
        gone = "<br>".join(
            f"after {one.cleared[name]:.0f} s" if name in one.cleared else "never" for name in order
        )
        page = f"[{one.runbook}](runbooks/{one.runbook}.md)"
        lines.append(f"| {one.fault} | {fired} | {page} | {one.cleared_by} | {gone} |")
    return "\n".join(lines)


def written(page: str, text: str) -> str:
    """The page with the text between its markers.

    Raises:
        ValueError: It has not one pair of markers.
    """
    if page.count(BEGIN) != 1 or page.count(END) != 1:
        raise ValueError(f"the page needs one line {BEGIN} and one {END}")
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{text}\n{END}{after}"
