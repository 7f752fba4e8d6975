from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import permutations
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from services.contracts.messages import Message
from services.contracts.packages import Package
from services.results.records import Taken
from services.results.rows import Folded, Place
from services.results.store import Move, Partition, StalePlaceError, Store, UnstorableError
from services.runtime.database import Pool
from tests.integration.results.made import (
    AT,
    JOB,
    LATER,
    answer,
    letter,
    moves,
    rejected,
    request,
    result,
    taken,
)

TABLES = (
    "jobs",
    "requests",
    "answers",
    "history",
    "rejected",
    "dead_letters",
    "job_counts",
    "stored_offsets",
)


async def everything(pool: Pool) -> dict[str, list[tuple[Any, ...]]]:
    found = {}
    for table in TABLES:
        rows = await pool.fetch(f"TABLE {table} ORDER BY 1, 2, 3")
        found[table] = [tuple(row) for row in rows]
    return found


async def write(store: Store, records: Sequence[Taken]) -> Folded:
    return await store.write(records, moves(records))


async def counters(pool: Pool) -> dict[str, int]:
    rows = await pool.fetch("SELECT state, n FROM job_counts WHERE job_id = $1 AND n != 0", JOB)
    return {row["state"]: row["n"] for row in rows}


async def counted(pool: Pool) -> dict[str, int]:
    rows = await pool.fetch("SELECT state, count(*) AS n FROM requests GROUP BY state")
    return {row["state"]: row["n"] for row in rows}


async def test_a_contact_is_kept_whole(store: Store, pool: Pool) -> None:
    """A request's row holds all that its record said."""
    await write(store, taken("contacts", request()))
    row = await pool.fetchrow("SELECT * FROM requests")
    assert row is not None
    assert (row["request_id"], row["job_id"], row["phone"]) == (UUID(int=1), JOB, "+14155550001")
    assert (row["packages"], row["reference"]) == (["basic", "caller_name"], "client 1")
    assert (row["row_number"], row["column_name"], row["accepted_at"]) == (2, "phone", AT)
    assert (row["fresh_for"], row["answers"]) == ({"caller_name": 60.0}, {})
    assert (row["state"], row["generation"], row["turn"]) == ("pending", 0, 1)


async def test_awkward_texts_come_back_as_they_were(store: Store, pool: Pool) -> None:
    """Quotes, backslashes and braces in causes and references are kept as they are."""
    awkward = 'a "b" \\ {c,d} \N{HONEYBEE} NULL'
    await write(store, taken("lookup.parked", request(reference=awkward, waits_for=(awkward,))))
    row = await pool.fetchrow("SELECT reference, causes FROM requests")
    assert row is not None
    assert (row["reference"], row["causes"]) == (awkward, [awkward])


async def test_a_whole_life_ends_with_totals_that_add_up(store: Store, pool: Pool) -> None:
    """After every kind of outcome the counters equal a count of the rows, and history tells all."""
    batches = [
        taken("contacts", *(request(n) for n in range(1, 6))),
        taken("lookup.retry.15s", request(1, turn=2, attempts=1, failing_since=AT)),
        taken("lookup.parked", request(2, waits_for=("account:main:person",))),
        taken("lookup.results", result(3), result(4, state="invalid")),
        taken("lookup.dead-letters", letter(5)),
        taken("contacts.rejected", rejected(1), rejected(2)),
    ]
    for batch in batches:
        await write(store, batch)
    states = {"retrying": 1, "parked": 1, "completed": 1, "invalid": 1, "dead": 1}
    assert await counted(pool) == states
    assert await counters(pool) == states | {"rejected": 2}
    assert await pool.fetchval("SELECT count(*) FROM history") == 10
    told = await pool.fetch(
        "SELECT from_state, to_state FROM history WHERE request_id = $1 ORDER BY from_state",
        UUID(int=1),
    )
    assert [tuple(row) for row in told] == [("pending", "retrying"), (None, "pending")]


async def test_a_job_that_nobody_uploaded_stands(store: Store, pool: Pool) -> None:
    """A contact of a job without a row makes a standing one; a job that is there is left alone."""
    await write(store, taken("contacts", request()))
    await write(store, taken("contacts", request(2, source="other"), first=1))
    jobs = await pool.fetch("SELECT job_id, source, state, account, packages FROM jobs")
    assert [tuple(job) for job in jobs] == [
        (JOB, "tests", "standing", "main", ["basic", "caller_name"])
    ]


async def test_a_batch_applied_twice_changes_nothing(store: Store, pool: Pool) -> None:
    """The second of two equal batches finds the place moved, and stores nothing."""
    batch = taken("lookup.results", result(1), result(2)) + taken("contacts.rejected", rejected())
    await write(store, batch)
    before = await everything(pool)
    with pytest.raises(StalePlaceError):
        await write(store, batch)
    assert await everything(pool) == before


async def test_records_that_come_again_at_later_offsets_change_nothing(
    store: Store, pool: Pool
) -> None:
    """What a producer appended twice counts once."""
    for first in (0, 2):
        await write(store, taken("contacts", request(1), request(2), first=first))
        await write(store, taken("contacts.rejected", rejected(1), rejected(2), first=first))
        await write(store, taken("lookup.dead-letters", letter(3), letter(3), first=first))
    assert await counters(pool) == {"pending": 2, "dead": 1, "rejected": 2}
    assert await pool.fetchval("SELECT count(*) FROM history") == 3
    assert await pool.fetchval("SELECT count(*) FROM dead_letters") == 1


@pytest.mark.parametrize("expected", [0, 2])
async def test_a_stale_writer_is_refused(store: Store, pool: Pool, expected: int) -> None:
    """Whoever starts from another place than the stored one, behind or ahead, stores nothing."""
    await write(store, taken("contacts", request()))
    before = await everything(pool)
    with pytest.raises(StalePlaceError):
        await store.write(
            taken("contacts", request(2), first=expected),
            {("contacts", 0): Move(expected, expected + 1)},
        )
    assert await everything(pool) == before


async def test_one_stale_partition_stores_none(store: Store, pool: Pool) -> None:
    """A batch over several partitions is stored whole or not at all."""
    await write(store, taken("contacts", request()))
    before = await everything(pool)
    batch = taken("contacts", request()) + taken("lookup.results", result())
    with pytest.raises(StalePlaceError):
        await write(store, batch)
    assert await everything(pool) == before


async def test_a_failing_transaction_leaves_nothing(store: Store, pool: Pool) -> None:
    """When the last statement fails, neither rows nor the place are kept."""
    before = await everything(pool)
    too_large = rejected().model_copy(update={"row": 2**80})
    hostile = Taken(Place("contacts.rejected", 0, 0, AT), too_large)
    batch = [*taken("contacts", request()), hostile]
    with pytest.raises(UnstorableError):
        await write(store, batch)
    assert await everything(pool) == before


async def test_a_new_partition_begins_at_the_logs_start(store: Store) -> None:
    """A partition without a place gets the log's start as one; what has a place keeps it."""
    fresh: Partition = ("contacts", 5)
    assert await store.places({fresh: 42}) == {fresh: 42}
    assert await store.places({fresh: 99, ("contacts", 0): 7}) == {fresh: 42, ("contacts", 0): 0}


async def test_of_a_numbers_answers_the_newest_stands(store: Store, pool: Pool) -> None:
    """The number's answer goes by lookup time, not by which batch came last."""
    refused = answer(status="failed", permanent=True)
    new = {Package.BASIC: answer(looked_up_at=LATER), Package.CALLER_NAME: refused}
    old = {Package.BASIC: answer(), Package.CALLER_NAME: answer(status="exhausted")}
    stored = await write(store, taken("lookup.results", result(1, answers=new)))
    assert sorted(stored.answered) == [AT, LATER]
    stored = await write(store, taken("lookup.results", result(1, turn=2, answers=old), first=1))
    assert stored.answered == []  # what was there already does not count as new
    rows = await pool.fetch("SELECT package, looked_up_at, answer FROM answers ORDER BY package")
    assert [(r["package"], r["looked_up_at"], r["answer"]["status"]) for r in rows] == [
        ("basic", LATER, "ok"),
        ("caller_name", AT, "failed"),
    ]


async def test_an_unreadable_dead_letter_is_kept_as_bytes(store: Store, pool: Pool) -> None:
    """What cannot be read of the dead letters is stored as it is, and concerns no request."""
    await write(store, taken("lookup.dead-letters", b"\xff garbage"))
    row = await pool.fetchrow("SELECT reason, value, dead_letter_id FROM dead_letters")
    assert row is not None
    assert tuple(row)[:2] == ("undecodable", b"\xff garbage")
    assert await counted(pool) == {}


async def test_a_topic_that_was_made_anew_is_stored_from_its_start(
    store: Store, pool: Pool
) -> None:
    """With the place set back, other records at the offsets of before are stored like any."""
    await write(store, taken("contacts", request(1)))
    await write(store, taken("lookup.dead-letters", letter(2), b"garbage 1"))
    await pool.execute("UPDATE stored_offsets SET next_offset = 0")
    await write(store, taken("contacts", request(3)))
    await write(store, taken("lookup.dead-letters", letter(4), b"garbage 2"))
    assert await counters(pool) == {"pending": 2, "dead": 2}
    assert await pool.fetchval("SELECT count(*) FROM history") == 4
    kept = await pool.fetch("SELECT value FROM dead_letters WHERE reason = 'undecodable'")
    assert {row["value"] for row in kept} == {b"garbage 1", b"garbage 2"}
    assert await pool.fetchval("SELECT count(*) FROM dead_letters") == 4


async def test_topics_may_be_read_in_any_order(store: Store, pool: Pool) -> None:
    """However the topics of one request come, the row and the counters end alike."""
    topics = ("contacts", "lookup.due", "lookup.retry.15s", "lookup.results")
    orders = list(permutations(topics))
    for number, order in enumerate(orders):
        life: dict[str, Message] = {
            "contacts": request(number),
            "lookup.due": request(number, turn=2, attempts=1),
            "lookup.retry.15s": request(number, turn=2, attempts=1),
            "lookup.results": result(number, turn=2),
        }
        for topic in order:
            await write(store, taken(topic, life[topic], first=number))
    assert await counters(pool) == {"completed": len(orders)}
    rows = await pool.fetch("SELECT state, turn, reference, answers FROM requests")
    assert {(row["state"], row["turn"], *row["answers"]) for row in rows} == {
        ("completed", 2, "basic")
    }
    assert {row["reference"] for row in rows} == {f"client {n}" for n in range(len(orders))}


async def test_two_processes_meet_at_new_requests(store: Store, pool: Pool) -> None:
    """Two that store different topics of the same new requests at once lose nothing of either."""
    count = 300
    put = taken("contacts", *(request(n) for n in range(count)))
    due = taken("lookup.retry.15s", *(request(n, turn=2, attempts=1) for n in range(count)))
    ends = taken("lookup.results", *(result(n) for n in reversed(range(count))))
    chunks = [
        batch[start : start + 30] for start in range(0, count, 30) for batch in (put, due, ends)
    ]

    async def one(topic: str) -> None:
        for chunk in chunks:
            if chunk[0].place.topic == topic:
                await patiently(store, chunk)

    await asyncio.gather(one("contacts"), one("lookup.retry.15s"), one("lookup.results"))
    assert await counted(pool) == {"completed": count}
    assert await counters(pool) == {"completed": count}
    assert await pool.fetchval("SELECT count(*) FROM requests WHERE answers ? 'basic'") == count


async def test_one_of_two_waits_for_the_others_new_row(
    store: Store, pool: Pool, postgres: str
) -> None:
    """The second to add a request decides again from the row that the first has committed."""
    administrator = await asyncpg.connect(postgres)
    try:
        async with administrator.transaction():
            # Holds up the first writer at its last statement, its row already inserted.
            await administrator.execute("LOCK TABLE job_counts IN ACCESS EXCLUSIVE MODE")
            first = asyncio.create_task(write(store, taken("lookup.results", result())))
            await waiting(administrator, 1)
            second = asyncio.create_task(write(store, taken("contacts", request())))
            await waiting(administrator, 2)
        await asyncio.gather(first, second)
    finally:
        await administrator.close()
    assert await counters(pool) == {"completed": 1}
    assert await pool.fetchval("SELECT state FROM requests") == "completed"


async def test_two_processes_meet_at_a_stored_request(
    store: Store, pool: Pool, postgres: str
) -> None:
    """The second reads the row only once the first has written it, and decides from that."""
    await write(store, taken("contacts", request()))
    administrator = await asyncpg.connect(postgres)
    try:
        async with administrator.transaction():
            # Holds up the first writer at its last statement, its row already written.
            await administrator.execute("LOCK TABLE job_counts IN ACCESS EXCLUSIVE MODE")
            first = asyncio.create_task(write(store, taken("lookup.results", result())))
            await waiting(administrator, 1)
            late = taken("lookup.retry.15s", request(turn=2, attempts=1))
            second = asyncio.create_task(write(store, late))
            await waiting(administrator, 2)
        await asyncio.gather(first, second)
    finally:
        await administrator.close()
    assert await pool.fetchval("SELECT state FROM requests") == "completed"
    assert await counters(pool) == {"completed": 1}


async def waiting(connection: asyncpg.Connection, count: int) -> None:
    """Until so many sessions of the database wait for a lock."""
    query = (
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    while True:
        await connection.execute("SELECT pg_stat_clear_snapshot()")
        if await connection.fetchval(query) >= count:
            return


async def patiently(store: Store, records: Sequence[Taken]) -> None:
    """As the writer does: a deadlock with another writer is tried again."""
    while True:
        try:
            await write(store, records)
        except asyncpg.DeadlockDetectedError:
            continue
        return
