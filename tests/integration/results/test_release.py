from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from services.contracts.codec import decode
from services.contracts.messages import ControlState, LookupRequest
from services.contracts.packages import Package
from services.contracts.turns import Row, State
from services.results import release as release_module
from services.results.control import Holds
from services.results.release import Releaser, release
from services.results.rows import Progress
from services.results.store import Store
from services.runtime.database import Pool
from services.runtime.kafka import Publisher, make_consumer, partition_of
from services.runtime.kafka_topics import check_topics
from services.runtime.settings import ProgramSettings
from tests.integration.results.made import AT, JOB, answer, moves, request, result, taken

PERSON = "account:main:person"
REFUSED = "account:main:refused"
PARTITIONS = 2
Appended = Callable[[int], Awaitable[list[LookupRequest]]]


@pytest.fixture
async def settings(kafka: str, topic_prefix: str) -> ProgramSettings:
    made = ProgramSettings(
        kafka_bootstrap_servers=kafka, kafka_topic_prefix=topic_prefix, kafka_partitions=PARTITIONS
    )
    await check_topics(made)
    return made


@pytest.fixture
async def publisher(settings: ProgramSettings) -> AsyncIterator[Publisher]:
    made = Publisher(settings)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def appended(settings: ProgramSettings) -> AsyncIterator[Appended]:
    """Reads so many requests from `lookup.due`."""
    consumer = make_consumer(settings, settings.topics.due.name)
    await consumer.start()

    async def read(count: int) -> list[LookupRequest]:
        found = []
        for _ in range(count):
            record = await consumer.getone()
            assert record.partition == partition_of(record.key, PARTITIONS)
            found.append(decode(record.value, LookupRequest))
        return found

    yield read
    await consumer.stop()


@pytest.fixture
def held() -> set[str]:
    """What is held in the test; its own to change."""
    return {PERSON}


@pytest.fixture
def releaser(
    pool: Pool, publisher: Publisher, settings: ProgramSettings, held: set[str]
) -> Releaser:
    return another(pool, publisher, settings, held)


def another(
    pool: Pool, publisher: Publisher, settings: ProgramSettings, held: set[str]
) -> Releaser:
    return Releaser(
        pool=pool,
        publisher=publisher,
        topic=settings.topics.due.name,
        partitions=PARTITIONS,
        held=lambda: frozenset(held),
    )


async def park(store: Store, *requests: LookupRequest, first: int = 0) -> None:
    records = taken("lookup.parked", *requests, first=first)
    await store.write(records, moves(records))


async def row(pool: Pool, number: int = 1) -> dict[str, Any]:
    found = await pool.fetchrow("SELECT * FROM requests WHERE request_id = $1", UUID(int=number))
    assert found is not None
    return dict(found)


async def counters(pool: Pool) -> dict[str, int]:
    rows = await pool.fetch("SELECT state, n FROM job_counts WHERE job_id = $1 AND n != 0", JOB)
    return {found["state"]: found["n"] for found in rows}


async def test_what_is_held_stays_and_what_is_not_goes(
    store: Store, pool: Pool, releaser: Releaser, held: set[str], appended: Appended
) -> None:
    """A request goes back, in its next turn and whole, once the last of its causes is gone."""
    kept = {Package.BASIC: answer()}
    parked = request(turn=3, attempts=2, last_error="20500", answers=kept, waits_for=(PERSON,))
    parked = parked.model_copy(update={"extra": {"Note": '=1+1 "Zoë"', "A": ""}})
    await park(store, parked)
    assert await releaser.sweep() == 0
    assert (await row(pool))["state"] == "parked"

    held.clear()
    assert await releaser.sweep() == 1
    assert await appended(1) == [parked.model_copy(update={"turn": 4, "waits_for": ()})]
    now = await row(pool)
    assert (now["state"], now["turn"], now["causes"]) == ("pending", 4, [])
    assert await counters(pool) == {"pending": 1}
    assert await releaser.sweep() == 0


@pytest.mark.parametrize(
    ("causes", "still_held"),
    [
        ((PERSON, REFUSED), REFUSED),
        ((PERSON,), REFUSED),
        ((PERSON,), f"job:{JOB}:person"),
        (("account:main:package:caller_name",), "account:main:package:caller_name"),
    ],
)
async def test_nothing_goes_while_anything_holds_it(
    store: Store,
    releaser: Releaser,
    held: set[str],
    causes: tuple[str, ...],
    still_held: str,
) -> None:
    """A request stays while one of its causes is set, or another that holds its account or job."""
    await park(store, request(waits_for=causes))
    held.clear()
    held.add(still_held)
    assert await releaser.sweep() == 0


@pytest.mark.parametrize(
    "other",
    [
        "account:other:person",
        "job:00000000-0000-0000-0000-000000000009:person",
        "account:main:package:caller_name",
    ],
)
async def test_holds_of_others_hold_nothing(
    store: Store, releaser: Releaser, held: set[str], appended: Appended, other: str
) -> None:
    """A hold of another account, another job, or a package it did not wait for, is none."""
    await park(store, request(waits_for=(PERSON,)))
    held.clear()
    held.add(other)
    assert await releaser.sweep() == 1
    assert len(await appended(1)) == 1


async def test_a_kill_before_the_append_loses_nothing(
    store: Store, pool: Pool, releaser: Releaser, held: set[str], appended: Appended
) -> None:
    """A row left releasing is appended at the next start, with the turn it was given."""
    held.clear()
    await park(store, request(waits_for=(PERSON,)))
    (begun,) = await releaser.begin()
    assert (await row(pool))["state"] == "releasing"
    assert await counters(pool) == {"releasing": 1}

    assert await releaser.append_again(0) == 1
    assert await appended(1) == [begun.request]
    assert begun.request.turn == 2
    assert (await row(pool))["state"] == "pending"


async def test_a_kill_after_the_append_appends_the_same_turn_again(
    store: Store, pool: Pool, releaser: Releaser, held: set[str], appended: Appended
) -> None:
    """What was appended before the kill comes twice, both in one turn, so lookup drops one."""
    held.clear()
    await park(store, request(waits_for=(PERSON,)))
    page = await releaser.begin()
    await releaser.append(page)

    assert await releaser.append_again(0) == 1
    first, second = await appended(2)
    assert first == second
    assert (await row(pool))["turn"] == 2
    assert await counters(pool) == {"pending": 1}


async def test_a_start_goes_over_what_a_kill_left_releasing(
    store: Store, releaser: Releaser, held: set[str], appended: Appended
) -> None:
    """Before anything else is released; both are of one number, and so in one partition."""
    held.clear()
    await park(store, request(waits_for=(PERSON,)))
    await releaser.begin()
    await park(store, request(2, phone=request().phone, waits_for=(PERSON,)), first=1)
    running = asyncio.create_task(releaser.run())
    try:
        assert [found.request_id.int for found in await appended(2)] == [1, 2]
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_row_that_somebody_is_at_work_on_is_left(
    store: Store, releaser: Releaser, held: set[str]
) -> None:
    """While another process may be between two steps, its rows are not appended again."""
    held.clear()
    await park(store, request(waits_for=(PERSON,)))
    await releaser.begin()
    assert await releaser.append_again(60) == 0


async def test_the_last_step_leaves_what_has_changed(
    store: Store, pool: Pool, releaser: Releaser, held: set[str]
) -> None:
    """A result that is stored between the steps stays; nothing goes back to pending."""
    held.clear()
    await park(store, request(waits_for=(PERSON,)))
    page = await releaser.begin()
    await releaser.append(page)
    records = taken("lookup.results", result(turn=2))
    await store.write(records, moves(records))
    await releaser.finish(page)
    assert (await row(pool))["state"] == "completed"
    assert await counters(pool) == {"completed": 1}


async def test_the_appended_record_may_be_stored_first(
    store: Store, pool: Pool, releaser: Releaser, held: set[str]
) -> None:
    """When the writer reads the record before the last step, it counts once."""
    held.clear()
    await park(store, request(waits_for=(PERSON,)))
    page = await releaser.begin()
    records = taken("lookup.due", page[0].request)
    await store.write(records, moves(records))
    await releaser.finish(page)
    assert (await row(pool))["state"] == "pending"
    assert await counters(pool) == {"pending": 1}


async def test_two_processes_release_each_request_once(
    store: Store,
    pool: Pool,
    publisher: Publisher,
    settings: ProgramSettings,
    held: set[str],
    appended: Appended,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two that sweep at once, in pages, share the requests between them."""
    monkeypatch.setattr(release_module, "PAGE", 7)
    held.clear()
    await park(store, *(request(n, waits_for=(PERSON,)) for n in range(1, 101)))
    both = [another(pool, publisher, settings, held) for _ in range(2)]
    await asyncio.gather(*(one.sweep() for one in both))
    await both[0].sweep()
    ids = sorted(found.request_id for found in await appended(100))
    assert ids == [UUID(int=n) for n in range(1, 101)]
    assert await counters(pool) == {"pending": 100}


async def test_a_change_of_what_is_held_wakes_it(
    store: Store, releaser: Releaser, held: set[str], appended: Appended
) -> None:
    """Once running, it releases when woken, and when what was parked late is held by nothing."""
    await park(store, request(waits_for=(PERSON,)))
    running = asyncio.create_task(releaser.run())
    try:
        held.clear()
        releaser.wake()
        assert [found.request_id for found in await appended(1)] == [UUID(int=1)]
        await park(store, request(2, waits_for=(PERSON,)), first=1)
        releaser.on_parked({frozenset({PERSON})})
        assert [found.request_id for found in await appended(1)] == [UUID(int=2)]
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def test_age_leaves_out_the_time_parked() -> None:
    """The first failure moves on by the time parked, and never back."""
    failing, parked_at = AT, AT + timedelta(minutes=1)
    parked = Progress(JOB, Row(State.PARKED), failing_since=failing, parked_at=parked_at)
    later = release(parked, parked_at + timedelta(hours=2))
    assert later.failing_since == failing + timedelta(hours=2)
    assert release(parked, parked_at - timedelta(hours=2)).failing_since == failing
    assert release(Progress(JOB, Row(State.PARKED)), AT).failing_since is None


def test_only_what_is_parked_can_be_released() -> None:
    """To release anything else is a fault of the caller's."""
    with pytest.raises(ValueError, match="pending"):
        release(Progress(JOB, Row(State.PENDING)), AT)


async def test_holds_end_as_last_said(pool: Pool) -> None:
    """The table shows each key's last state, however often it changed in between."""
    holds = Holds(pool)

    def state(key: str, *, on: bool) -> ControlState:
        return ControlState(key=key, held=on, why="test", by="me", at=datetime.now(UTC))

    await holds.note(state(PERSON, on=True))
    await holds.write()
    await holds.note(state(PERSON, on=False))
    await holds.note(state(REFUSED, on=True))
    await asyncio.gather(holds.write(), holds.write())
    rows = await pool.fetch("SELECT key, held FROM holds ORDER BY key")
    assert [tuple(found) for found in rows] == [(PERSON, False), (REFUSED, True)]


async def test_a_hold_with_a_nul_keeps_no_other_back(pool: Pool) -> None:
    """What PostgreSQL cannot keep is replaced, and the rest is written as it is."""
    holds = Holds(pool)
    for key, why in ((PERSON, "a\0b"), (REFUSED, "test")):
        await holds.note(ControlState(key=key, held=True, why=why, by="me", at=AT))
    await holds.write()
    rows = await pool.fetch("SELECT key, why FROM holds ORDER BY key")
    assert [tuple(found) for found in rows] == [(PERSON, "a\ufffdb"), (REFUSED, "test")]
