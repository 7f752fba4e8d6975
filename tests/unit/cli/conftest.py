"""The command run in this process, against APIs that answer what a test says."""

import functools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from services.cli import client, number, watch
from services.cli.app import app

Answer = dict[str, Any] | list[bytes | Exception] | tuple[int, Any] | Exception
JOB = "6f0c1f9e-8d0c-5c5a-9d26-0b7a4d6c1a11"


def _stream(parts: list[bytes | Exception]) -> Iterator[bytes]:
    for part in parts:
        if isinstance(part, Exception):
            raise part
        yield part


@dataclass
class Apis:
    """Answers by `METHOD path`, each in its turn; the last one stays. Keeps what was asked.

    A list is a file, in parts; an exception among them breaks it off.
    """

    answers: dict[str, list[Answer]] = field(default_factory=dict)
    requests: list[httpx.Request] = field(default_factory=list)

    def say(self, route: str, *answers: Answer) -> None:
        self.answers[route] = list(answers)

    def handle(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.requests.append(request)
        queue = self.answers[f"{request.method} {request.url.path}"]
        answer = queue.pop(0) if len(queue) > 1 else queue[0]
        if isinstance(answer, Exception):
            raise answer
        status, body = answer if isinstance(answer, tuple) else (200, answer)
        if isinstance(body, list):
            headers = {"Content-Disposition": "attachment"}
            return httpx.Response(status, content=_stream(body), headers=headers)
        if isinstance(body, str):
            return httpx.Response(status, text=body)
        return httpx.Response(status, json=body)


@pytest.fixture
def apis(monkeypatch: pytest.MonkeyPatch) -> Apis:
    """Both programs' APIs; nothing is waited for."""
    apis = Apis()
    transport = httpx.MockTransport(apis.handle)
    monkeypatch.setattr(client, "Api", functools.partial(client.Api, transport=transport))
    for module in (watch, number):
        monkeypatch.setattr(module, "POLL_SECONDS", 0.0)
    for name in ("API_TOKEN", "API_TOKEN_FILE", "INGEST_URL", "RESULTS_URL", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return apis


Run = Callable[..., Result]


@pytest.fixture
def run() -> Run:
    """Runs the command with these words."""

    def run(*words: str, **options: Any) -> Result:
        return CliRunner().invoke(app, words, **options)

    return run


def json_lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def read_lines() -> Callable[[str], list[Any]]:
    """Reads standard output that must be JSON lines and nothing else."""
    return json_lines


@pytest.fixture
def job() -> Callable[..., dict[str, Any]]:
    """Makes a job as results shows it."""

    def make(**changes: Any) -> dict[str, Any]:
        return {
            "job_id": JOB,
            "source": "shop",
            "state": "sealed",
            "file_name": "contacts.csv",
            "account": "default",
            "packages": ["basic", "caller_name"],
            "created_at": "2025-11-24T09:00:00Z",
            "sealed_at": "2025-11-24T09:00:05Z",
            "sealed": {"accepted": 5000, "rejected": 7, "duplicates": 12},
            "counts": {"pending": 1000, "retrying": 12, "completed": 3988, "dead": 0},
            "known": 5000,
            "rejected": 7,
            "finished": 3988,
            "share": 0.7976,
            "complete": False,
            "at": "2025-11-24T09:01:00Z",
            "rate_per_second": 310.0,
            "seconds_left": 3.3,
            "holds": [],
            "last_successes": [],
            "last_failures": [],
            "reasons": None,
            "outcomes": None,
        } | changes

    return make


@pytest.fixture
def contact() -> Callable[..., dict[str, Any]]:
    """Makes a contact as results shows it."""

    def make(**changes: Any) -> dict[str, Any]:
        return {
            "request_id": "0d7f4a52-9b0e-5d0e-8f41-0d6a4a3f7b11",
            "job_id": JOB,
            "reference": "ACME-1",
            "row": 2,
            "phone": "+14155550100",
            "country": "US",
            "account": "default",
            "state": "completed",
            "packages": [
                {
                    "package": "basic",
                    "status": "ok",
                    "code": None,
                    "reason": None,
                    "data": {"valid": True, "national_format": "(415) 555-0100"},
                    "reused": False,
                    "billed": "no",
                    "looked_up_at": "2025-11-24T09:00:30Z",
                }
            ],
            "attempts": 0,
            "last_error": None,
            "waits_for": [],
            "generation": 0,
            "turn": 1,
            "accepted_at": "2025-11-24T09:00:00Z",
            "due_at": None,
            "ended_at": "2025-11-24T09:00:30Z",
        } | changes

    return make
