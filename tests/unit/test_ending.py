"""The end of a part of a program: awaited for a while, and never in the way of the others."""

from __future__ import annotations

import asyncio

import pytest
import structlog

from services.runtime.ending import end


async def _ends() -> None:
    return


async def _cancels_itself() -> None:
    raise asyncio.CancelledError


async def _fails() -> None:
    raise OSError("gone")


async def _never_ends() -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("ending", "said"),
    [
        (_ends, []),
        (_cancels_itself, []),
        (_fails, [("not closed", "OSError: gone")]),
        (_never_ends, [("not closed in time, left behind", None)]),
    ],
)
async def test_whatever_comes_of_it(ending: object, said: list[tuple[str, str | None]]) -> None:
    """Whoever ends it goes on to the next part: nothing is raised, and what was wrong is said."""
    assert callable(ending)
    with structlog.testing.capture_logs() as logs:
        await end("a client", ending(), within=0.01)
    assert [(line["event"], line.get("reason")) for line in logs] == said


async def test_what_is_left_behind_is_told_to_end() -> None:
    """It holds nothing of the event loop's own end."""
    task = asyncio.create_task(_never_ends())
    await end("a client", task, within=0)
    assert task.cancelled()


async def test_a_cancellation_of_the_caller_is_the_caller_s() -> None:
    """Only what the part does to itself is kept from it."""
    ending = asyncio.create_task(end("a client", _never_ends(), within=60))
    await asyncio.sleep(0)
    ending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ending
