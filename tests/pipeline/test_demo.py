"""The demo as a user runs it: a subprocess on a smaller sample, and what it leaves: nothing."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pipeline.left_over import running_below

_COMMAND = (
    sys.executable,
    "-P",
    "-c",
    "import services.cli; raise SystemExit(services.cli.main())",
)


def _start(directory: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*_COMMAND, "demo", *arguments],
        # What a person may have set must not reach the demo: it would spend money.
        env={
            **os.environ,
            "TMPDIR": str(directory),
            "KAFKA_BOOTSTRAP_SERVERS": "kafka.invalid:9092",
            "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
            "TWILIO_AUTH_TOKEN": "a-secret",
            "TWILIO_BASE_URL": "http://twilio.invalid",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_the_demo_adds_up_and_leaves_nothing(server_directory: Path) -> None:
    """Exit code 0 says that all totals add up; afterwards nothing runs and no file is left."""
    server_directory.chmod(0o711)
    demo = _start(server_directory, "--rows", "400", "--json")

    output, told = demo.communicate()

    assert demo.returncode == 0, told
    summary = json.loads(output)
    assert summary["adds_up"] is True
    assert summary["rows"] == 400 == summary["accepted"] + summary["rejected"]
    assert sum(summary["states"].values()) == summary["accepted"]
    assert summary["calls_by_outcome"].keys() > {"answered", "failed"}
    assert float(summary["cost_by_ledger"]) > 0
    assert "the demo does not use them" in told
    assert running_below(server_directory) == []
    assert list(server_directory.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "when"),
    [
        pytest.param(signal.SIGINT, "Starting PostgreSQL", id="ctrl-C while it starts"),
        pytest.param(signal.SIGTERM, "Ingest took", id="SIGTERM in mid-run"),
    ],
)
def test_an_interrupted_demo_leaves_nothing(
    server_directory: Path, number: signal.Signals, when: str
) -> None:
    """A signal stops and removes everything, and its exit code names the signal."""
    server_directory.chmod(0o711)
    demo = _start(server_directory)
    assert demo.stdout is not None
    seen = ""
    while when not in seen:
        line = demo.stdout.readline()
        assert line, seen
        seen += line

    demo.send_signal(number)
    told, _ = demo.communicate()

    assert demo.returncode == 128 + number, seen + told
    assert "Everything is stopped and removed." in told
    assert running_below(server_directory) == []
    assert list(server_directory.iterdir()) == []
