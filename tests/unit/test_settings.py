"""Settings: read from the environment, all that is wrong said at once, secrets never."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import Field, SecretStr, ValidationError

from services.reference import PROGRAMS
from services.runtime.settings import (
    ProgramSettings,
    SettingsError,
    load_settings,
    parse_duration,
    read_secret,
)


class Example(ProgramSettings):
    """Settings with a secret that can be wrong."""

    api_key: SecretStr = Field(default=SecretStr("x" * 32), min_length=32)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25),
        ("15s", 15),
        ("1.5s", 1.5),
        ("5m", 300),
        ("2h", 7200),
        ("30d", 2_592_000),
        (" 5m ", 300),
        ("0s", 0),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    """A number and its unit."""
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "15",
        "s",
        "-1s",
        "1 s s",
        "1e3s",
        "1.2.3s",
        ".s",
        "1w",
        "\u0661s",  # a digit of another script
        "1M",
        "15 seconds",
        "9" * 99 + "d",
    ],
)
def test_what_is_no_duration(text: str) -> None:
    """No unit is guessed, and nothing overflows."""
    with pytest.raises(ValueError, match=r"expected a number with a unit|longer than"):
        parse_duration(text)


def test_defaults_are_enough() -> None:
    """A program on a developer's machine needs no setting."""
    assert load_settings(ProgramSettings).kafka_bootstrap_servers == "localhost:9092"


def test_settings_are_frozen() -> None:
    """Nothing changes them after the start."""
    settings = load_settings(ProgramSettings)
    with pytest.raises(ValidationError, match="frozen"):
        settings.kafka_partitions = 1  # type: ignore[misc] # that is what is tried


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose files and manifests pass on what nobody has set as empty."""
    monkeypatch.setenv("KAFKA_SASL_PASSWORD_FILE", "")
    monkeypatch.setenv("RETRY_DELAYS", "")
    settings = load_settings(ProgramSettings)
    assert settings.kafka_sasl_password_file is None
    assert settings.retry_delays == ProgramSettings.model_fields["retry_delays"].default


def test_all_that_is_wrong_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each with its name, its value and the reason; a secret's value is hidden."""
    monkeypatch.setenv("KAFKA_PARTITIONS", "twelve")
    monkeypatch.setenv("DRAIN_LIMIT", "25")
    monkeypatch.setenv("KAFKA_SECURITY_PROTOCOL", "TLS")
    monkeypatch.setenv("API_KEY", "too-short-secret")
    with pytest.raises(SettingsError) as caught:
        load_settings(Example)
    message = str(caught.value)
    assert "KAFKA_PARTITIONS='twelve': Input should be a valid integer" in message
    assert "DRAIN_LIMIT='25': expected a number with a unit" in message
    assert "KAFKA_SECURITY_PROTOCOL='TLS': Input should be 'PLAINTEXT'" in message
    assert "API_KEY=***: " in message
    assert "too-short-secret" not in message
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"RETRY_DELAYS": "1m,15s"}, "RETRY_DELAYS must rise"),
        ({"RETRY_DELAYS": "1m,1m"}, "RETRY_DELAYS must rise"),
        ({"RETRY_DELAYS": "0s,1m"}, "begin above 0s"),
        ({"RETRY_DELAYS": "1s,,2s"}, "expected a number with a unit"),
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_SSL"}, "set KAFKA_SASL_USERNAME and"),
        (
            {"KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT", "KAFKA_SASL_USERNAME": "u"},
            "KAFKA_SASL_PASSWORD_FILE",
        ),
        ({"KAFKA_SSL_KEY_FILE": "k"}, "KAFKA_SSL_KEY_FILE needs KAFKA_SSL_CERTIFICATE_FILE"),
        ({"KAFKA_TOPIC_PREFIX": "a b"}, "KAFKA_TOPIC_PREFIX='a b'"),
        ({"KAFKA_PARTITIONS": "0"}, "greater than 0"),
        ({"HTTP_PORT": "65536"}, "less than or equal to 65535"),
    ],
)
def test_what_is_refused(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], message: str
) -> None:
    """A program does not start on settings that cannot work together."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=message):
        load_settings(ProgramSettings)


def test_settings_shape_the_topics(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every program sees the same table."""
    monkeypatch.setenv("KAFKA_TOPIC_PREFIX", "stage.")
    monkeypatch.setenv("KAFKA_PARTITIONS", "4")
    monkeypatch.setenv("RETRY_DELAYS", "250ms,1s")
    monkeypatch.setenv("KAFKA_RETENTION", "2d")
    topics = load_settings(ProgramSettings).topics
    assert [topic.name for _, topic in topics.retries] == [
        "stage.lookup.retry.250ms",
        "stage.lookup.retry.1s",
    ]
    assert topics.contacts.partitions == 4
    assert topics.contacts.retention == timedelta(days=2)


def test_a_secret_from_a_file(tmp_path: Path) -> None:
    """The file wins, and the line end that editors leave is no part of the secret."""
    file = tmp_path / "secret"
    file.write_text("from file\n", encoding="utf-8")
    assert read_secret(SecretStr("from environment"), file) == "from file"
    assert read_secret(SecretStr("from environment"), None) == "from environment"
    assert read_secret(None, None) is None


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "No such file"), (b" \n", "is empty"), (b"\xff\xfe", "not UTF-8")],
)
def test_a_secret_file_that_holds_none(tmp_path: Path, content: bytes | None, message: str) -> None:
    """The error names the file and what it should hold."""
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError, match=f"secret: .*{message}.*should hold a secret"):
        read_secret(None, file)


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_setting_of_every_program_refuses_by_name(
    program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nonsense anywhere is either taken as text, or refused with the setting's name."""
    model = PROGRAMS[program]
    for name in model.model_fields:
        with monkeypatch.context() as patch:
            patch.setenv(name.upper(), "\x01 nonsense {")
            try:
                load_settings(model)
            except SettingsError as error:
                assert name.upper().removesuffix("_FILE") in str(error)  # noqa: PT017 - most are refused, some are text


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_setting_is_described(program: str) -> None:
    """The reference page has a meaning for each."""
    for name, field in PROGRAMS[program].model_fields.items():
        assert field.description, name
