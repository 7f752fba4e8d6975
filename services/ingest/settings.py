"""What ingest can be told, beyond what every program is."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, PositiveInt, model_validator
from pydantic_settings import NoDecode

from services.contracts.messages import AccountName
from services.contracts.packages import Package
from services.runtime.settings import ApiSettings, DatabaseSettings, Duration, ProgramSettings

_MEBIBYTE = 1024 * 1024


def split_names(value: Any) -> Any:
    """Split comma-separated names, given once or several times; anything else stays."""
    if isinstance(value, str):
        value = [value]
    if isinstance(value, list | tuple):
        return tuple(
            name.strip()
            for part in value
            for name in (part.split(",") if isinstance(part, str) else [part])
            if name.strip()
        )
    return value


class IngestSettings(ProgramSettings, DatabaseSettings, ApiSettings):
    """The settings of the program `ingest`."""

    default_account: AccountName = Field(
        default="default", description="Twilio account of contacts that name none."
    )
    accounts: Annotated[tuple[AccountName, ...], NoDecode, BeforeValidator(split_names)] = Field(
        default=(),
        description="Twilio accounts that contacts may name besides DEFAULT_ACCOUNT, "
        "comma-separated; a contact that names another is refused.",
    )
    default_packages: Annotated[tuple[Package, ...], NoDecode, BeforeValidator(split_names)] = (
        Field(
            default=(Package.BASIC,),
            description="Packages for contacts that name none, comma-separated; `basic` alone is free.",
        )
    )
    fresh_for: Duration = Field(
        default=timedelta(days=30),
        description="How old an earlier answer may be to be taken instead of asking again; "
        "a job can say otherwise.",
    )
    max_upload_bytes: PositiveInt = Field(
        default=256 * _MEBIBYTE, description="Largest file taken, in bytes."
    )
    spool_directory: Path | None = Field(
        default=None,
        description="Directory for uploads until they are published; the system's temporary one "
        "without it. Files in it have no name, and vanish with the process.",
    )
    spool_limit_bytes: PositiveInt = Field(
        default=2048 * _MEBIBYTE,
        description="Bytes that all uploads together may take on disk; over it, 503. So it is before "
        "the disk has less than 256 MiB left, or a twentieth of it if that is less.",
    )
    stall_limit: Duration = Field(
        default=timedelta(seconds=30),
        description="How long a sender waits while nothing is read or acknowledged before it gets 503; "
        "publishing goes on all the same.",
    )
    results_url: str = Field(
        default="",
        description="Address of the program `results` as users reach it, for links in answers; "
        "without it links begin with a slash.",
    )

    @property
    def nameable_accounts(self) -> frozenset[str]:
        """All accounts that a contact may name."""
        return frozenset({self.default_account, *self.accounts})

    @model_validator(mode="after")
    def _check_pool(self) -> Self:
        if self.database_pool_size < 2:  # noqa: PLR2004 - one holds a job's lock, one does its SQL
            raise ValueError("DATABASE_POOL_SIZE must be at least 2 for ingest")
        return self
