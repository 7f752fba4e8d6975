"""The ledger of calls: one JSON line each, on file before the answer's last byte goes out.

The order matters. With the line first, whoever has seen an answer finds it here, so a test never
reads a ledger that is behind its own results; and a call is entered as answered only in the very
step that hands the whole answer to the kernel, on a connection not known to be closed. The price is
that a client that dies in that instant leaves an `answered` it has not read, which is how a real
bill counts too. The file is written without a buffer: it outlives a kill of this process and of any
other, not of the machine. It holds phone numbers in clear, since it is what tests reconcile by.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

#: answered: written whole; failed: an error answer, or none for its caller; cut: the server ended
#: it; abandoned: the client was gone before the answer.
Outcome: TypeAlias = Literal["answered", "failed", "cut", "abandoned"]


@dataclass(frozen=True, slots=True)
class Call:
    """One call as it ended. Times are RFC 3339 in UTC.

    `account` is None for unknown credentials; `status` and `code` are None where no answer was
    written. `answered` are the packages with a final outcome, `codes` the error codes of packages,
    `billed` what each package cost, as decimal text. `faults` names what struck it.
    """

    started: str
    ended: str
    account: str | None
    number: str
    packages: tuple[str, ...]
    outcome: Outcome
    status: int | None = None
    code: int | None = None
    answered: tuple[str, ...] = ()
    codes: Mapping[str, int] | None = None
    billed: Mapping[str, str] | None = None
    faults: tuple[str, ...] = ()

    @property
    def cost(self) -> Decimal:
        """What the call cost."""
        return sum(map(Decimal, (self.billed or {}).values()), Decimal(0))

    @classmethod
    def from_json(cls, line: bytes | str) -> Self:
        """Read a line of the ledger."""
        values: dict[str, Any] = json.loads(line)
        for name in ("packages", "answered", "faults"):
            values[name] = tuple(values[name])
        return cls(**values)

    def to_json(self) -> bytes:
        """Return it as a line of the ledger."""
        values = {name: getattr(self, name) for name in _FIELDS}
        return json.dumps(values, separators=(",", ":")).encode() + b"\n"


_FIELDS = tuple(field.name for field in fields(Call))


class Ledger:
    """Appends calls to `path`, going on where an earlier process left off."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        self._path = path
        self.struck: Counter[tuple[str, str]] = Counter()
        self._calls: Counter[tuple[str, str]] = Counter()
        self._answered: Counter[str] = Counter()
        self._billed: Counter[str] = Counter()
        self._cost = Decimal(0)
        content = path.read_bytes()
        whole = content.rfind(b"\n") + 1
        os.ftruncate(self._file, whole)  # a kill in the middle of a line leaves a torn one
        for line in content[:whole].splitlines():
            self._count(Call.from_json(line))

    def append(self, call: Call) -> None:
        """Write a call to the file, and count it."""
        os.write(self._file, call.to_json())
        self._count(call)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def read(self, offset: int, max_bytes: int) -> bytes:
        """Return whole lines from byte `offset` on, at most about `max_bytes` of them."""
        content = os.pread(self._file, max_bytes, offset)
        return content[: content.rfind(b"\n") + 1]

    def summary(self) -> dict[str, Any]:
        """Return the sums over all calls, as the control endpoint shows them."""
        counts: dict[str, Counter[str]] = {}
        for (what, value), count in self._calls.items():
            counts.setdefault(what, Counter())[value] = count
        return {
            "calls": sum(counts.get("outcome", {}).values()),
            "outcomes": counts.get("outcome", {}),
            "statuses": counts.get("status", {}),
            "codes": counts.get("code", {}),
            "accounts": counts.get("account", {}),
            "faults": counts.get("fault", {}),
            "answered": self._answered,
            "billed": self._billed,
            "cost": str(self._cost),
        }

    def _count(self, call: Call) -> None:
        calls = self._calls
        calls["outcome", call.outcome] += 1
        calls["status", str(call.status)] += 1
        calls["account", str(call.account)] += 1
        if call.code is not None:
            calls["code", str(call.code)] += 1
        for code in (call.codes or {}).values():
            calls["code", str(code)] += 1
        for fault in call.faults:
            calls["fault", fault] += 1
            self.struck[fault, call.number] += 1
        self._answered.update(call.answered)
        if call.billed:
            self._billed.update(call.billed.keys())
            self._cost += call.cost


def read_calls(path: Path) -> list[Call]:
    """Return all calls of a ledger's file, also while it is being written."""
    content = path.read_bytes()
    return [Call.from_json(line) for line in content[: content.rfind(b"\n") + 1].splitlines()]


def repeats(calls: Iterable[Call]) -> dict[tuple[str | None, str, str], int]:
    """Return account, number and package of what was answered more than once, and how much more."""
    answers = Counter(
        (call.account, call.number, package) for call in calls for package in call.answered
    )
    return {asked: count - 1 for asked, count in answers.items() if count > 1}
