"""Calls to the HTTP APIs of ingest and results, their errors told with the way out."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import httpx

from services.cli.exits import (
    FAULT,
    NOT_OK,
    SETTINGS,
    UNAUTHORIZED,
    UNAVAILABLE,
    USAGE,
    CommandError,
)
from services.cli.own_words import in_own_words

Query = Mapping[str, str | int | bool | Sequence[str] | None]

#: Most items that the API gives at once.
_PAGE = 1000
_SECONDS = 30
#: A large file is answered when all of it is in Kafka.
_UPLOAD_SECONDS = 1800
_NOT_LET_IN = {401, 403}
_AWAY = {502, 503, 504}
_FAULTS = 500
#: The program was there, and ended or closed the connection.
_BROKEN_OFF = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)


class RefusedError(CommandError):
    """The API has refused something; `problem` is what it says of it."""

    def __init__(self, message: str, code: int, problem: Mapping[str, Any]) -> None:
        super().__init__(message, code)
        self.problem = problem


class Api:
    """One program's API.

    Args:
        program: Whose it is, for messages.
        url: Where it is.
        setting: The name under which `url` can be set, for messages.
        token: Bearer token, if one is needed.
        transport: Instead of the network.

    Raises:
        CommandError: `url` is none.
    """

    def __init__(
        self,
        program: str,
        url: str,
        setting: str,
        token: str | None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.program = program
        self._setting = setting
        self._url = _checked(url, setting)
        self._client = httpx.Client(
            base_url=self._url,
            headers={} if token is None else {"Authorization": f"Bearer {token}"},
            timeout=_SECONDS,
            transport=transport,
            # This machine is not reached through a proxy.
            trust_env=not _is_here(self._url.host),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._client.close()

    def get(self, path: str, query: Query | None = None) -> dict[str, Any]:
        """Read something.

        Raises:
            CommandError: It cannot be had; says why.
        """
        return self._ask("GET", path, params=_given(query))

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Send JSON.

        Raises:
            CommandError: It is not taken; says why.
        """
        return self._ask("POST", path, json=body)

    def upload(
        self, path: str, content: Iterable[bytes], query: Query, headers: Mapping[str, str]
    ) -> tuple[dict[str, Any], bool]:
        """Send a file as it is read; what it is, ingest finds.

        Gives the answer, and whether something was made by it.

        Raises:
            RefusedError: It is not taken; says why.
            CommandError: No answer can be had.
        """
        answer = self._request(
            "POST",
            path,
            params=_given(query),
            content=content,
            headers={"Content-Type": "application/octet-stream", **headers},
            timeout=httpx.Timeout(_SECONDS, read=_UPLOAD_SECONDS),
        )
        return self._taken(answer), answer.status_code == httpx.codes.CREATED

    def download(self, path: str, query: Query | None = None) -> Iterator[bytes]:
        """Read a file in parts, as they come.

        Raises:
            CommandError: It cannot be had, or breaks off; says why.
        """
        began = False
        try:
            with self._client.stream("GET", path, params=_given(query)) as answer:
                if not answer.is_success or "Content-Disposition" not in answer.headers:
                    answer.read()
                    raise self._refused(answer, _said(answer) or {})
                for part in answer.iter_bytes():
                    began = True
                    yield part
        except httpx.TransportError as error:
            if not began:
                raise self._away(error) from error
            raise CommandError(
                f"{self.program} broke off in the middle ({type(error).__name__}); its log says "
                "why. Try again.",
                UNAVAILABLE,
            ) from error

    def items(self, path: str, query: Query | None = None) -> Iterator[dict[str, Any]]:
        """Everything of a list, read by the page.

        Raises:
            CommandError: A page cannot be had; says why.
        """
        after: str | None = None
        while True:
            page = self.get(path, {**(query or {}), "limit": _PAGE, "after": after})
            yield from page["items"]
            after = page["next"]
            if after is None:
                return

    def first(
        self, path: str, limit: int, query: Query | None = None
    ) -> tuple[list[dict[str, Any]], bool]:
        """The first items of a list, and whether there are more; all with a limit of 0.

        Raises:
            CommandError: A page cannot be had; says why.
        """
        if not 0 < limit <= _PAGE:
            found: list[dict[str, Any]] = []
            for item in self.items(path, query):
                if limit and len(found) == limit:
                    return found, True
                found.append(item)
            return found, False
        page = self.get(path, {**(query or {}), "limit": limit})
        return page["items"], page["next"] is not None

    def _ask(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        return self._taken(self._request(method, path, **request))

    def _request(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            return self._client.request(method, path, **request)
        except httpx.TransportError as error:
            raise self._away(error) from error

    def _taken(self, answer: httpx.Response) -> dict[str, Any]:
        said = _said(answer)
        if answer.is_success and said is not None:
            return said
        raise self._refused(answer, said or {})

    def _away(self, error: httpx.TransportError) -> CommandError:
        if isinstance(error, _BROKEN_OFF):
            return CommandError(
                f"{self.program} broke off before it answered ({type(error).__name__}); its log "
                "says why. Give the same command again: what was done is not done twice.",
                UNAVAILABLE,
            )
        what = "in time" if isinstance(error, httpx.TimeoutException) else "at all"
        return CommandError(
            f"{self.program} does not answer {what} at {self._url} "
            f"({type(error).__name__}). Is it running? Start everything here with "
            f"`bulk-lookup up`, or say where it is with {self._setting}.",
            UNAVAILABLE,
        )

    def _refused(self, answer: httpx.Response, said: Mapping[str, Any]) -> CommandError:
        status = answer.status_code
        if "title" not in said:
            code = UNAVAILABLE if status in _AWAY else FAULT
            return CommandError(
                f"What answers at {self._url} (HTTP {status}) is not the API of {self.program}: "
                f"set {self._setting}.",
                code,
            )
        message = in_own_words(f"{said['title']}. {said.get('detail', '')}".strip())
        if "accounts" in said:
            message += f" There are: {', '.join(said['accounts'])}."
        if status in _NOT_LET_IN:
            message += " This command sends what API_TOKEN or the file API_TOKEN_FILE holds."
        if "retry_after" in said:
            message += f" Try again in {said['retry_after']} s."
        message += f"\n({self.program}, HTTP {status}, request {said.get('request_id', '-')})"
        return RefusedError(message, _code(status, str(said.get("type", ""))), said)


def _said(answer: httpx.Response) -> dict[str, Any] | None:
    try:
        said = answer.json()
    except ValueError:
        return None
    return said if isinstance(said, dict) else None


def _code(status: int, kind: str) -> int:
    if status in _NOT_LET_IN:
        return UNAUTHORIZED
    if status in _AWAY:
        return UNAVAILABLE
    if status >= _FAULTS:
        return FAULT
    return USAGE if kind.endswith(":invalid-request") else NOT_OK


def _given(query: Query | None) -> dict[str, str | int | bool | Sequence[str]]:
    return {name: value for name, value in (query or {}).items() if value is not None}


def _checked(text: str, setting: str) -> httpx.URL:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in {"http", "https"} or not url.host:
        raise CommandError(
            f"{setting} must be http:// or https:// with a host, such as http://127.0.0.1:8001.",
            SETTINGS,
        )
    return url


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
