"""Which settings of our own environment the local programs get, and which the stack makes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from pydantic import SecretStr

from services.local.twilio.config import Account
from services.runtime.settings import read_secret

#: Replaced together, when the stack brings the part itself.
_KAFKA = ("KAFKA_BOOTSTRAP_", "KAFKA_SECURITY_", "KAFKA_SASL_", "KAFKA_SSL_")
_DATABASE = ("DATABASE_URL",)
_TWILIO = ("TWILIO_",)
#: Decided by the stack for each of its programs.
_OWN = ("HTTP_HOST", "HTTP_PORT")


def own_kafka(environ: Mapping[str, str]) -> bool:
    """Whether the environment names a Kafka to use."""
    return bool(environ.get("KAFKA_BOOTSTRAP_SERVERS"))


def own_database(environ: Mapping[str, str]) -> bool:
    """Whether the environment names a PostgreSQL to use."""
    return bool(environ.get("DATABASE_URL") or environ.get("DATABASE_URL_FILE"))


def own_twilio(environ: Mapping[str, str]) -> bool:
    """Whether the environment has credentials for Twilio."""
    return any(value and name.startswith(_TWILIO) for name, value in environ.items())


def inherited(
    environ: Mapping[str, str], *, kafka: bool, database: bool, twilio: bool
) -> dict[str, str]:
    """The environment that programs take over.

    Args:
        environ: Our own.
        kafka: Whether its settings for Kafka are kept.
        database: Whether those for PostgreSQL are.
        twilio: Whether those for Twilio are: without, no credential reaches a program.
    """
    dropped: tuple[str, ...] = _OWN
    for kept, names in ((kafka, _KAFKA), (database, _DATABASE), (twilio, _TWILIO)):
        dropped += () if kept else names
    return {name: value for name, value in environ.items() if not name.startswith(dropped)}


def database_url(environ: Mapping[str, str]) -> str:
    """The PostgreSQL that the environment names, by DATABASE_URL or its file.

    Raises:
        SettingsError: The file cannot be read.
    """
    file = environ.get("DATABASE_URL_FILE")
    url = read_secret(SecretStr(environ.get("DATABASE_URL", "")), Path(file) if file else None)
    return url or ""


def account_settings(account: Account, base_url: str) -> dict[str, str | int]:
    """What lookup must know of an account of the simulator, as its file of accounts names it."""
    by_key = account.sid.startswith("SK")
    return {
        "api_key" if by_key else "account_sid": account.sid,
        "api_secret" if by_key else "auth_token": account.secret,
        "base_url": base_url,
        "concurrency": account.concurrency,
    }


def without_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment free of all settings of ours, for a stack that is the same everywhere."""
    names = _setting_names()
    return {name: value for name, value in environ.items() if name not in names}


@cache
def _setting_names() -> frozenset[str]:
    # Importing the programs' settings takes a moment that `down` need not wait for.
    from services.ingest.settings import IngestSettings  # noqa: PLC0415 - see above
    from services.lookup.settings import LookupSettings  # noqa: PLC0415 - see above
    from services.results.settings import ResultsSettings  # noqa: PLC0415 - see above

    models = (IngestSettings, LookupSettings, ResultsSettings)
    return frozenset(name.upper() for model in models for name in model.model_fields)
