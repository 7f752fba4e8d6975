"""The mutations: changes that break a guarantee, each with the test that must find it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Mutation:
    """One change to one file, and the test that must fail by it."""

    name: str
    #: From the root of the project, as in `test`.
    file: str
    #: Occurs once in the file.
    old: str
    new: str
    #: As pytest takes it.
    test: str

    def stale(self, root: Path = ROOT) -> str | None:
        """Why it cannot be applied to the tree as it is; None if it can."""
        path = root / self.file
        found = path.read_text(encoding="utf-8").count(self.old) if path.exists() else 0
        if found != 1:
            return f"{self.name}: its old text occurs {found} times in {self.file}, not once"
        return None

    def applied(self, text: str) -> str:
        """The file's text with the change."""
        return text.replace(self.old, self.new)


def mutations() -> list[Mutation]:
    """All of them, in the order of the files they stand in."""
    return [
        Mutation(**entry)
        for file in sorted(Path(__file__).parent.glob("*.toml"))
        for entry in tomllib.loads(file.read_text(encoding="utf-8"))["mutation"]
    ]
