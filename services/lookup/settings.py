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
    memory_limit: PositiveInt = Field(
        default=20_000,
        description="Acknowledged outcomes remembered until results has stored them; with no "
        "room left, lookup waits.",
    )
