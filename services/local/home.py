"""What `bulk-lookup up` keeps between its runs: ports, the token, and who holds the directory."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from services.local.processes import ServerError, free_port, require_free_port

_HOLD_SECONDS = 1.0
_POLL_SECONDS = 0.01
#: Ports wanted where nobody else has them.
_PORTS = {
    "kafka": 9092,
    "postgres": 5432,
    "twilio": 8010,
    "ingest": 8001,
    # Prometheus finds a program at one port over all its restarts.
    "lookup-1": 8002,
    "lookup-2": 8003,
    "results": 8004,
    "scheduler": 8005,
    "prometheus": 9090,
}


def home_directory(environ: Mapping[str, str], *, root: bool) -> Path:
    """Where the state is kept: BULK_LOOKUP_HOME, else a place for such things.

    Args:
        environ: Our environment.
        root: Whether we are root, whose own directories are closed to PostgreSQL's user.
    """
    if given := environ.get("BULK_LOOKUP_HOME"):
        return Path(given).absolute()
    if root:
        return Path("/var/lib/bulk-lookup")
    state = Path(environ.get("XDG_STATE_HOME") or "")
    # The XDG specification says that a relative path is to be ignored.
    return (state if state.is_absolute() else Path.home() / ".local" / "state") / "bulk-lookup"


class Home:
    """The directory, and what is in it beside the servers' own data."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.log = directory / "supervisor.log"
        self.token_file = directory / "token"
        self._lock = directory / "lock"
        self._ports = directory / "ports.json"
        self._running = directory / "running.json"

    def hold(self) -> bool:
        """Take the directory for this process until it ends; false if another one has it.

        The lock is the kernel's: it goes with the process, however that ends.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        # A bare descriptor: a file object would be closed, and the lock gone, before the process is.
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o644)
        # `holder` of another process has it for an instant: that is no reason to give up.
        deadline = time.monotonic() + _HOLD_SECONDS
        while not _locked(descriptor, fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                os.close(descriptor)
                return False
            time.sleep(_POLL_SECONDS)
        os.truncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        self._running.unlink(missing_ok=True)
        return True

    def holder(self) -> int | None:
        """Process id of who holds the directory, or None."""
        if not self._lock.exists():
            return None
        with self._lock.open(encoding="utf-8") as file:
            if _locked(file.fileno(), fcntl.LOCK_SH):
                return None
            # Held, but its id not written yet: as good as a moment earlier.
            return int(file.read() or 0) or None

    def choose_ports(self) -> dict[str, int]:
        """The ports of last time, or the usual ones, where they are free; kept for next time."""
        wanted = dict(_PORTS)
        if self._ports.exists():
            wanted |= json.loads(self._ports.read_text(encoding="utf-8"))
        ports = {name: port if _is_free(port) else free_port() for name, port in wanted.items()}
        _write(self._ports, ports)
        return ports

    def make_token(self) -> None:
        """Make the token that the APIs want, once; only its owner can read it."""
        if not self.token_file.exists():
            self.token_file.touch(0o600)
            self.token_file.write_text(secrets.token_urlsafe(24) + "\n", encoding="utf-8")

    def set_running(self, what: Mapping[str, Any]) -> None:
        """Say that all of it is ready, and where."""
        _write(self._running, what)

    def running(self) -> dict[str, Any] | None:
        """What is ready and where; None before, and after the end of who said so."""
        if self.holder() is None or not self._running.exists():
            return None
        running: dict[str, Any] = json.loads(self._running.read_text(encoding="utf-8"))
        return running


def _locked(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_free(port: int) -> bool:
    try:
        require_free_port(port, "")
    except ServerError:
        return False
    return True


def _write(file: Path, values: Mapping[str, Any]) -> None:
    """Write it whole or not at all."""
    partial = file.with_suffix(".part")
    partial.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    partial.replace(file)
