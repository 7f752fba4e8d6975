"""Child processes that never outlive their parent, and the ports they listen on."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

HOST = "127.0.0.1"

_BECOME = Path(__file__).with_name("become.py")
_STOP_SECONDS = 30
_POLL_SECONDS = 0.02
_MEBIBYTE = 1024 * 1024
#: With less than this free a server cannot even make its own files.
_LEAST_FREE = 100 * _MEBIBYTE
_TAIL_BYTES = 4000


class ServerError(RuntimeError):
    """A local server cannot be started; the message says why, with the end of its log."""


@dataclass(frozen=True, slots=True)
class Account:
    """The operating system's user that a child runs as."""

    name: str
    uid: int
    gid: int


def http_get(port: int, path: str, seconds: float) -> tuple[int, bytes]:
    """GET a path of a server on 127.0.0.1, which has so long to answer: status and body.

    Raises:
        OSError, HTTPException: Nothing answers.
    """
    connection = HTTPConnection(HOST, port, timeout=seconds)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def free_port() -> int:
    """Give a port of 127.0.0.1 that nothing listens on now; another program may still take it."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def require_free_port(port: int, owner: str) -> None:
    """Raise `ServerError` if something already listens on the port that `owner` is to have."""
    with socket.socket() as probe:
        # As servers do, so that connections of an earlier run in TIME_WAIT do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise ServerError(
                f"{owner} cannot have port {port} of {HOST} ({error.strerror}): "
                "stop what uses it, or choose another port."
            ) from error


def require_space(directory: Path, owner: str) -> None:
    """Raise `ServerError` if the disk of a directory, or of what is to be its parent, is full."""
    there = next(parent for parent in (directory, *directory.parents) if parent.exists())
    free = shutil.disk_usage(there).free
    if free < _LEAST_FREE:
        raise ServerError(
            f"{owner} cannot work in {directory}: its disk has {free // _MEBIBYTE} MiB left, and "
            f"{_LEAST_FREE // _MEBIBYTE} are the least. Make room there, or choose another place: "
            "BULK_LOOKUP_HOME for `up`, TMPDIR for the demo and the tests."
        )


def environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Give an environment for a server: English messages and file names in UTF-8."""
    return {**environ, "LC_ALL": "C.UTF-8"}


def start_child(
    command: Sequence[str | Path],
    *,
    directory: Path,
    output: Path,
    death_signal: signal.Signals,
    account: Account | None = None,
    environ: Mapping[str, str] = os.environ,
    append: bool = False,
) -> subprocess.Popen[bytes]:
    """Start a program in its own session that gets `death_signal` when this process ends.

    It also gets it when this process is killed (on Linux; elsewhere the caller alone ends it).
    The kernel ties that to the *thread* that starts the child, so this may only be called in the
    main thread. A terminal's ctrl-C does not reach the child. Its standard output and error
    replace what the file `output` held, or with `append` are added to it.

    Raises:
        RuntimeError: called in another thread.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("start child processes in the main thread: they end with their thread")
    user = (str(account.uid), str(account.gid)) if account else ("", "")
    become: list[str | Path] = [
        sys.executable,
        "-I",
        "-S",
        _BECOME,
        str(os.getpid()),
        str(int(death_signal)),
        *user,
    ]
    with output.open("ab" if append else "wb") as log:
        return subprocess.Popen(
            [*become, *command],
            cwd=directory,
            env=environment(environ),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def stop_child(process: subprocess.Popen[bytes], stop_signal: signal.Signals) -> None:
    """Ask the program to end, wait for it, and kill it if it has not ended after 30 seconds."""
    process.send_signal(stop_signal)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def log_tail(log: Path) -> str:
    """Give the last lines of a log, or an empty text if there is none."""
    if not log.exists():
        return ""
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        return stream.read().decode(errors="replace").strip()


class LocalServer(ABC):
    """A server that runs as a child on 127.0.0.1 and keeps its state in a directory.

    The directory belongs to the server alone and is made if it is missing. Without a port a free
    one is chosen; the port stays the same over stops and starts of this object. As a context
    manager it starts on entering and stops on leaving. Start it in the main thread.
    """

    name: ClassVar[str]
    stop_signal: ClassVar[signal.Signals]
    start_seconds: ClassVar[float] = 90

    def __init__(self, directory: Path, port: int | None = None) -> None:
        self.directory = directory.absolute()
        self.port = port or free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process id of the running server; `RuntimeError` if it was not started."""
        return self._running().pid

    @property
    def running(self) -> bool:
        """Whether it was started, and has not ended."""
        return self._process is not None and self._process.poll() is None

    @abstractmethod
    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises:
            ServerError: it does not start; nothing is left running.
        """

    def check(self) -> None:
        """Raise `ServerError` if it has ended by itself; a full disk is said to be one."""
        if self._process is not None and (code := self._process.poll()) is not None:
            require_space(self.directory, self.name)
            raise ServerError(
                f"{self.name} ended by itself, with {code}; its logs are in {self.directory}"
            )

    def stop(self) -> None:
        """End the server in an orderly way and wait for it; no effect if it does not run."""
        if self._process is not None:
            stop_child(self._process, self.stop_signal)
            self._process = None

    def kill(self) -> None:
        """End the server as `kill -9` does, with no chance to tidy up, and wait for it."""
        process = self._running()
        process.kill()
        process.wait()
        self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError(f"{self.name} does not run: start it first")
        return self._process

    def _require_startable(self) -> None:
        if self._process is not None:
            raise RuntimeError(f"{self.name} already runs: stop it first")
        require_free_port(self.port, self.name)
        require_space(self.directory, self.name)

    @abstractmethod
    def _answers(self, process: subprocess.Popen[bytes]) -> bool:
        """Whether the started process serves clients now."""

    def _await_answer(self, process: subprocess.Popen[bytes]) -> bool:
        """Wait until the process serves clients (true) or has ended (false).

        Whatever else ends the wait, also a ctrl-C, kills the process.
        """
        deadline = time.monotonic() + self.start_seconds
        try:
            while process.poll() is None and time.monotonic() < deadline:
                if self._answers(process):
                    return True
                time.sleep(_POLL_SECONDS)
        except BaseException:
            process.kill()
            process.wait()
            raise
        if process.poll() is None:
            process.kill()
            process.wait()
            raise ServerError(
                f"{self.name} did not answer within {self.start_seconds:.0f} s; "
                f"its logs are in {self.directory}."
            )
        return False
