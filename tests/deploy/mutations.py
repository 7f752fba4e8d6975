"""Changes to a rendering that a check must find: each check is shown to fail by one at least."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

from tests.deploy.documents import Document, Manifests, named

Policy = Callable[[Manifests], list[str]]
Mutation = Callable[[list[Document]], None]

#: Where a pod's own part is in what makes it, and its first container.
POD = "spec template spec"
MAIN = f"{POD} containers 0"


@dataclass(frozen=True)
class Case:
    """A check, changes to sound manifests, and words of what it must then say."""

    policy: Policy
    says: str
    changes: tuple[Mutation, ...]

    @property
    def id(self) -> str:
        """For pytest."""
        return f"{self.policy.__name__}: {self.says}"


def case(policy: Policy, says: str, *changes: Mutation) -> Case:
    """A line of a table of cases."""
    return Case(policy, says, changes)


def mutated(manifests: Manifests, *changes: Mutation) -> Manifests:
    """A changed copy."""
    documents = copy.deepcopy(list(manifests.documents))
    for change in changes:
        change(documents)
    return Manifests(tuple(documents))


def put(which: str, path: str, value: Any) -> Mutation:
    """Set a value in the first document called so (`Deployment/lookup`, `Job/migrate-*`).

    The path is keys and indexes with spaces between them; what is missing on the way is made.
    """

    def change(documents: list[Document]) -> None:
        *way, last = _steps(path)
        target: Any = _first(documents, which)
        for step in way:
            target = target.setdefault(step, {}) if isinstance(target, dict) else target[step]
        target[last] = value

    return change


def drop(which: str, path: str) -> Mutation:
    """Remove a value that is there."""

    def change(documents: list[Document]) -> None:
        *way, last = _steps(path)
        target: Any = _first(documents, which)
        for step in way:
            target = target[step]
        del target[last]

    return change


def remove(which: str) -> Mutation:
    """Remove every document called so, of which there must be one."""

    def change(documents: list[Document]) -> None:
        found = [document for document in documents if fnmatch(named(document), which)]
        assert found, which
        for document in found:
            documents.remove(document)

    return change


def add(**document: Any) -> Mutation:
    """Add a document."""
    return lambda documents: documents.append(document)


def extend(which: str, path: str, *values: Any) -> Mutation:
    """Append to a list, which is made if it is missing."""

    def change(documents: list[Document]) -> None:
        *way, last = _steps(path)
        target: Any = _first(documents, which)
        for step in way:
            target = target.setdefault(step, {}) if isinstance(target, dict) else target[step]
        target[last] = [*target.get(last, []), *values]

    return change


def variable(program: str, name: str, value: str) -> Mutation:
    """Give a program another value of a setting, whatever gave it the old one."""
    return extend(f"Deployment/{program}", f"{MAIN} env", {"name": name, "value": value})


def _first(documents: list[Document], which: str) -> Document:
    return next(document for document in documents if fnmatch(named(document), which))


def _steps(path: str) -> list[str | int]:
    return [int(step) if step.isdecimal() else step for step in path.split(" ")]
