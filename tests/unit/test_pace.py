"""Calls in flight."""

import asyncio
import random

import pytest

from services.lookup.pace import Limiter, share


@pytest.mark.parametrize(
    ("limit", "assigned", "partitions", "mine"),
    [
        (20, 12, 12, 20),  # alone
        (20, 6, 12, 10),
        (20, 4, 12, 6),  # rounded down: never more than the limit together
        (20, 0, 12, 0),
        (2, 1, 12, 1),  # at least one, or its partitions would stand still
        (1, 12, 12, 1),
    ],
)
def test_share(limit: int, assigned: int, partitions: int, mine: int) -> None:
    """A process takes its part of the limit by its part of the partitions, and at least one."""
    assert share(limit, assigned, partitions) == mine


async def start(limiter: Limiter, count: int, order: list[int]) -> list[asyncio.Task[None]]:
    async def enter(number: int) -> None:
        await limiter.acquire()
        order.append(number)

    tasks = [asyncio.create_task(enter(number)) for number in range(count)]
    await settle()
    return tasks


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_first_come_first_served() -> None:
    """Permits go out in the order they were asked for, never more than the limit at once."""
    limiter, order = Limiter(2), list[int]()
    await start(limiter, 5, order)
    assert (order, limiter.in_flight, limiter.waiting) == ([0, 1], 2, 3)
    for expected in ([0, 1, 2], [0, 1, 2, 3], [0, 1, 2, 3, 4]):
        limiter.release()
        await settle()
        assert order == expected
        assert limiter.in_flight == 2


async def test_resize() -> None:
    """A higher limit lets those in who wait; a lower one lets nobody in until enough are out."""
    limiter, order = Limiter(0), list[int]()
    await start(limiter, 4, order)
    assert order == []
    limiter.resize(3)
    await settle()
    assert order == [0, 1, 2]
    limiter.resize(1)
    limiter.release()
    limiter.release()
    await settle()
    assert (order, limiter.in_flight) == ([0, 1, 2], 1)
    limiter.release()
    await settle()
    assert order == [0, 1, 2, 3]


async def test_during_a_pause_everybody_waits() -> None:
    """Whoever comes, and whatever comes back or is allowed; then the first in the queue go on."""
    limiter, order = Limiter(1), list[int]()
    limiter.pause(0)
    limiter.pause(3600)
    tasks = await start(limiter, 2, order)
    limiter.resize(2)
    await settle()
    assert order == []
    limiter.end_pause()
    await settle()
    assert order == [0, 1]
    await asyncio.gather(*tasks)


async def test_a_pause_ends_by_itself() -> None:
    """By the event loop's clock."""
    limiter, order = Limiter(1), list[int]()
    limiter.pause(0)
    (task,) = await start(limiter, 1, order)
    await task
    assert limiter.in_flight == 1


async def test_cancelled_while_waiting() -> None:
    """Who is cancelled in the queue leaves it, and the next one gets the permit."""
    limiter, order = Limiter(1), list[int]()
    tasks = await start(limiter, 3, order)
    tasks[1].cancel()
    await settle()
    assert limiter.waiting == 1
    limiter.release()
    await settle()
    assert order == [0, 2]


@pytest.mark.parametrize("granted_first", [True, False])
async def test_cancelled_at_the_moment_of_the_permit(*, granted_first: bool) -> None:
    """A permit given to a task that is cancelled in the same instant is not lost."""
    limiter, order = Limiter(1), list[int]()
    tasks = await start(limiter, 3, order)
    if granted_first:
        limiter.release()
        tasks[1].cancel()
    else:
        tasks[1].cancel()
        limiter.release()
    await settle()
    assert order == [0, 2]
    assert limiter.in_flight == 1


@pytest.mark.parametrize("seed", range(20))
async def test_no_permit_is_lost_or_made(seed: int) -> None:
    """Over any mix of asking, giving back, cancelling and resizing, the count stays right."""
    chance, limiter = random.Random(seed), Limiter(3)
    held, tasks = [0], set[asyncio.Task[None]]()

    async def hold(rounds: int) -> None:
        await limiter.acquire()
        held[0] += 1
        try:
            for _ in range(rounds):
                await asyncio.sleep(0)
        finally:
            held[0] -= 1
            limiter.release()

    for _ in range(300):
        match chance.randrange(4):
            case 0 if tasks:
                chance.choice(list(tasks)).cancel()
            case 1:
                limiter.resize(chance.randrange(5))
            case _:
                task = asyncio.create_task(hold(chance.randrange(4)))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
        if chance.random() < 0.5:
            await asyncio.sleep(0)
    limiter.resize(2)
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (held[0], limiter.in_flight, limiter.waiting) == (0, 0, 0)
