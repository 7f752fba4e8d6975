"""`bulk-lookup up` and `down`: the stack kept running, and its state kept between runs."""

from __future__ import annotations

import json as json_format
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from services.local.home import Home, home_directory

_POLL_SECONDS = 0.1
#: Programs drain one after the other, each for a while at most.
_DOWN_SECONDS = 180.0
#: Where the command line looks by itself.
_USUAL = {"INGEST_URL": "http://127.0.0.1:8001", "RESULTS_URL": "http://127.0.0.1:8004"}


def up(*, real_twilio: bool = False, json: bool = False) -> int:
    """Start the stack and leave it running; tell where it is. Gives the exit code.

    Args:
        real_twilio: Ask the real Twilio, with the TWILIO_ settings of the environment.
        json: Tell where it is as JSON on standard output, and all else on standard error.
    """
    home = Home(home_directory(os.environ, root=os.geteuid() == 0))
    console = _console(json=json)
    if home.holder() is None:
        try:
            home.directory.mkdir(parents=True, exist_ok=True)
            if not _start(home, console, real_twilio=real_twilio):
                return 1
        except OSError as error:
            console.print(
                f"{home.directory} cannot be used: {error.strerror}. "
                "Name another directory by BULK_LOOKUP_HOME."
            )
            return 1
    else:
        console.print("It is already up.")
    running = home.running()
    if running is None:
        console.print(f"It is starting or stopping; its log is {home.log}")
        return 1
    if json:
        sys.stdout.write(json_format.dumps(running) + "\n")
    else:
        _tell(console, home, running)
    return 0


def down(*, json: bool = False) -> int:
    """Stop what `up` started, in order; gives the exit code.

    Args:
        json: Print `{"stopped": ...}` on standard output, and all else on standard error.
    """
    home = Home(home_directory(os.environ, root=os.geteuid() == 0))
    console = _console(json=json)
    pid = home.holder()
    if pid is None:
        console.print("Nothing is up.")
    elif not _stop(home, console, pid):
        console.print(f"Process {pid} has not ended after {_DOWN_SECONDS:.0f} s; see {home.log}")
        return 1
    else:
        console.print(f"Everything is stopped. Its state is kept in {home.directory}")
    if json:
        sys.stdout.write(json_format.dumps({"stopped": pid is not None}) + "\n")
    return 0


def _stop(home: Home, console: Console, pid: int) -> bool:
    place = home.log.stat().st_size if home.log.exists() else 0
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _DOWN_SECONDS
    _follow(home, console, place, lambda: home.holder() is None or time.monotonic() > deadline)
    return home.holder() is None


def _console(*, json: bool) -> Console:
    return Console(stderr=json, highlight=False, soft_wrap=True)


def _start(home: Home, console: Console, *, real_twilio: bool) -> bool:
    """Start the supervisor and show its log until all is ready; False if it ended instead."""
    command = [sys.executable, "-P", "-m", "services.local.supervisor", str(home.directory)]
    if real_twilio:
        command.append("--real-twilio")
    with home.log.open("wb") as log:
        supervisor = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=home.directory,
            # It stays when the terminal goes, and hears none of its signals.
            start_new_session=True,
        )
    try:
        _follow(
            home,
            console,
            0,
            lambda: supervisor.poll() is not None or home.running() is not None,
        )
    except KeyboardInterrupt:
        console.print("Interrupted: stopping what has started")
        supervisor.send_signal(signal.SIGTERM)
        supervisor.wait()
        return False
    if supervisor.poll() is not None:
        console.print(f"It did not start; all of its log is {home.log}")
        return False
    return True


def _follow(home: Home, console: Console, place: int, ended: Callable[[], bool]) -> None:
    """Show the supervisor's log from a place on until `ended`, and what it said before that."""
    with home.log.open(encoding="utf-8", errors="replace") as log:
        log.seek(place)
        last = False
        while True:
            for line in log:
                console.print(line.rstrip("\n"), markup=False)
            if last:
                return
            last = ended()
            if not last:
                time.sleep(_POLL_SECONDS)


def _tell(console: Console, home: Home, running: Mapping[str, Any]) -> None:
    token_file = running["token_file"]
    yours = "yours, of the environment"
    console.print()
    watching = [
        (name, running[key])
        for name, key in (("Prometheus", "prometheus"), ("alerts", "alerts"))
        if running[key]
    ]
    for name, value in (
        ("ingest", f"{running['ingest']}/docs"),
        ("results", f"{running['results']}/docs"),
        ("Twilio", running["twilio"] or "the real one"),
        ("Kafka", running["kafka"] or yours),
        ("PostgreSQL", running["postgres"] or yours),
        *watching,
        ("token", token_file or yours),
        ("logs", running["logs"]),
        ("state", str(home.directory)),
    ):
        console.print(f"  {name:<11} {value}", markup=False)
    exports = [f"API_TOKEN_FILE={token_file}"] if token_file else []
    if shutil.which("bulk-lookup") is None:
        exports.append(f'PATH="{Path(sys.executable).parent}:$PATH"')
    for setting, program in (("INGEST_URL", "ingest"), ("RESULTS_URL", "results")):
        if running[program] != _USUAL[setting]:
            exports.append(f"{setting}={running[program]}")
    bearer = (
        f'"Authorization: Bearer $(cat {token_file})"' if token_file else '"Authorization: ..."'
    )
    console.print("\nUse it:")
    if exports:
        console.print(f"  export {' '.join(exports)}", markup=False)
    console.print("  bulk-lookup submit contacts.csv")
    console.print(
        f"  curl -H {bearer} -H 'Content-Type: text/csv' --data-binary @contacts.csv "
        f"'{running['ingest']}/v1/jobs?default_country=US'",
        markup=False,
    )
    console.print(f"  curl -H {bearer} {running['results']}/v1/jobs", markup=False)
    console.print("  bulk-lookup down")
