"""Lookup processes and what Twilio allows them, in simulated time: events in order, no clock.

Twilio here takes `allowance` calls at a time and refuses the next at its door. Every process
always has more to ask for, as a job has, and sends whenever its limit lets it.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from services.lookup.adaptive import AdaptiveLimit
from services.lookup.pace import share

PARTITIONS = 12


@dataclass
class Process:
    """One lookup process, as far as its limit goes."""

    law: AdaptiveLimit
    out: int = 0
    runs: bool = True
    woken_at: float = -1.0


@dataclass
class World:
    """Twilio and the processes that ask it.

    Args:
        processes: How many there are at the start.
        concurrency: The account's limit as it is set.
        allowance: What Twilio takes at a time.
        latency: Seconds that an answer takes at the middle.
        jitter: How far it lies from that at most, as a share of it.
        refusal: Seconds that a refusal takes.
        seed: Of all chance.
    """

    processes: int
    concurrency: int
    allowance: int = 40
    latency: float = 0.5
    jitter: float = 0.3
    refusal: float = 0.05
    seed: int = 0
    now: float = 0.0
    #: Calls that Twilio works on, since when.
    taken: list[tuple[float, int]] = field(default_factory=lambda: [(0.0, 0)])
    #: Of each call, when it was sent, and whether it was refused.
    calls: list[tuple[float, bool]] = field(default_factory=list)
    #: Calls on their way to a refusal, and the most calls out beyond the allowance, since when.
    refusing: int = 0
    beyond: list[tuple[float, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)
        self._order = itertools.count()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._rebalancing = False
        self.group = [Process(AdaptiveLimit(0.0)) for _ in range(self.processes)]
        self._assign()

    # What a test does and asks

    def run(self, seconds: float) -> None:
        """Let time pass."""
        until = self.now + seconds
        while self._events and self._events[0][0] <= until:
            self.now, _, event = heapq.heappop(self._events)
            event()
        self.now = until

    def join(self) -> None:
        """One process more: all drain, and the partitions are shared out anew."""
        self.group.append(Process(AdaptiveLimit(self.now)))
        self._rebalance()

    def leave(self) -> None:
        """The last process goes, once its calls have ended."""
        self._leaving = self.group.pop()
        self._leaving.runs = False
        self._rebalance()

    def run_until_shared_out(self) -> None:
        """Let time pass until the partitions are shared out anew."""
        while self._rebalancing:
            self.now, _, event = heapq.heappop(self._events)
            event()

    def restart(self) -> None:
        """A stop of the account is cleared."""
        for process in self.group:
            process.law.restart(self.now)
            self._fill(process)

    @property
    def limit(self) -> int:
        """All processes' limits together."""
        return sum(process.law.limit for process in self.group)

    def use(self, since: float) -> float:
        """The mean share of the allowance that was in use."""
        steps = [*self.taken, (self.now, 0)]
        area = sum(
            count * (end - max(start, since))
            for (start, count), (end, _) in itertools.pairwise(steps)
            if end > since
        )
        return area / (self.now - since) / self.allowance

    def refused(self, since: float) -> float:
        """The share of calls that were refused."""
        refused = [was for sent_at, was in self.calls if sent_at >= since]
        return sum(refused) / len(refused)

    def reaches(self, count: int, since: float) -> float | None:
        """Seconds until so many calls were taken at a time."""
        return next(
            (at - since for at, taken in self.taken if at >= since and taken >= count), None
        )

    def most_beyond(self, since: float) -> int:
        """The most calls out at a time beyond the allowance."""
        return max((count for at, count in self.beyond if at >= since), default=0)

    # What happens

    def _at(self, seconds: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + seconds, next(self._order), event))

    def _rebalance(self) -> None:
        self._rebalancing = True
        self._at(0.0, self._when_drained)

    def _when_drained(self) -> None:
        if any(process.out for process in self.group) or self.taken[-1][1]:
            self._at(0.05, self._when_drained)
            return
        self._rebalancing = False
        self._assign()

    def _assign(self) -> None:
        for index, process in enumerate(self.group):
            partitions = len(range(index, PARTITIONS, len(self.group)))
            process.law.resize(
                share(self.concurrency, partitions, PARTITIONS), partitions / PARTITIONS
            )
            # No two programs start in the same instant.
            self._at(self._chance.uniform(0, 0.05), partial(self._fill, process))

    def _fill(self, process: Process) -> None:
        if self._rebalancing or not process.runs:
            return
        if process.law.opens_at > self.now:
            if process.woken_at != process.law.opens_at:
                process.woken_at = process.law.opens_at
                self._at(process.law.opens_at - self.now, lambda: self._fill(process))
            return
        while process.out < process.law.limit:
            self._send(process)

    def _send(self, process: Process) -> None:
        process.out += 1
        sent_at, taken = self.now, self.taken[-1][1]
        if refused := taken >= self.allowance:
            self.refusing += 1
            self.beyond.append((self.now, taken + self.refusing - self.allowance))
            self._at(self._spread(self.refusal), lambda: self._refused(process, sent_at))
        else:
            self.taken.append((self.now, taken + 1))
            self._at(self._spread(self.latency), lambda: self._answered(process, sent_at))
        self.calls.append((self.now, refused))

    def _answered(self, process: Process, sent_at: float) -> None:
        self.taken.append((self.now, self.taken[-1][1] - 1))
        process.law.answered(sent_at, self.now, process.out)
        process.out -= 1
        self._fill(process)

    def _refused(self, process: Process, sent_at: float) -> None:
        self.refusing -= 1
        process.law.refused(sent_at, self.now, process.out)
        process.out -= 1
        self._fill(process)

    def _spread(self, seconds: float) -> float:
        return seconds * (1 + self.jitter * self._chance.uniform(-1, 1))
