"""The simulator as a child process, and a client for its control endpoint."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, ClassVar

from services.local.processes import HOST, LocalServer, ServerError, log_tail, start_child
from services.local.twilio.config import AccountChange, AccountState, Latency, SimulatorConfig
from services.local.twilio.faults import Fault, dump
from services.local.twilio.ledger import Call, read_calls

_TIMEOUT_SECONDS = 10


class ControlError(RuntimeError):
    """The simulator refused a change; the message says what it does not take."""


class SimulatorControl:
    """Changes a running simulator and reads from it, over its control endpoint.

    Every method makes one short request, blocking, and raises OSError if nothing answers.
    """

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)

    def pid(self) -> int:
        """Return the process id of the simulator that answers."""
        return int(self._request("GET", "health")["pid"])

    def faults(self) -> list[dict[str, Any]]:
        """Return the faults in force."""
        faults: list[dict[str, Any]] = self._request("GET", "faults")
        return faults

    def set_faults(self, *faults: Fault) -> None:
        """Replace all faults; their time windows start now."""
        self._request("PUT", "faults", dump(faults))

    def set_latency(self, latency: Latency) -> None:
        """Change how long the answers to later calls take."""
        self._request("PUT", "latency", latency.model_dump())

    def accounts(self) -> dict[str, dict[str, Any]]:
        """Return the accounts by name, without their secrets."""
        accounts: dict[str, dict[str, Any]] = self._request("GET", "accounts")
        return accounts

    def set_account(
        self, name: str, *, state: AccountState | None = None, concurrency: int | None = None
    ) -> None:
        """Change an account's state, its limit of calls at once, or both."""
        change = AccountChange(state=state, concurrency=concurrency)
        self._request("PUT", f"accounts/{name}", change.model_dump())

    def summary(self) -> dict[str, Any]:
        """Return the ledger's sums, and the calls under way per account, now and at most."""
        summary: dict[str, Any] = self._request("GET", "ledger/summary")
        return summary

    def calls(self) -> list[Call]:
        """Return every call that has ended."""
        calls: list[Call] = []
        offset = 0
        while content := self._read("GET", f"ledger/calls?offset={offset}"):
            offset += len(content)
            calls += map(Call.from_json, content.splitlines())
        return calls

    def _request(self, method: str, path: str, body: Any = None) -> Any:
        return json.loads(self._read(method, path, body))

    def _read(self, method: str, path: str, body: Any = None) -> bytes:
        connection = HTTPConnection(*self._address, timeout=_TIMEOUT_SECONDS)
        try:
            connection.request(
                method,
                f"/_control/{path}",
                None if body is None else json.dumps(body),
                {"Connection": "close"},
            )
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        if response.status != 200:  # noqa: PLR2004 # HTTP's own number
            raise ControlError(f"{method} {path}: {content.decode()}")
        return content


class TwilioSimulator(LocalServer):
    """The simulator with its ledger in `directory`, which goes on over a stop and a start."""

    name: ClassVar[str] = "Twilio simulator"
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    start_seconds: ClassVar[float] = 30

    def __init__(
        self, directory: Path, config: SimulatorConfig | None = None, port: int | None = None
    ) -> None:
        super().__init__(directory, port)
        self.config = config or SimulatorConfig()
        self.control = SimulatorControl(HOST, self.port)

    @property
    def base_url(self) -> str:
        """Where it answers, as a base URL for Twilio."""
        return f"http://{HOST}:{self.port}"

    @property
    def ledger_path(self) -> Path:
        """The ledger's file, readable also after an end of the simulator."""
        return self.directory / "ledger.jsonl"

    def calls(self) -> list[Call]:
        """Return every call in the ledger's file."""
        return read_calls(self.ledger_path)

    def start(self) -> None:
        """Start it and wait until it answers; ServerError with the end of its log otherwise."""
        self._require_startable()
        self.directory.mkdir(parents=True, exist_ok=True)
        config = self.directory / "config.json"
        config.write_text(json.dumps(_dump(self.config)), "utf-8")
        log = self.directory / "simulator.log"
        command = [sys.executable, "-m", "services.local.twilio"]
        options = ["--host", HOST, "--port", str(self.port)]
        process = start_child(
            [*command, *options, "--directory", self.directory, "--config", config],
            directory=self.directory,
            output=log,
            death_signal=signal.SIGKILL,
        )
        if not self._await_answer(process):
            raise ServerError(f"{self.name} ended at its start:\n{log_tail(log)}")
        self._process = process

    def _answers(self, process: subprocess.Popen[bytes]) -> bool:
        try:
            return self.control.pid() == process.pid
        except (OSError, HTTPException):
            return False


def _dump(config: SimulatorConfig) -> dict[str, Any]:
    return {**config.model_dump(mode="json", exclude={"faults"}), "faults": dump(config.faults)}
