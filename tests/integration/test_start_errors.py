"""What keeps a program from starting: the words, the way out, the exit code."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.ingest import app as ingest
from services.ingest.settings import IngestSettings
from services.local.environment import without_settings
from services.local.processes import free_port
from services.lookup import scheduler
from services.lookup.scheduler import SchedulerSettings
from services.runtime.program import Stop
from services.runtime.settings import SettingsError, load_settings

ROOT = Path(__file__).parents[2]
PROGRAMS: dict[str, tuple[Any, Any]] = {
    "ingest": (ingest.serve, IngestSettings),
    "scheduler": (scheduler.serve, SchedulerSettings),
}
SASL = {"KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT", "KAFKA_SASL_USERNAME": "u"}
TLS = {"KAFKA_SECURITY_PROTOCOL": "SSL"}
NO_PASSWORD = {**SASL, "KAFKA_SASL_PASSWORD_FILE": "not/there"}


@pytest.fixture
def taken_port() -> Iterator[str]:
    """A port on which somebody else listens."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield str(other.getsockname()[1])


@pytest.mark.parametrize(
    ("program", "settings", "said"),
    [
        pytest.param(
            "scheduler",
            NO_PASSWORD,
            "KAFKA_SASL_PASSWORD_FILE=not/there: No such file or directory; it should hold a secret",
            id="a password's file that is missing",
        ),
        pytest.param(
            "ingest",
            {**SASL, "KAFKA_SASL_PASSWORD_FILE": "empty"},
            "KAFKA_SASL_PASSWORD_FILE=empty: it is empty; it should hold a secret",
            id="a password's file that is empty",
        ),
        pytest.param(
            "scheduler",
            {**SASL, "KAFKA_SASL_PASSWORD_FILE": "."},
            "KAFKA_SASL_PASSWORD_FILE=.: Is a directory; it should hold a secret",
            id="a password's file that cannot be read",
        ),
        pytest.param(
            "ingest",
            {**TLS, "KAFKA_SSL_CA_FILE": "not/there"},
            "KAFKA_SSL_CA_FILE=not/there: No such file or directory",
            id="an authority's file that is missing",
        ),
        pytest.param(
            "scheduler",
            {**TLS, "KAFKA_SSL_CA_FILE": "empty"},
            "KAFKA_SSL_CA_FILE=empty: it holds no certificate in PEM",
            id="an authority's file without one",
        ),
        pytest.param(
            "scheduler",
            {**TLS, "KAFKA_SSL_KEY_FILE": "empty"},
            "KAFKA_SSL_KEY_FILE needs KAFKA_SSL_CERTIFICATE_FILE beside it",
            id="a key without its certificate",
        ),
        pytest.param(
            "ingest",
            {"DATABASE_URL_FILE": "not/there"},
            "DATABASE_URL_FILE=not/there: No such file or directory; it should hold a secret",
            id="the database's file that is missing",
        ),
    ],
)
async def test_settings_that_are_wrong(
    program: str,
    settings: dict[str, str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The setting is named with its file and what is wrong, though Kafka is not there either."""
    (tmp_path / "empty").touch()
    monkeypatch.chdir(tmp_path)
    serve, model = PROGRAMS[program]
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", f"127.0.0.1:{free_port()}")
    with pytest.raises(SettingsError) as caught:
        await serve(load_settings(model), Stop())
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "code", "said"),
    [
        (NO_PASSWORD, 78, "KAFKA_SASL_PASSWORD_FILE=not/there: No such file or directory; it"),
        ({"HTTP_PORT": "taken"}, 70, ": Address already in use; set HTTP_HOST or HTTP_PORT"),
    ],
)
def test_the_process_ends_with_a_code_and_words(
    settings: dict[str, str], code: int, said: str, taken_port: str
) -> None:
    """78 for wrong settings, 70 for what only somebody else can mend; never a traceback."""
    given = {name: taken_port if value == "taken" else value for name, value in settings.items()}
    ended = subprocess.run(
        [sys.executable, "-m", "services.lookup.scheduler"],
        cwd=ROOT,
        env=without_settings(os.environ) | given,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert ended.returncode == code, ended.stdout
    assert said in ended.stdout
    assert "Traceback" not in ended.stdout
