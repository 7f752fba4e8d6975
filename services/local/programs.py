"""The project's own programs as child processes, one object each, told by environment alone."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Literal

from services.local.processes import (
    HOST,
    ServerError,
    http_get,
    log_tail,
    start_child,
    stop_child,
)

Kind = Literal["ingest", "lookup", "scheduler", "results"]

#: What runs each: the same `main()` as `bulk-lookup run`, without loading the command line.
_MODULES: dict[Kind, str] = {
    "ingest": "services.ingest.app",
    "lookup": "services.lookup.app",
    "scheduler": "services.lookup.scheduler",
    "results": "services.results.app",
}
_POLL_SECONDS = 0.05
_HTTP_SECONDS = 5.0
#: A drain takes up to 25 s unless DRAIN_LIMIT says otherwise.
_STOP_SECONDS = 40.0
_READY_SECONDS = 90.0
_OK = 200
_LISTENING = "http server listening"


class Program:
    """One process of ingest, lookup, scheduler or results.

    Args:
        kind: Which program it runs.
        name: What it is called here; lookup runs more than once.
        directory: Where it runs; its log is in `logs` beside it.
        environ: Its whole environment.
        port: Port of its HTTP server; 0 takes a free one at each start.
    """

    def __init__(
        self, kind: Kind, name: str, directory: Path, environ: Mapping[str, str], port: int = 0
    ) -> None:
        self.kind = kind
        self.name = name
        self.log = directory / "logs" / f"{name}.log"
        self.environ = {
            **environ,
            "HTTP_HOST": HOST,
            "HTTP_PORT": str(port),
            # A line of the log is there as soon as it was written.
            "PYTHONUNBUFFERED": "1",
        }
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0
        self._port = 0

    @property
    def pid(self) -> int:
        """Process id; `RuntimeError` if it was not started."""
        return self._started().pid

    @property
    def exit_code(self) -> int | None:
        """How it ended, a signal's number as a negative one; None while it runs."""
        return self._started().poll()

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def url(self) -> str:
        """Where it answers; it must have been ready once since its start."""
        if not self._port:
            raise RuntimeError(f"{self.name} has not said where it listens: wait until it is ready")
        return f"http://{HOST}:{self._port}"

    def start(self) -> None:
        """Start it; `wait_ready` waits until it can do its work. In the main thread only."""
        if self.running:
            raise RuntimeError(f"{self.name} already runs")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        self._port = 0
        self._process = start_child(
            # -P: what lies in the directory is no package to import.
            [sys.executable, "-P", "-m", _MODULES[self.kind]],
            directory=self._directory,
            output=self.log,
            # It drains what it can; what it had not acknowledged comes again.
            death_signal=signal.SIGTERM,
            environ=self.environ,
            append=True,
        )

    def wait_ready(self, seconds: float = _READY_SECONDS) -> None:
        """Wait until its `/readyz` says so.

        Raises:
            ServerError: It ended, or is not ready in time; says why, with the end of its log.
        """
        deadline = time.monotonic() + seconds
        missing = "it does not say where it listens"
        while time.monotonic() < deadline:
            self.check()
            self._port = self._port or self._listening()
            if self._port:
                try:
                    status, body = self.get("/readyz")
                except (OSError, HTTPException) as error:
                    missing = f"{type(error).__name__}: {error}"
                else:
                    if status == _OK:
                        return
                    missing = body.decode(errors="replace")
            time.sleep(_POLL_SECONDS)
        raise ServerError(
            f"{self.name} is not ready after {seconds:.0f} s: {missing}\n{self._said()}"
        )

    def check(self) -> None:
        """Raise `ServerError` with the end of its log if it has ended by itself."""
        if self._process is not None and (code := self._process.poll()) is not None:
            how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
            raise ServerError(f"{self.name} ended by itself, {how}.\n{self._said()}")

    def get(self, path: str) -> tuple[int, bytes]:
        """GET a path that needs no token, such as `/metrics`: status and body.

        Raises:
            OSError, HTTPException: Nothing answers.
        """
        return http_get(self._port, path, _HTTP_SECONDS)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, and go on without waiting."""
        self._started().send_signal(number)

    def stop(self) -> int:
        """Ask it to end by SIGTERM and wait; gives its exit code. No effect if it has ended."""
        process = self._started()
        if process.poll() is None:
            stop_child(process, signal.SIGTERM)
        return self._gone(process)

    def kill(self) -> int:
        """End it as `kill -9` does, and wait; gives its exit code."""
        process = self._started()
        process.kill()
        return self._gone(process)

    def wait_ended(self, seconds: float) -> int:
        """Wait until it has ended by itself, or after a `signal`; gives its exit code.

        Raises:
            ServerError: It still runs.
        """
        process = self._started()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise ServerError(
                f"{self.name} still runs after {seconds:.0f} s.\n{self._said()}"
            ) from None
        return self._gone(process)

    def _gone(self, process: subprocess.Popen[bytes]) -> int:
        code = process.wait()
        # What ended on request is no surprise to `check`.
        self._process = None
        return code

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError(f"{self.name} does not run: start it first")
        return self._process

    def _listening(self) -> int:
        """The port that this run's log names, or 0."""
        with self.log.open("rb") as stream:
            stream.seek(self._log_start)
            for line in stream:
                if _LISTENING.encode() in line and line.endswith(b"\n"):
                    return int(json.loads(line)["port"])
        return 0

    def _said(self) -> str:
        return f"The end of {self.log}:\n{log_tail(self.log)}"


def stop_together(programs: Iterable[Program]) -> None:
    """Ask those that run to end, all at once, and wait for them; who does not end is killed."""
    running = [program for program in programs if program.running]
    for program in running:
        program.signal(signal.SIGTERM)
    for program in running:
        try:
            program.wait_ended(_STOP_SECONDS)
        except ServerError:
            program.kill()
