"""Notices, as `lookup.control` is read, that an account which was stopped goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from services.contracts.control import account_keys
from services.contracts.messages import ControlState


class Resumption:
    """Tells once when the last cause that held a whole account is gone, whoever cleared it."""

    def __init__(self, accounts: Iterable[str], on_resumed: Callable[[str], None]) -> None:
        self._account_of = {key: name for name in accounts for key in account_keys(name)}
        self._held: dict[str, set[str]] = {}
        self._on_resumed = on_resumed

    async def note(self, state: ControlState) -> None:
        """Take a state just read; nothing was yet let go on by it."""
        account = self._account_of.get(state.key)
        if account is None:
            return
        held = self._held.setdefault(account, set())
        if state.held:
            held.add(state.key)
        elif state.key in held:
            held.remove(state.key)
            if not held:
                self._on_resumed(account)
