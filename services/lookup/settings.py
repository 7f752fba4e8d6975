"""Settings of lookup and of the scheduler."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import Field, PositiveInt

from services.lookup.accounts import TwilioSettings
from services.runtime.settings import DatabaseSettings, Duration, ProgramSettings


class LookupSettings(ProgramSettings, DatabaseSettings, TwilioSettings):
    """What lookup needs: Kafka, PostgreSQL, Twilio, and how often to try."""

    max_attempts: PositiveInt = Field(
        default=4,
        le=100,
        description="Calls that may fail for a contact's own sake before it is dead, the first "
        "among them.",
    )
    max_age: Duration = Field(
        default=timedelta(days=1),
        description="How long a contact may go on failing before it is dead, not counting the "
        "time it was held.",
    )
    unavailable_package: Literal["park", "fail"] = Field(
        default="park",
        description="A package that the account may not use: hold its requests until a person "
        "acts, or complete them with that package failed.",
    )
    probe_interval: Duration = Field(
        default=timedelta(seconds=30),
        gt=timedelta(0),
        description="Time until an account that Twilio refuses is asked again by a free call; "
        "it doubles with each refusal, up to ten times as long.",
    )
    flood_share: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="Stop an account when so much of its last 200 outcomes in one process are "
        "contacts refused for good or failed in lookup itself; invalid numbers are neither.",
    )
    flood_run: PositiveInt = Field(
        default=100,
        le=1_000_000,
        description="Stop an account after so many of them one after the other.",
    )
    memory_limit: PositiveInt = Field(
        default=20_000,
        description="Acknowledged outcomes remembered until results has stored them; with no "
        "room left, lookup waits.",
    )
