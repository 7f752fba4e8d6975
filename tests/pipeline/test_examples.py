"""The examples of the pages do what they say, run as they stand there."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

from services.local.environment import without_settings
from services.local.postgres import PostgresServer
from services.local.stack import Plan, Stack
from services.local.twilio.config import Latency, SimulatorConfig
from tests.pipeline.harness import TOKEN, Pipeline
from tests.pipeline.transcript import commands_of, same, type_in

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRACTS = (ROOT / "docs" / "contracts.md").read_text(encoding="utf-8")
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
FILE = "Name,Phone\nAda,(415) 555-0100\nBob,+44 20 7946 0123\nCy,12\n"


def commands(program: str) -> list[str]:
    """The README's commands that run a program, each on one line."""
    return [line for line, _ in commands_of(README) if re.search(rf"\b{program}\b", line)]


@pytest.fixture(scope="module")
def pipeline(
    kafka: str, postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pipeline]:
    """One pipeline for all examples; its topics have the names that the examples say."""
    database = postgres_server.create_database(f"t{uuid.uuid4().hex[:12]}")
    plan = Plan(
        environ={
            **without_settings(os.environ),
            "KAFKA_BOOTSTRAP_SERVERS": kafka,
            "DATABASE_URL": database,
        },
        settings={
            # The name of `make up`: with it, jobs have the ids that the tutorial shows.
            "API_TOKENS": f"default:{TOKEN}",
            "RESULTS_URL": "http://127.0.0.1:8004",
            "KAFKA_PARTITIONS": "4",
        },
        lookups=1,
        simulator=SimulatorConfig(latency=Latency(median_seconds=0.01)),
        durable=False,
    )
    with Stack(tmp_path_factory.mktemp("examples"), plan) as stack:
        yield Pipeline(stack)


def here(command: str, pipeline: Pipeline, job: str = "") -> str:
    """A command with the addresses of this pipeline, and a job's id where JOB stands."""
    addresses = {
        "http://127.0.0.1:8001": pipeline["ingest"].url,
        "http://127.0.0.1:8004": pipeline["results"].url,
        "127.0.0.1:9092": pipeline.settings["KAFKA_BOOTSTRAP_SERVERS"],
    }
    for written, found in addresses.items():
        command = command.replace(written, found)
    return re.sub(r"\bJOB\b", job, command)


def run(command: str, directory: Path, environ: Mapping[str, str]) -> str:
    """What a command says; it must succeed."""
    done = subprocess.run(
        ["/bin/sh", "-euc", command],
        cwd=directory,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


@contextmanager
def running(
    arguments: list[str],
    directory: Path,
    environ: Mapping[str, str],
    stdout: IO[bytes] | None = None,
) -> Iterator[None]:
    """A command that runs until it is stopped."""
    with subprocess.Popen(
        arguments,
        cwd=directory,
        env={**os.environ, **environ},
        stdout=stdout,
    ) as process:
        try:
            yield
        finally:
            process.kill()


def test_curl(pipeline: Pipeline, tmp_path: Path) -> None:
    """A file is sent, its job and its results are seen, and a number is found."""
    (tmp_path / "contacts.csv").write_text(FILE, encoding="utf-8")
    submit, *others = commands("curl")
    sent = json.loads(run(here(submit, pipeline), tmp_path, {"TOKEN": TOKEN}))
    assert (sent["accepted"], sent["rejected"]) == (2, 1)
    pipeline.wait_complete(sent["job_id"])

    said: list[dict[str, Any]] = [
        json.loads(run(here(command, pipeline, sent["job_id"]), tmp_path, {"TOKEN": TOKEN}))
        for command in others
    ]
    assert len(said) >= 3
    # An error would have a type.
    assert [answer["type"] for answer in said if "type" in answer] == []
    job, results, found = said[:3]
    assert job["complete"]
    assert [contact["phone"] for contact in results["items"]] == ["+14155550100", "+442079460123"]
    assert found["phone"] == "+14155550100"
    assert sent["job_id"] in {contact["job_id"] for contact in found["requests"]}


@pytest.mark.needs_kcat
def test_kcat(pipeline: Pipeline, tmp_path: Path) -> None:
    """A contact is sent, and its result read."""
    send, read = commands("kcat")
    run(here(send, pipeline), tmp_path, {})
    # On a terminal, as for a person: into a pipe kcat writes only when there is much.
    ours, its = pty.openpty()
    with (
        os.fdopen(ours, encoding="utf-8") as terminal,
        os.fdopen(its, "wb") as stdout,
        running(shlex.split(here(read, pipeline)), tmp_path, {}, stdout),
    ):
        results = (json.loads(line) for line in terminal if line.startswith("{"))
        result = next(one for one in results if one["source"] == "contacts.inbound")
    assert (result["phone"], result["state"]) == ("+14155550100", "completed")
    assert set(result["answers"]) == {"basic", "caller_name"}


def test_aiokafka(pipeline: Pipeline, tmp_path: Path) -> None:
    """Contacts are sent, twice, and each one's result is kept once."""
    send, keep = re.findall(r"```python\n(.*?)```", CONTRACTS, flags=re.DOTALL)
    environ = {"KAFKA_BOOTSTRAP_SERVERS": pipeline.settings["KAFKA_BOOTSTRAP_SERVERS"]}
    for _ in range(2):
        run(shlex.join([sys.executable, "-c", send]), tmp_path, environ)

    def kept() -> list[tuple[str, str, str]]:
        with closing(sqlite3.connect(tmp_path / "results.db")) as database:
            if not database.execute("SELECT 1 FROM sqlite_master").fetchone():
                return []
            rows = database.execute("SELECT reference, phone, state FROM results ORDER BY 1")
            return list(rows)

    with running([sys.executable, "-c", keep], tmp_path, environ):
        pipeline.wait_until("both are kept", lambda: len(kept()) >= 2, explain=kept)
    assert kept() == [
        ("Ada", "+14155550100", "completed"),
        ("Bob", "+442079460123", "completed"),
    ]


def test_tutorial(pipeline: Pipeline, tmp_path: Path) -> None:
    """Each command of the tutorial, typed into a terminal of 80 columns, shows what the page does."""
    shutil.copytree(ROOT / "docs" / "tutorial", tmp_path, dirs_exist_ok=True)
    environ = {
        "LANG": "C.UTF-8",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "API_TOKEN": TOKEN,
        "TOKEN": TOKEN,
        "INGEST_URL": pipeline["ingest"].url,
        "RESULTS_URL": pipeline["results"].url,
    }
    steps = list(commands_of(TUTORIAL))
    assert len(steps) > 10
    for command, expected in steps:
        seen = type_in(here(command, pipeline), expected, tmp_path, environ)
        assert [command, *same(seen)] == [command, *same(expected)]
