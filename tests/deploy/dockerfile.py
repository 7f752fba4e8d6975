"""Reads a Dockerfile, and what .dockerignore lets it see: as much of both as ours use."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath


@dataclass(frozen=True)
class Instruction:
    """One line, its continuations joined."""

    name: str
    arguments: str

    @property
    def exec_form(self) -> list[str] | None:
        """The words of a JSON array, or None where a shell would read the line."""
        try:
            words = json.loads(self.arguments)
        except ValueError:
            return None
        return words if isinstance(words, list) else None

    @property
    def words(self) -> list[str]:
        """The words, those that begin with `--` left out."""
        return [word for word in shlex.split(self.arguments) if not word.startswith("--")]

    def option(self, name: str) -> str | None:
        """The value of `--name=`."""
        found = re.search(rf"--{name}=(\S+)", self.arguments)
        return found[1] if found else None


@dataclass(frozen=True)
class Stage:
    """What stands between one FROM and the next."""

    base: str
    name: str
    instructions: tuple[Instruction, ...]

    def of(self, name: str) -> list[Instruction]:
        """The instructions of one kind, in order."""
        return [found for found in self.instructions if found.name == name]

    @property
    def environment(self) -> dict[str, str]:
        """What ENV sets."""
        pairs = [word.partition("=") for found in self.of("ENV") for word in found.words]
        return {name: value for name, _, value in pairs}


def parse(text: str) -> list[Stage]:
    """The stages of a Dockerfile."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    stages: list[Stage] = []
    for line in filter(None, map(str.strip, joined.splitlines())):
        name, _, arguments = line.partition(" ")
        if name.upper() == "FROM":
            base, _, alias = re.sub(r"\s+as\s+", " ", arguments, flags=re.IGNORECASE).partition(" ")
            stages.append(Stage(base, alias, ()))
        elif stages:
            instruction = Instruction(name.upper(), arguments.strip())
            last = stages.pop()
            stages.append(Stage(last.base, last.name, (*last.instructions, instruction)))
    return stages


def findings(stages: Sequence[Stage], root: Path, ignore: str) -> list[str]:
    """What a review refuses in a Dockerfile.

    Args:
        stages: The Dockerfile.
        root: The directory it is built in.
        ignore: The text of .dockerignore.
    """
    found = [
        f"{stage.base} has no digest"
        for stage in stages
        if not re.search(r"@sha256:[0-9a-f]{64}$", stage.base)
    ]
    final = stages[-1]
    users = final.of("USER")
    if not users or not re.fullmatch(r"[1-9]\d*(:[1-9]\d*)?", users[-1].arguments):
        found.append("it does not end as a user with a number above 0")
    for name in ("ENTRYPOINT", "CMD"):
        found += [
            f"{name} is read by a shell"
            for instruction in final.of(name)
            if instruction.exec_form is None
        ]
    if not final.of("ENTRYPOINT"):
        found.append("it starts nothing")
    for stage in stages:
        found += _installs(stage)
        for copy in stage.of("COPY") + stage.of("ADD"):
            if copy.option("from") is None:
                found += [
                    why for source in copy.words[:-1] for why in _copied(source, root, ignore)
                ]
    return found


def _installs(stage: Stage) -> list[str]:
    found = []
    for run in stage.of("RUN"):
        for command in run.arguments.split("&&"):
            own = "--no-deps" in command and "--no-index" in command
            if re.search(r"\bpip\b.* install\b", command) and not own:
                if "--require-hashes" not in command:
                    found.append(f"installed without hashes: {command.strip()}")
                if "--only-binary :all:" not in command:
                    found.append(f"runs code of packages to install them: {command.strip()}")
    return found


def _copied(source: str, root: Path, ignore: str) -> list[str]:
    if not (root / source).exists():
        return [f"{source} is not there"]
    if ignored(source, ignore):
        return [f".dockerignore hides {source}"]
    return []


def ignored(path: str, text: str) -> bool:
    """Whether .dockerignore hides a path: the last line that matches it, or a folder of it, counts."""
    parts = PurePosixPath(path).parts
    names = ["/".join(parts[: end + 1]) for end in range(len(parts))]
    hidden = False
    for line in map(str.strip, text.splitlines()):
        if not line or line.startswith("#"):
            continue
        pattern = line.removeprefix("!").strip("/")
        if any(_matches(name, pattern) for name in names):
            hidden = not line.startswith("!")
    return hidden


def _matches(name: str, pattern: str) -> bool:
    if pattern.startswith("**/"):
        # In any folder, this one too.
        pattern = pattern.removeprefix("**/")
        return fnmatchcase(name.rpartition("/")[2], pattern)
    return name.count("/") == pattern.count("/") and fnmatchcase(name, pattern)
