"""Settings that every program shares, read once from the environment and frozen.

A setting's name in the environment is its field's name in capitals. All that is wrong is
reported at once, each with its name, its value (secrets masked) and the reason.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    PositiveInt,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from services.contracts.topics import DEFAULT_RETRY_DELAYS, Topics, topic_table

S = TypeVar("S", bound="ProgramSettings")

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class SettingsError(Exception):
    """One or more settings are wrong; the message lists all of them."""


def parse_duration(text: str) -> timedelta:
    """Read `250ms`, `15s`, `5m`, `2h` or `30d`.

    Raises:
        ValueError: It is not of that form.
    """
    for unit in sorted(_UNITS, key=len, reverse=True):
        number = text.strip().removesuffix(unit)
        digits = number.replace(".", "", 1)
        if number != text.strip() and digits.isascii() and digits.isdecimal():
            try:
                return timedelta(seconds=float(number) * _UNITS[unit])
            except OverflowError:
                raise ValueError("longer than can be reckoned with") from None
    raise ValueError("expected a number with a unit, such as 250ms, 15s, 5m, 2h or 30d")


def _duration(value: Any) -> Any:
    return parse_duration(value) if isinstance(value, str) else value


def _durations(value: Any) -> Any:
    if isinstance(value, str):
        return tuple(parse_duration(part) for part in value.split(","))
    return value


Duration = Annotated[timedelta, BeforeValidator(_duration)]
Durations = Annotated[tuple[timedelta, ...], NoDecode, BeforeValidator(_durations)]


class ProgramSettings(BaseSettings):
    """What every program needs: logs, its HTTP port, Kafka, and the topics' shape."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severity that is logged."
    )
    http_host: str | None = Field(
        default=None,
        description="Address the HTTP server listens on; all with an API token, else 127.0.0.1. "
        "Ingest and results obey it only if API_TOKENS is set.",
    )
    http_port: int = Field(
        default=0, ge=0, le=65535, description="Port of the HTTP server; 0 takes a free one."
    )
    drain_limit: Duration = Field(
        default=timedelta(seconds=25),
        description="Longest time the drain of a stop may take: longer than the longest call and "
        "the acknowledgement of what came of it. Over it, and a stop over a fifth more than it, "
        "the program ends as if killed.",
    )

    kafka_bootstrap_servers: str = Field(
        default="localhost:9092", description="Kafka's addresses, host:port, comma-separated."
    )
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT", description="How to talk to Kafka."
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        default="SCRAM-SHA-512", description="How to prove who we are, with SASL."
    )
    kafka_sasl_username: str | None = Field(default=None, description="Name for SASL.")
    kafka_sasl_password: SecretStr | None = Field(default=None, description="Password for SASL.")
    kafka_sasl_password_file: Path | None = Field(
        default=None, description="File that holds the password for SASL."
    )
    kafka_ssl_ca_file: Path | None = Field(
        default=None, description="Certificates to trust for TLS, PEM; the system's without it."
    )
    kafka_ssl_certificate_file: Path | None = Field(
        default=None, description="Our own certificate for TLS, PEM."
    )
    kafka_ssl_key_file: Path | None = Field(default=None, description="Its key, PEM.")

    kafka_topic_prefix: str = Field(
        default="",
        pattern=r"^[a-zA-Z0-9._-]{0,64}$",
        description="Stands before every topic and group name, for shared clusters.",
    )
    kafka_create_topics: bool = Field(
        default=True, description="Make topics that are missing; off where an operator owns them."
    )
    kafka_partitions: PositiveInt = Field(
        default=12, le=1000, description="Partitions of topics that are made."
    )
    kafka_replication_factor: int = Field(
        default=-1,
        ge=-1,
        description="Replicas of topics that are made; -1 is the broker's default.",
    )
    kafka_retention: Duration = Field(
        default=timedelta(days=30),
        description="How long work topics keep records: longer than the longest stop allowed.",
    )
    kafka_session_timeout: Duration = Field(
        default=timedelta(seconds=10),
        description="After this long without a heartbeat Kafka gives a consumer's partitions to "
        "another; a tenth of it lies between two heartbeats.",
    )
    retry_delays: Durations = Field(
        default=DEFAULT_RETRY_DELAYS,
        description="Delays before the first, second, ... retry; one topic each.",
    )

    def group(self, program: str) -> str:
        """The consumer group of a program on Kafka."""
        return f"{self.kafka_topic_prefix}{program}"

    @property
    def topics(self) -> Topics:
        """The topic table with these settings."""
        return topic_table(
            prefix=self.kafka_topic_prefix,
            partitions=self.kafka_partitions,
            retry_delays=self.retry_delays,
            retention=self.kafka_retention,
        )

    @model_validator(mode="after")
    def _check_kafka(self) -> Self:
        if self.kafka_security_protocol.startswith("SASL") and not (
            self.kafka_sasl_username and (self.kafka_sasl_password or self.kafka_sasl_password_file)
        ):
            raise ValueError(
                "KAFKA_SECURITY_PROTOCOL asks for SASL: set KAFKA_SASL_USERNAME and "
                "KAFKA_SASL_PASSWORD or KAFKA_SASL_PASSWORD_FILE"
            )
        if self.kafka_ssl_key_file is not None and self.kafka_ssl_certificate_file is None:
            raise ValueError("KAFKA_SSL_KEY_FILE needs KAFKA_SSL_CERTIFICATE_FILE beside it")
        if list(self.retry_delays) != sorted(set(self.retry_delays)) or not min(self.retry_delays):
            raise ValueError("RETRY_DELAYS must rise from one to the next, and begin above 0s")
        return self


class DatabaseSettings(BaseModel):
    """Where PostgreSQL is; mixed into the settings of the programs that need it."""

    database_url: SecretStr = Field(
        default=SecretStr("postgresql://localhost/bulk_lookup"),
        description="PostgreSQL, as postgresql://user:password@host:port/database.",
    )
    database_url_file: Path | None = Field(
        default=None, description="File that holds DATABASE_URL."
    )
    database_pool_size: PositiveInt = Field(
        default=8, le=200, description="Most connections to PostgreSQL of one process."
    )


class ApiSettings(BaseModel):
    """Who may use a program's API; mixed into the settings of ingest and results."""

    api_tokens: SecretStr | None = Field(
        default=None,
        description="Bearer tokens as name:token, comma-separated; the name is the source of a "
        "job. Without any, the program listens on 127.0.0.1 only.",
    )
    api_tokens_file: Path | None = Field(
        default=None, description="File that holds API_TOKENS, a name:token per line."
    )


def read_secret(value: SecretStr | None, file: Path | None) -> str | None:
    """A secret given by itself or by a file, which wins.

    Raises:
        SettingsError: The file cannot be read.
    """
    if file is not None:
        try:
            secret = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise SettingsError(f"{file}: {why}; it should hold a secret") from None
        if not secret:
            raise SettingsError(f"{file}: it is empty; it should hold a secret")
        return secret
    return value.get_secret_value() if value is not None else None


def load_settings(model: type[S]) -> S:
    """Read `model` from the environment.

    Raises:
        SettingsError: Lists every setting that is wrong.
    """
    try:
        return model()
    except ValidationError as error:
        raise SettingsError(_report(model, error)) from None


def _report(model: type[BaseSettings], error: ValidationError) -> str:
    lines = []
    for problem in error.errors(include_url=False):
        reason = problem["msg"].removeprefix("Value error, ")
        if not problem["loc"]:
            lines.append(f"  {reason}")
            continue
        name = str(problem["loc"][0])
        annotation = str(model.model_fields[name].annotation) if name in model.model_fields else ""
        value = "***" if "SecretStr" in annotation else repr(problem["input"])
        lines.append(f"  {name.upper()}={value}: {reason}")
    return "These settings are wrong:\n" + "\n".join(lines)
