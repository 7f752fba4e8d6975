"""One account's limits in this process: its own, and those of packages refused for the rate.

A call needs a permit of its account, and of each package it asks for whose provider has ever
refused for the rate (60616): such a refusal slows down who asks for that package, and nobody
else. The decisions are those of `adaptive`; here they are carried out.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

from services.contracts.packages import Package
from services.lookup.adaptive import AdaptiveLimit
from services.lookup.classify import Reading
from services.lookup.codes import Class
from services.lookup.pace import Limiter
from services.runtime.twilio_metrics import PACKAGE_ALLOWED, TWILIO_ALLOWED

#: What says nothing about the rate: no answer came, or Twilio did not take the call.
_SILENT = {Class.TRANSIENT, Class.ACCOUNT_STOP}


class _Gate:
    """An adaptive limit, with those who wait in front of it."""

    def __init__(self, law: AdaptiveLimit, show: Callable[[float], None]) -> None:
        self.law = law
        self.limiter = Limiter(law.limit)
        self._show = show

    def resize(self, ceiling: int, part: float) -> None:
        self.law.resize(ceiling, part)
        self.apply()

    def refused(self, sent_at: float, now: float, in_flight: int, after: float | None) -> None:
        self.law.refused(sent_at, now, in_flight, after)
        self.apply()
        if self.law.opens_at > now:
            self.limiter.pause(self.law.opens_at - now)

    def answered(self, sent_at: float, now: float, in_flight: int) -> None:
        self.law.answered(sent_at, now, in_flight)
        self.apply()

    def apply(self) -> None:
        self.limiter.resize(self.law.limit)
        self._show(self.law.limit)


class Throttle:
    """How many calls of one account may be out; used inside the running loop."""

    def __init__(self, account: str, clock: Callable[[], float] = time.monotonic) -> None:
        """Allow nothing until `resize`.

        Args:
            account: Its name.
            clock: Monotonic seconds, the same as in `learn`.
        """
        self._account = account
        self._clock = clock
        self._share = 0, 0.0
        shown = TWILIO_ALLOWED.labels(account=account)
        self._gate = _Gate(AdaptiveLimit(clock()), shown.set)
        self._packages: dict[Package, _Gate] = {}

    @property
    def limit(self) -> int:
        """Most calls out at once, whatever they ask for."""
        return self._gate.limiter.limit

    @property
    def in_flight(self) -> int:
        """Calls out."""
        return self._gate.limiter.in_flight

    def resize(self, ceiling: int, part: float) -> None:
        """Take a new share, as `AdaptiveLimit.resize` has it."""
        self._share = ceiling, part
        for gate in (self._gate, *self._packages.values()):
            gate.resize(ceiling, part)

    def restart(self) -> None:
        """Begin again with one call: the account was stopped, and goes on."""
        self._gate.law.restart(self._clock())
        self._gate.limiter.end_pause()
        self._gate.apply()

    @asynccontextmanager
    async def permit(self, packages: Iterable[Package]) -> AsyncIterator[None]:
        """Wait for leave to ask for these packages; it is given back at the end.

        Whoever waits for a package holds no permit of the account. Packages are waited for in
        one order, so that no two wait for each other.
        """
        asked = sorted(self._packages.keys() & set(packages))
        gates = [*(self._packages[package] for package in asked), self._gate]
        held: list[Limiter] = []
        try:
            for gate in gates:
                await gate.limiter.acquire()
                held.append(gate.limiter)
            yield
        finally:
            for limiter in held:
                limiter.release()

    def learn(self, reading: Reading, sent_at: float) -> None:
        """Take in how a call ended, while it still holds its permits."""
        now = self._clock()
        whole = next((p.klass for p in reading.problems if p.package is None), None)
        if whole is Class.RATE_LIMIT:
            self._gate.refused(sent_at, now, self.in_flight, reading.retry_after)
        elif whole not in _SILENT:
            self._gate.answered(sent_at, now, self.in_flight)
        for problem in reading.problems:
            if problem.package is not None and problem.klass is Class.PACKAGE_RATE_LIMIT:
                self._refused(problem.package, sent_at, now, reading.retry_after)
        for package in self._packages.keys() & reading.answers.keys():
            gate = self._packages[package]
            gate.answered(sent_at, now, gate.limiter.in_flight)

    def _refused(self, package: Package, sent_at: float, now: float, after: float | None) -> None:
        gate = self._packages.get(package)
        if gate is not None:
            gate.refused(sent_at, now, gate.limiter.in_flight, after)
            return
        # What is out was let out by the account alone, and any of it may ask for the package.
        law = AdaptiveLimit(sent_at, level=self.in_flight)
        shown = PACKAGE_ALLOWED.labels(account=self._account, package=package)
        gate = self._packages[package] = _Gate(law, shown.set)
        gate.resize(*self._share)
        gate.refused(sent_at, now, self.in_flight, after)
