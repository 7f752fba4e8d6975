"""Asks whether an account that Twilio refused is let in again, by a free call now and then.

The one process that has partition 0 asks, so that there is one call however many processes
run, and another one takes over when that one is gone. A stop that a person must lift stands:
while there is any, no call is made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable

from services.contracts.control import account_key, account_keys
from services.lookup.twilio import TwilioClient
from services.runtime.control_topic import ControlTopic
from services.runtime.logs import get_logger
from services.runtime.twilio_metrics import TWILIO_PROBES

log = get_logger(__name__)

#: The longest time between two probes, in intervals.
LONGEST = 10
_LOOK_EVERY = 1.0


def is_probed(account: str, held: Collection[str]) -> bool:
    """Whether an account is stopped by Twilio's refusal, and by nothing else."""
    return set(account_keys(account)).intersection(held) == {account_key(account, "refused")}


class Times:
    """When one account is asked: ever later, from the interval up to `LONGEST` intervals.

    Where free calls are let in and paid ones refused, each success is followed by a refusal:
    only an account that has not been probed for the longest time starts at the interval again.
    Times are seconds of any one clock that does not step.
    """

    def __init__(self, interval: float) -> None:
        self._interval = self._wait = interval
        self._asked_at = float("-inf")
        #: None while there is nothing to ask for.
        self._due_at: float | None = None

    def due(self, now: float, *, stopped: bool) -> bool:
        """Whether to ask now; the caller then does."""
        longest = LONGEST * self._interval
        if not stopped:
            self._due_at = None
            return False
        if self._due_at is None:
            if now - self._asked_at > longest:
                self._wait = self._interval
            self._due_at = now + self._wait
        if now < self._due_at:
            return False
        self._asked_at = now
        self._wait = min(2 * self._wait, longest)
        self._due_at = now + self._wait
        return True


class _NotRefusedAloneError(Exception):
    """The account goes on, or a person has stopped it as well; nothing was sent."""


class Probe:
    """Probes the accounts of this process, as long as it is the one to do so."""

    def __init__(
        self,
        *,
        accounts: Iterable[str],
        client: TwilioClient,
        control: ControlTopic,
        interval: float,
        is_ours: Callable[[], bool],
    ) -> None:
        """Probe when `is_ours()`, first after `interval` seconds."""
        self._times = {name: Times(interval) for name in accounts}
        self._client = client
        self._control = control
        self._is_ours = is_ours
        self._look_every = min(_LOOK_EVERY, interval)

    async def run(self) -> None:
        """Probe until cancelled.

        Raises:
            ProduceError: Kafka finally refuses that an account goes on.
        """
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(self._look_every)
            await self.look(clock())

    async def look(self, now: float) -> None:
        """Probe each account whose time has come."""
        ours, held = self._is_ours(), self._control.held
        due = [
            name
            for name, times in self._times.items()
            if times.due(now, stopped=ours and is_probed(name, held))
        ]
        await asyncio.gather(*(self._ask(name) for name in due))

    async def _ask(self, account: str) -> None:
        def check_stop() -> None:
            """Right before the bytes are written, since a connection takes its time."""
            if not is_probed(account, self._control.held):
                raise _NotRefusedAloneError

        try:
            reading = await self._client.check(account, before_send=check_stop)
        except _NotRefusedAloneError:
            return
        TWILIO_PROBES.labels(account=account, outcome=reading.outcome).inc()
        if reading.problems:
            log.info("still refused", account=account, why=reading.problems[0].detail)
            return
        key = account_key(account, "refused")
        if key in self._control.held:
            why = "Twilio lets it in again: a free call was answered"
            await self._control.set(key, held=False, why=why, by="lookup")
