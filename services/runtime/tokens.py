"""Who may use a program's API: bearer tokens, each with the name of its bearer."""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Self

from services.runtime.settings import ApiSettings, SettingsError, read_secret

#: The caller where no token is set: whoever is on this machine.
LOCAL = "local"
#: The name of a token that was given without one.
DEFAULT = "default"
MIN_LENGTH = 16
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_PRINTABLE = re.compile(r"[!-~]+")


class Tokens:
    """The tokens that are accepted, by name; without any, every caller is `local`."""

    def __init__(self, tokens: dict[str, str]) -> None:
        self._digests = {name: _digest(token) for name, token in tokens.items()}

    @classmethod
    def from_settings(cls, settings: ApiSettings) -> Self:
        """Read `name:token` entries, separated by commas or lines; a lone token is `default`.

        Raises:
            SettingsError: An entry is not of that form; the message names the setting and the
                entry's place, never its value.
        """
        file = settings.api_tokens_file
        setting = "API_TOKENS" if file is None else "API_TOKENS_FILE"
        text = read_secret(settings.api_tokens, file) or ""
        entries = [entry.strip() for entry in re.split(r"[,\n]", text) if entry.strip()]
        if file is not None and not entries:
            raise SettingsError(f"API_TOKENS_FILE: {file} holds no token; write name:token into it")
        tokens: dict[str, str] = {}
        for place, entry in enumerate(entries, start=1):
            name, token = _parse(f"{setting}, entry {place}", entry)
            if name in tokens:
                raise SettingsError(f"{setting}, entry {place}: a second token of one name")
            tokens[name] = token
        return cls(tokens)

    def __bool__(self) -> bool:
        """Whether a token is needed at all."""
        return bool(self._digests)

    def name_of(self, header: str | None) -> str | None:
        """Whose token an `Authorization` header carries; None if nobody's.

        How long it takes tells nothing about the tokens, nor which of them matched.
        """
        if not self._digests:
            return LOCAL
        scheme, _, token = (header or "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        given = _digest(token.strip())
        found = None
        for name, digest in self._digests.items():
            if hmac.compare_digest(given, digest):
                found = name
        return found


def _parse(where: str, entry: str) -> tuple[str, str]:
    name, colon, token = entry.partition(":")
    if not colon:
        name, token = DEFAULT, entry
    if not _NAME.fullmatch(name):
        raise SettingsError(
            f"{where}: the name before the colon must be of a-z, 0-9, _ and -, "
            "beginning with a letter or digit"
        )
    if len(token) < MIN_LENGTH or not _PRINTABLE.fullmatch(token):
        raise SettingsError(
            f"{where}: a token must have at least {MIN_LENGTH} characters, without spaces; "
            "make one with `openssl rand -hex 24`"
        )
    return name, token


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
