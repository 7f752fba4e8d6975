"""The simulator's state: accounts, calls under way, faults; what a call gets and how it is entered."""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote

from services.local.twilio.answers import Reply, answer, error
from services.local.twilio.config import STATE_ERRORS, Account, Latency
from services.local.twilio.faults import Fault, choose
from services.local.twilio.ledger import Call, Ledger, Outcome
from services.local.twilio.numbers import Number, examine
from services.local.twilio.packages import PROPERTIES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from services.local.twilio.config import Prices, SimulatorConfig

PATH = "/v2/PhoneNumbers/"
_FREE_FIELD = "validation"


@dataclass(frozen=True, slots=True)
class Pending:
    """A call under way: what it will be answered, and when."""

    started: str
    account: Account | None
    number: Number
    packages: tuple[str, ...]
    reply: Reply
    delay_seconds: float = 0.0
    faults: tuple[Fault, ...] = ()
    #: Whether it counts against its account's concurrency.
    counted: bool = False


class Simulator:
    """Decides calls and enters them in the ledger; knows nothing of connections.

    `clock` gives monotonic seconds. A call counts as under way from `begin` to `finish`.
    """

    def __init__(
        self,
        config: SimulatorConfig,
        ledger: Ledger,
        prices: Prices,
        clock: Callable[[], float],
    ) -> None:
        self.accounts = {account.name: account.model_copy() for account in config.accounts}
        self.latency: Latency = config.latency
        self.ledger = ledger
        self.in_flight: Counter[str] = Counter()
        self.most_in_flight: Counter[str] = Counter()
        self._by_authorization = {
            account.authorization: account for account in self.accounts.values()
        }
        self._prices = prices.per_call
        self._clock = clock
        self._random = random.Random(config.seed)
        self.faults = config.faults

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The faults that strike from now on; setting them starts their time windows.

        How often one has struck a number is kept by its name, over a setting and over a restart.
        """
        return self._faults

    @faults.setter
    def faults(self, faults: Sequence[Fault]) -> None:
        self._faults = tuple(faults)
        self._faults_since = self._clock()

    def begin(self, target: str, authorization: bytes | None) -> Pending:
        """Take a request for `target` on; whatever is returned must be finished once."""
        started = _now()
        path, _, query = target.partition("?")
        inputs = dict(parse_qsl(query))
        account = self._by_authorization.get(authorization or b"")
        number = examine(unquote(path.removeprefix(PATH)), inputs.get("CountryCode", "US"))
        fields = set(filter(None, inputs.get("Fields", "").split(","))) - {_FREE_FIELD}
        packages = tuple(package for package in PROPERTIES if package in fields)
        refusal = self._refusal(account, path, fields)
        if account is None or refusal is not None:
            reply = refusal or error(401, 20003)
            return Pending(started, account, number, packages, reply)
        under_way = self.in_flight[account.name] + 1
        self.in_flight[account.name] = under_way
        self.most_in_flight[account.name] = max(self.most_in_flight[account.name], under_way)
        faults = choose(
            self._faults,
            number.e164,
            account.name,
            packages,
            second=self._clock() - self._faults_since,
            struck=self.ledger.struck,
        )
        return Pending(
            started,
            account,
            number,
            packages,
            answer(number, packages, inputs, faults),
            delay_seconds=self._draw_latency()
            + sum(fault.seconds for fault in faults if fault.kind == "slow"),
            faults=faults,
            counted=True,
        )

    def finish(self, pending: Pending, outcome: Outcome) -> None:
        """Enter a call as it ended; for one answered, right before its last byte is written."""
        account, reply = pending.account, pending.reply
        if account is not None and pending.counted:
            self.in_flight[account.name] -= 1
        written = outcome in {"answered", "failed"}
        answered = outcome == "answered"
        self.ledger.append(
            Call(
                started=pending.started,
                ended=_now(),
                account=None if account is None else account.name,
                number=pending.number.e164,
                packages=pending.packages,
                outcome=outcome,
                status=reply.status if written else None,
                code=reply.code if written else None,
                answered=reply.answered if answered else (),
                codes=reply.codes if answered else None,
                billed={package: self._prices[package] for package in reply.billed}
                if answered
                else None,
                faults=tuple(fault.name for fault in pending.faults),
            )
        )

    def _refusal(self, account: Account | None, path: str, fields: set[str]) -> Reply | None:
        """Return what a call is refused with before anything is looked up."""
        if account is None:
            return error(401, 20003)
        if account.state != "ok":
            return error(*STATE_ERRORS[account.state])
        if not path.startswith(PATH) or path == PATH:
            return error(404, 20404)
        if not fields <= PROPERTIES.keys():
            return error(400, 20001)
        if self.in_flight[account.name] >= account.concurrency:
            return error(429, 20429)
        return None

    def _draw_latency(self) -> float:
        latency = self.latency
        if not latency.spread:
            return latency.median_seconds
        return latency.median_seconds * math.exp(latency.spread * self._random.gauss(0, 1))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
