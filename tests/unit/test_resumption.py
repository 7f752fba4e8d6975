"""When an account goes on again, as lookup.control tells it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from services.contracts.messages import ControlState
from services.lookup.resumption import Resumption


def state(key: str, *, held: bool) -> ControlState:
    return ControlState(key=key, held=held, why="w", by="b", at=datetime.now(UTC))


@pytest.mark.parametrize(
    ("read", "told"),
    [
        (["+account:main:person", "-account:main:person"], ["main"]),
        # Two causes: it goes on when the last is gone, in any order.
        (["+account:main:flood", "+account:main:person", "-account:main:flood"], []),
        (
            [
                "+account:main:flood",
                "+account:main:person",
                "-account:main:person",
                "-account:main:flood",
            ],
            ["main"],
        ),
        # Cleared once more, or never set: nothing goes on by it.
        (["+account:main:flood", "-account:main:flood", "-account:main:flood"], ["main"]),
        (["-account:main:person"], []),
        # A package, a job, another account, and one that is none of ours.
        (["+account:main:package:caller_name", "-account:main:package:caller_name"], []),
        (["+account:main:flood", "+account:other:flood", "-account:other:flood"], ["other"]),
        (["+account:gone:flood", "-account:gone:flood"], []),
    ],
)
async def test_an_account_goes_on_when_its_last_cause_is_gone(
    read: list[str], told: list[str]
) -> None:
    """Told once, whoever cleared it, and never while anything still holds the account."""
    found: list[str] = []
    resumption = Resumption(("main", "other"), found.append)
    for text in read:
        await resumption.note(state(text[1:], held=text.startswith("+")))
    assert found == told
