"""A body that stands still, or trickles, is given up; one that comes is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.ingest.patience import Patience, TooSlowError


class Clock:
    """A clock that the test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


async def taken(patience: Patience, chunks: AsyncIterator[bytes]) -> list[bytes]:
    return [chunk async for chunk in patience.with_body(chunks)]


async def test_a_body_that_stands_still_is_given_up() -> None:
    """When nothing comes for the time of silence, the wait ends, whatever came before."""

    async def chunks() -> AsyncIterator[bytes]:
        yield b"x" * 1_000_000
        await asyncio.Event().wait()

    with pytest.raises(TooSlowError):
        await taken(Patience(silence=0.01), chunks())


@pytest.mark.parametrize(
    ("seconds", "size", "whole"),
    [
        (1.0, 1, True),  # short enough for any rate
        (2.0, 19, False),
        (2.0, 20, True),
        (0.0, 0, True),
    ],
)
async def test_a_body_that_trickles_is_given_up(seconds: float, size: int, whole: bool) -> None:
    """After the time of silence, so many bytes a second must have come on the average."""
    clock = Clock()

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(10):
            clock.now += seconds
            yield b"x" * size

    patience = Patience(silence=10.0, least=10.0, clock=clock)
    if whole:
        assert await taken(patience, chunks()) == [b"x" * size] * 10
    else:
        with pytest.raises(TooSlowError):
            await taken(patience, chunks())


async def test_our_own_time_is_not_the_senders() -> None:
    """A disk that takes long to write does not make an upload too slow."""
    clock = Clock()

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b"x"

    patience = Patience(silence=10.0, least=10.0, clock=clock)
    async for chunk in patience.with_body(chunks()):
        assert chunk == b"x"
        clock.now += 100.0
