"""Asks Twilio Lookup: one GET per number, never sent twice, read by `classify`."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

import httpx

from services.contracts.packages import PAID_PACKAGES, Package
from services.lookup.accounts import Account
from services.lookup.classify import Reading, read_failure, read_reply
from services.lookup.codes import Kind
from services.lookup.transport import HttptoolsTransport, RequestTemplate
from services.runtime.twilio_metrics import (
    TWILIO_BILLED,
    TWILIO_DURATION,
    TWILIO_REQUESTS,
    TWILIO_UNKNOWN_CODES,
)

#: An answer is a few hundred bytes; it must fit into a record on Kafka with room to spare.
_MAX_BODY_BYTES = 128 * 1024
#: The number in Twilio's own examples, for a call that is only to see whether it is let in:
#: always the same, so that a ledger shows by it what the call was.
PROBE_NUMBER = "+14159929960"

#: Ends of a call without an answer, by what the transport raises; the more exact class first.
_FAILURES: dict[type[httpx.TransportError], Kind] = {
    httpx.ConnectTimeout: "connect-timeout",
    httpx.ConnectError: "connect",
    httpx.ReadTimeout: "read-timeout",
    httpx.ReadError: "reset",
    httpx.RemoteProtocolError: "cut",
}


@dataclass(slots=True)
class _Line:
    """One account's connections, and its requests prepared with the secret as it was."""

    account: Account
    transport: HttptoolsTransport
    secret: str
    template: RequestTemplate

    def current_template(self) -> RequestTemplate:
        """The template, made anew when the secret has changed."""
        secret = self.account.secret()
        if secret != self.secret:
            self.secret, self.template = secret, _template(self.account, secret)
        return self.template


class TwilioClient:
    """Twilio Lookup for every account; made inside the running loop."""

    def __init__(self, accounts: Mapping[str, Account]) -> None:
        self._lines = {name: _open(account) for name, account in accounts.items()}

    async def ask(
        self,
        account: str,
        phone: str,
        packages: Collection[Package],
        *,
        before_send: Callable[[], object],
        generation: int = 0,
        turn: int = 1,
    ) -> Reading:
        """Make one call; how it fails is in the reading.

        Args:
            account: Name of the account to ask.
            phone: E.164.
            packages: What is wanted; `basic` comes along with anything.
            before_send: Called right before the bytes are written. What it raises goes to
                the caller, and then nothing was sent.
            generation: Of the request, for its answers.
            turn: Of the request, for its answers.
        """
        line = self._lines[account]
        clock = asyncio.get_running_loop().time
        sent_at: float | None = None

        def sending() -> None:
            nonlocal sent_at
            before_send()
            sent_at = clock()

        asked = frozenset(packages)
        request = line.current_template().get(_target(phone, asked), sending)
        try:
            response = await line.transport.handle_async_request(request)
        except tuple(_FAILURES) as error:
            reading = read_failure(_kind(error), asked)
        else:
            reading = read_reply(
                response.status_code,
                response.headers,
                response.content,
                asked,
                phone,
                datetime.now(UTC),
                generation,
                turn,
            )
        if sent_at is not None:
            TWILIO_DURATION.labels(account=account).observe(clock() - sent_at)
        _count(account, reading)
        return reading

    async def check(
        self, account: str, *, before_send: Callable[[], object] = lambda: None
    ) -> Reading:
        """Make a free call that shows whether the account is let in; see `ask`."""
        return await self.ask(account, PROBE_NUMBER, (Package.BASIC,), before_send=before_send)

    async def close(self) -> None:
        """Close the connections."""
        for line in self._lines.values():
            await line.transport.aclose()


def _open(account: Account) -> _Line:
    secret = account.secret()
    transport = HttptoolsTransport(
        account.base_url,
        connections=account.concurrency,
        connect_seconds=account.connect_timeout,
        read_seconds=account.read_timeout,
        max_body_bytes=_MAX_BODY_BYTES,
    )
    return _Line(account, transport, secret, _template(account, secret))


def _template(account: Account, secret: str) -> RequestTemplate:
    credentials = base64.b64encode(f"{account.username}:{secret}".encode()).decode()
    return RequestTemplate(
        account.base_url,
        {
            "Authorization": f"Basic {credentials}",
            "Accept": "application/json",
            "User-Agent": "bulk-lookup",
        },
    )


def _target(phone: str, asked: frozenset[Package]) -> str:
    """The path and query: `Fields` names paid packages only, without any the call is free."""
    fields = ",".join(package for package in PAID_PACKAGES if package in asked)
    path = f"/v2/PhoneNumbers/{quote(phone, safe='')}"
    return f"{path}?Fields={quote(fields)}" if fields else path


def _kind(error: httpx.TransportError) -> Kind:
    return next(kind for cause, kind in _FAILURES.items() if isinstance(error, cause))


def _count(account: str, reading: Reading) -> None:
    TWILIO_REQUESTS.labels(account=account, outcome=reading.outcome).inc()
    for package, billed in reading.billed.items():
        TWILIO_BILLED.labels(package=package, billed=billed).inc()
    for problem in reading.problems:
        if problem.unknown:
            place = "http" if problem.package is None else "package"
            TWILIO_UNKNOWN_CODES.labels(place=place, status=str(problem.status)).inc()
