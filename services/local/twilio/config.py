"""What a simulator is started with."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from services.local.twilio.faults import Fault

AccountState = Literal["ok", "refused", "suspended"]

#: HTTP status and code that an account in this state is answered with.
STATE_ERRORS: dict[AccountState, tuple[int, int]] = {
    "refused": (401, 20003),
    "suspended": (403, 20005),
}


class Account(BaseModel):
    """A credential that may ask, and how many of its calls may be under way at once."""

    model_config = ConfigDict(extra="forbid")

    name: str
    #: Account SID or API key.
    sid: str
    secret: str = Field(repr=False)
    state: AccountState = "ok"
    concurrency: int = Field(default=100, ge=0)

    @property
    def authorization(self) -> bytes:
        """The value of the Authorization header that stands for it."""
        return b"Basic " + base64.b64encode(f"{self.sid}:{self.secret}".encode())


class AccountChange(BaseModel):
    """What can change of an account while the simulator runs; None leaves it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: AccountState | None = None
    concurrency: int | None = Field(default=None, ge=0)


class Latency(BaseModel):
    """How long answers take: log-normal around a median; without spread always the median."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    median_seconds: float = Field(default=0.1, ge=0)
    spread: float = Field(default=0.0, ge=0)


class SimulatorConfig(BaseModel):
    """Accounts, latency, faults and the seed of all chance."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    accounts: tuple[Account, ...] = (
        Account(name="default", sid="SK" + "0" * 32, secret="simulated"),  # noqa: S106 # opens nothing
    )
    latency: Latency = Latency()
    faults: tuple[Fault, ...] = ()
    seed: int = 1

    @field_validator("accounts")
    @classmethod
    def _told_apart(cls, accounts: tuple[Account, ...]) -> tuple[Account, ...]:
        for what in ("name", "sid"):
            if len({getattr(account, what) for account in accounts}) < len(accounts):
                raise ValueError(f"two accounts have the same {what}")
        return accounts


class Prices(BaseModel):
    """Dated prices per package and call, as decimal text that is added up exactly."""

    model_config = ConfigDict(frozen=True)

    as_of: str
    currency: str
    note: str
    per_call: dict[str, str]


def load_prices() -> Prices:
    """Return the prices that the simulator bills."""
    content: Any = json.loads(Path(__file__).with_name("prices.json").read_text("utf-8"))
    return Prices.model_validate(content)
