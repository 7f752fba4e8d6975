"""`bulk-lookup up` and `down` as a user runs them."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.local.api_client import ApiClient
from services.local.prometheus import installed
from tests.pipeline.left_over import running_below

_COMMAND = (
    sys.executable,
    "-P",
    "-c",
    "import services.cli; raise SystemExit(services.cli.main())",
)
_GUARD_SECONDS = 60.0


class _Here:
    """The command in a state directory of the test's own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def run(self, *arguments: str) -> tuple[dict[str, Any], str]:
        """What it says as JSON, and for people."""
        done = subprocess.run(
            [*_COMMAND, *arguments, "--json"],
            env={**os.environ, "BULK_LOOKUP_HOME": str(self.directory)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        said: dict[str, Any] = json.loads(done.stdout)
        return said, done.stderr


@pytest.fixture
def here(server_directory: Path) -> Iterator[_Here]:
    """A state directory; what was started in it is stopped after the test."""
    here = _Here(server_directory)
    yield here
    here.run("down")


def test_up_keeps_running_and_its_state_outlives_down(here: _Here) -> None:
    """A second `up` starts nothing; after `down` nothing runs; the next `up` has the jobs still."""
    where, _ = here.run("up")
    again, told = here.run("up")
    assert again == where
    assert "already up" in told
    assert (where["prometheus"] is None) == (installed() is None)

    token = Path(where["token_file"]).read_text(encoding="utf-8").strip()
    with ApiClient(where["ingest"], where["results"], token) as api:
        job = str(api.submit(b"phone\n+14155550101\n+442079460123\n")["job_id"])
        deadline = time.monotonic() + _GUARD_SECONDS
        while not api.job(job)["complete"]:
            assert time.monotonic() < deadline, api.job(job)
            time.sleep(0.05)

    said, told = here.run("down")
    assert said == {"stopped": True}
    assert told.index("Stopping ingest") < told.index("Stopping results") < told.index("Kafka")
    assert running_below(here.directory) == []
    assert here.run("down")[0] == {"stopped": False}

    where, _ = here.run("up")
    with ApiClient(where["ingest"], where["results"], token) as api:
        assert api.job(job)["complete"]
