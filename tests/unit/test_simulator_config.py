"""What a simulator can be started with."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from services.local.twilio.config import Account, SimulatorConfig


def test_accounts_are_told_apart() -> None:
    """The same name or credential twice would make the ledger ambiguous."""
    first = Account(name="a", sid="SK1", secret="x")
    for second in (first.model_copy(update={"sid": "SK2"}), first.model_copy(update={"name": "b"})):
        with pytest.raises(ValidationError, match="two accounts have the same"):
            SimulatorConfig(accounts=(first, second))


def test_a_secret_is_not_shown() -> None:
    """Even a simulated one: the same code may be given a real one by mistake."""
    assert "hunter2" not in repr(Account(name="a", sid="SK1", secret="hunter2"))
