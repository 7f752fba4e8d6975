"""Stop: asked for by a signal or by a fault."""

from __future__ import annotations

import asyncio

from services.runtime.program import FaultError, Stop


async def test_whoever_waits_is_told() -> None:
    """One request reaches everybody."""
    stop = Stop()
    waiting = [asyncio.create_task(stop.wait()) for _ in range(3)]
    before = stop.asked
    stop.ask()
    await asyncio.gather(*waiting)
    assert (before, stop.asked) == (False, True)
    assert stop.fault is None


async def test_the_first_fault_counts() -> None:
    """What follows from it is not the cause."""
    stop, first = Stop(), FaultError("first")
    stop.fail(first)
    stop.fail(FaultError("second"))
    assert stop.asked
    assert stop.fault is first


async def test_a_fault_in_the_drain_is_kept() -> None:
    """A stop that was asked for still ends with its code when draining fails."""
    stop, fault = Stop(), FaultError("could not commit")
    stop.ask()
    stop.fail(fault)
    assert stop.fault is fault


async def test_a_watched_task() -> None:
    """Its failure stops the program; its end or cancellation does not."""

    async def ends() -> None:
        return

    async def fails() -> None:
        raise FaultError("failed")

    stop = Stop()
    await stop.watch(asyncio.create_task(ends()))
    cancelled = stop.watch(asyncio.create_task(asyncio.Event().wait()))  # type: ignore[arg-type] # its result is not used
    cancelled.cancel()
    await asyncio.wait([cancelled])
    assert not stop.asked
    await asyncio.wait([stop.watch(asyncio.create_task(fails()))])
    await stop.wait()
    assert str(stop.fault) == "failed"
