"""Where the two APIs are, and how we show who we are to them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from services.cli.exits import SETTINGS, CommandError

if TYPE_CHECKING:
    from services.cli.client import Api

INGEST_URL = "http://127.0.0.1:8001"
RESULTS_URL = "http://127.0.0.1:8004"


@dataclass(frozen=True, slots=True)
class Session:
    """What every command that talks to an API knows."""

    ingest_url: str
    results_url: str

    def ingest(self) -> Api:
        """The API that takes files."""
        return self._open("ingest", self.ingest_url, "INGEST_URL")

    def results(self) -> Api:
        """The API that tells what came of them."""
        return self._open("results", self.results_url, "RESULTS_URL")

    def _open(self, program: str, url: str, setting: str) -> Api:
        from services.cli import client  # noqa: PLC0415 - httpx costs 0.3 s; --help needs none

        return client.Api(program, url, setting, read_token())


def read_token() -> str | None:
    """The token of API_TOKEN, or of the file API_TOKEN_FILE, which wins; None without any.

    Raises:
        CommandError: The file cannot be read, or what is there is no token.
    """
    path = os.environ.get("API_TOKEN_FILE")
    if path:
        try:
            token = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not text"
            raise CommandError(f"API_TOKEN_FILE={path}: {why}.", SETTINGS) from error
        if not token:
            raise CommandError(f"API_TOKEN_FILE={path}: the file is empty.", SETTINGS)
    else:
        token = os.environ.get("API_TOKEN", "").strip()
    if any(not "!" <= char <= "~" for char in token):
        raise CommandError(
            "API_TOKEN or the file API_TOKEN_FILE must hold one token alone, without its name "
            "and without spaces.",
            SETTINGS,
        )
    return token or None
