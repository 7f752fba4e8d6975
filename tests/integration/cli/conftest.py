"""The command as a person runs it: a process of its own, told by the environment."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

COMMAND = (sys.executable, "-c", "import sys; from services.cli import main; sys.exit(main())")
_FOREIGN = ("KAFKA_", "DATABASE_", "TWILIO_", "API_TOKEN", "INGEST_", "RESULTS_", "HTTP_", "FORCE_")


@dataclass(frozen=True)
class Ended:
    """What a command left behind."""

    code: int | None
    out: str
    err: str


def clean_environment(settings: dict[str, str]) -> dict[str, str]:
    own = {name: v for name, v in os.environ.items() if not name.startswith(_FOREIGN)}
    return own | {"NO_COLOR": "1"} | settings


Started = asyncio.subprocess.Process
Start = Callable[..., Awaitable[Started]]
Command = Callable[..., Awaitable[Ended]]


@pytest.fixture
def start() -> Start:
    """Starts the command with these words and settings."""

    async def start(*words: str, **settings: str) -> Started:
        return await asyncio.create_subprocess_exec(
            *COMMAND,
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=clean_environment(settings),
            # As from a terminal: a run in the background of a script ignores SIGINT, and so
            # would its children.
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
        )

    return start


@pytest.fixture
def command(start: Start) -> Command:
    """Runs the command to its end."""

    async def command(*words: str, **settings: str) -> Ended:
        process = await start(*words, **settings)
        out, err = await process.communicate()
        return Ended(process.returncode, out.decode(), err.decode())

    return command


Serve = Callable[[Callable[[str], tuple[int, bytes]]], Any]


@pytest.fixture
def serve() -> Serve:
    """Serves answers by path over real HTTP, and gives the address."""

    @contextmanager
    def serve(answer: Callable[[str], tuple[int, bytes]]) -> Iterator[str]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                status, body = answer(self.path)
                self.send_response(status)
                is_file = self.path.partition("?")[0].endswith(".csv")
                self.send_header("Content-Type", "text/csv" if is_file else "application/json")
                if is_file:
                    self.send_header("Content-Disposition", "attachment")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    return serve
