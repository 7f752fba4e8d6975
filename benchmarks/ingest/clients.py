"""Clients that send one contact after the other over HTTP, and how long each answer took."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count, islice
from typing import Any

import aiohttp


@dataclass(slots=True)
class Answers:
    """What the clients saw."""

    seconds: float
    latencies: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.latencies) / self.seconds

    def milliseconds(self, share: float) -> float:
        """The latency that such a share of the answers stayed within."""
        return sorted(self.latencies)[int(len(self.latencies) * share)] * 1000


async def ask(
    url: str, request: Callable[[str], dict[str, Any]], clients: int, requests: int
) -> Answers:
    """Send different contacts, so many at a time; each answer must be 201.

    Args:
        url: Where to post them.
        request: Makes what aiohttp is told to post, of a number in E.164.
        clients: How many there are, each with a connection of its own.
        requests: How many answers are measured; a tenth more come before.
    """
    # Arcep keeps this range for films and books.
    numbers = (f"+{33_199_000_000 + n}" for n in count())
    latencies: list[float] = []
    connector = aiohttp.TCPConnector(limit=clients)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def client(mine: Iterator[str]) -> None:
            for number in mine:
                sent = time.perf_counter()
                async with session.post(url, **request(number)) as response:
                    await response.read()
                    response.raise_for_status()
                latencies.append(time.perf_counter() - sent)

        async def all_clients(these: Iterator[str]) -> float:
            started = time.perf_counter()
            await asyncio.gather(*(client(these) for _ in range(clients)))
            return time.perf_counter() - started

        await all_clients(islice(numbers, requests // 10))
        latencies.clear()
        seconds = await all_clients(islice(numbers, requests))
    return Answers(seconds, latencies)
