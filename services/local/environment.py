"""Which settings of our own environment the local programs get, and which the stack makes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

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
