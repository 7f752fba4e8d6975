"""A program's life: settings refused, a drain on the first signal, an end on the second."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

PROGRAM = """
import asyncio, sys
from services.runtime.program import FaultError, Stop, run_program
from services.runtime.settings import ProgramSettings, SettingsError

async def serve(settings: ProgramSettings, stop: Stop) -> None:
    sys.stdout.write("ready\\n")
    sys.stdout.flush()
{body}

sys.exit(run_program("example", ProgramSettings, serve))
"""
DRAINS = """
await stop.wait()
sys.stdout.write("draining\\n")
sys.stdout.flush()
line = await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
sys.stdout.write(f"drained {line}")
sys.stdout.flush()
"""


@contextmanager
def program(body: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A program of our runtime whose `serve` has the body, as a process of its own."""
    source = PROGRAM.replace("{body}", textwrap.indent(body, " " * 4))
    with subprocess.Popen(
        [sys.executable, "-c", source],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def read_until(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdout is not None
    for read in process.stdout:
        if read.strip() == line:
            return
    pytest.fail(f"the program ended before it said {line!r}: {process.communicate()[1]}")


def events(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_the_first_signal_drains(name: str) -> None:
    """What is under way is finished, and the exit code is 0."""
    with program(DRAINS) as process:
        read_until(process, "ready")
        process.send_signal(signal.Signals[name])
        read_until(process, "draining")
        output, errors = process.communicate("everything\n")
    assert process.returncode == 0
    assert "drained everything" in output
    assert events(output)[-1]["event"] == "stopped"
    assert errors == ""


@pytest.mark.parametrize("second", ["SIGTERM", "SIGINT"])
def test_the_second_signal_ends_at_once(second: str) -> None:
    """Whoever asks twice does not wait for the drain: what was not done comes again."""
    with program(DRAINS) as process:
        read_until(process, "ready")
        process.send_signal(signal.SIGTERM)
        read_until(process, "draining")
        process.send_signal(signal.Signals[second])
        # The drain still waits for its line, which never comes.
        output, errors = process.communicate()
    assert process.returncode == 130
    assert "drained" not in output
    assert errors == ""


@pytest.mark.parametrize(
    "lasts",
    [
        "await asyncio.Event().wait()",
        "asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)",
        "import threading; threading.Thread(target=sys.stdin.readline, name='stays').start()",
        "sys.stdin.readline()",
    ],
    ids=["a drain", "an executor", "a thread", "a call that blocks the event loop"],
)
@pytest.mark.parametrize("begins", ["stop.ask()", "stop.fail(FaultError('broken'))"])
def test_a_stop_over_its_limit_ends_at_once(begins: str, lasts: str) -> None:
    """As if killed: no task or thread of a library keeps the process for ever."""
    with program(f"{begins}\n{lasts}", DRAIN_LIMIT="100ms") as process:
        # Its input stays open, so what reads from it never ends by itself.
        output = process.stdout.read() if process.stdout is not None else ""
        process.wait()
    assert process.returncode == 70
    assert events(output)[-1]["event"] == "stop over its limit, ended as if killed"


def test_wrong_settings_are_listed() -> None:
    """The program does not start; the list is for people, without a traceback."""
    with program("pass", KAFKA_PARTITIONS="0", DRAIN_LIMIT="soon") as process:
        output, errors = process.communicate()
    assert process.returncode == 78
    assert output == ""
    assert "KAFKA_PARTITIONS='0'" in errors
    assert "DRAIN_LIMIT='soon'" in errors
    assert "Traceback" not in errors


def test_a_setting_found_wrong_later() -> None:
    """Also where only the outside can tell, such as a refused password."""
    with program('raise SettingsError("DATABASE_URL: no such user")') as process:
        output, errors = process.communicate()
    assert process.returncode == 78
    assert errors == "DATABASE_URL: no such user\n"
    assert "ready" in output


def test_a_fault_that_is_known() -> None:
    """Exit 70, with the way out in the log and no traceback."""
    with program('raise FaultError("make the topics first")') as process:
        output, _ = process.communicate()
    assert process.returncode == 70
    last = events(output)[-1]
    assert (last["level"], last["reason"]) == ("error", "make the topics first")
    assert "exception" not in last


def test_a_fault_of_our_own() -> None:
    """Exit 70, with the traceback for a developer and the number in it masked."""
    with program('raise RuntimeError("cannot ask for +12015550123")') as process:
        output, _ = process.communicate()
    assert process.returncode == 70
    assert "RuntimeError" in events(output)[-1]["exception"]
    assert "2015550123" not in events(output)[-1]["exception"]


def test_a_task_that_fails_ends_the_program() -> None:
    """No part of a program dies unseen."""
    body = """
async def part() -> None:
    raise FaultError("a part failed")
stop.watch(asyncio.create_task(part()))
await stop.wait()
"""
    with program(body) as process:
        output, _ = process.communicate()
    assert process.returncode == 70
    assert events(output)[-1]["reason"] == "a part failed"
