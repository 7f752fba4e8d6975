import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from services.ingest import ids
from services.ingest.jobs import Counts, Jobs, NewJob
from services.ingest.options import Options
from services.ingest.publisher import FilePublisher
from services.ingest.settings import IngestSettings
from services.ingest.spool import Spool
from services.ingest.submissions import BusyError, ConflictError, StalledError, Submissions, Upload
from services.runtime.database import open_pool
from services.runtime.health import Readiness
from services.runtime.kafka import ProduceError
from services.runtime.program import Stop

COUNTS = Counts(accepted=2, rejected=1, duplicates=0)


class _HeldPublisher(FilePublisher):
    """A publisher whose Kafka acknowledges when the test lets it."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.acknowledged = asyncio.Event()
        self.refused = False

    async def publish(self, *_: object) -> Counts:
        """Wait for the test."""
        self.begun.set()
        await self.acknowledged.wait()
        if self.refused:
            raise ProduceError("no")
        return COUNTS


def _never(fault: BaseException) -> None:
    raise AssertionError from fault


@pytest.fixture
async def jobs(settings: IngestSettings) -> AsyncIterator[Jobs]:
    """Jobs, as the program's own role."""
    pool = await open_pool(settings, "ingest", Readiness(), Stop())
    yield Jobs(pool)
    await pool.close()


@pytest.fixture
def spool(settings: IngestSettings) -> Spool:
    """Room for a few uploads."""
    return Spool(settings.spool_directory, 10_000, 1_000)


async def _upload(
    spool: Spool,
    content: bytes = b"Phone\n+12025550123\n",
    job: UUID = ids.job_id("shop", "monday"),  # noqa: B008 - it is always the same
) -> Upload:
    async def stream() -> AsyncIterator[bytes]:
        yield content

    file = spool.open(0)
    await file.fill(stream())
    made = NewJob(
        job_id=job,
        source="shop",
        idempotency_key="monday",
        fingerprint=ids.content_key(file.sha256, {}),
        content_sha256=file.sha256,
        file_name=None,
        account="default",
        packages=(),
        options={},
    )
    return Upload(made, Options(), 0.0, file)


async def test_a_stall_ends_the_waiting_and_not_the_publishing(
    jobs: Jobs, spool: Spool, database: asyncpg.Connection
) -> None:
    """A sender is told to come back; coming back joins what goes on, and gets its end."""
    publisher = _HeldPublisher()
    submissions = Submissions(jobs, publisher, 4, _never)
    first = submissions.submit(await _upload(spool))
    await publisher.begun.wait()
    with pytest.raises(StalledError):
        await first.wait(0.01)
    assert await database.fetchval("SELECT state FROM jobs") == "receiving"
    again = submissions.submit(await _upload(spool))
    publisher.acknowledged.set()
    sealed = await again.wait(30)
    assert (again is first, sealed.counts, sealed.published) == (True, COUNTS, True)
    assert await database.fetchval("SELECT state FROM jobs") == "sealed"
    spool.open(1_000).close()


async def test_another_file_under_a_key_at_work_is_refused_at_once(
    jobs: Jobs, spool: Spool
) -> None:
    """Nobody waits for a job to end only to be told that it is another one."""
    publisher = _HeldPublisher()
    submissions = Submissions(jobs, publisher, 4, _never)
    first = submissions.submit(await _upload(spool))
    other = await _upload(spool, b"Phone\n+12025550124\n")
    with pytest.raises(ConflictError, match="content"):
        submissions.submit(other)
    publisher.acknowledged.set()
    await first.wait(30)


async def test_so_many_are_taken_at_a_time(
    jobs: Jobs, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One more is turned away and its room given back; the same again joins what is there."""
    monkeypatch.setattr("services.ingest.submissions._TAKEN", 1)
    publisher = _HeldPublisher()
    submissions = Submissions(jobs, publisher, 4, _never)
    submissions.check_room()
    first = submissions.submit(await _upload(spool))
    with pytest.raises(BusyError):
        submissions.check_room()
    with pytest.raises(BusyError):
        submissions.submit(await _upload(spool, job=ids.job_id("shop", "tuesday")))
    assert submissions.submit(await _upload(spool)) is first
    publisher.acknowledged.set()
    await first.wait(30)
    submissions.check_room()
    with spool.open(1_000) as one:
        one.scratch().append(b"x" * 10_000)


async def test_a_drain_takes_nothing_more_and_finishes_what_is_under_way(
    jobs: Jobs, spool: Spool, database: asyncpg.Connection
) -> None:
    """After a stop was asked for, jobs at work are sealed and new ones turned away."""
    publisher = _HeldPublisher()
    submissions = Submissions(jobs, publisher, 4, _never)
    submissions.submit(await _upload(spool))
    await publisher.begun.wait()
    drain = asyncio.create_task(submissions.drain())
    await asyncio.sleep(0)
    with pytest.raises(BusyError):
        submissions.check_room()
    publisher.acknowledged.set()
    await drain
    assert await database.fetchval("SELECT state FROM jobs") == "sealed"


async def test_a_drain_that_is_cut_off_leaves_a_job_to_go_on_with(
    jobs: Jobs, spool: Spool, database: asyncpg.Connection
) -> None:
    """Over the limit the job stays `receiving`, unlocked, and the next process finishes it."""
    publisher = _HeldPublisher()
    submissions = Submissions(jobs, publisher, 4, _never)
    submissions.submit(await _upload(spool))
    await publisher.begun.wait()
    drain = asyncio.create_task(submissions.drain())
    await asyncio.sleep(0)
    drain.cancel()
    await asyncio.gather(drain, return_exceptions=True)
    assert await database.fetchval("SELECT state FROM jobs") == "receiving"
    publisher.acknowledged.set()
    sealed = await Submissions(jobs, publisher, 4, _never).submit(await _upload(spool)).wait(30)
    assert sealed.counts == COUNTS


async def test_a_job_whose_row_was_lost_is_begun_again(
    jobs: Jobs, spool: Spool, database: asyncpg.Connection
) -> None:
    """After a restore from before it, results knows its contacts alone; its file makes it whole."""
    publisher = _HeldPublisher()
    publisher.acknowledged.set()
    submissions = Submissions(jobs, publisher, 4, _never)
    sealed = await submissions.submit(await _upload(spool)).wait(30)
    await database.execute(
        "UPDATE jobs SET state = 'standing', idempotency_key = NULL, fingerprint = NULL, "
        "options = '{}', sealed_at = NULL, accepted = NULL, rejected = NULL, duplicates = NULL"
    )
    again = await submissions.submit(await _upload(spool)).wait(30)
    assert (again.job_id, again.published) == (sealed.job_id, True)
    row = await database.fetchrow("SELECT state, accepted, fingerprint IS NOT NULL FROM jobs")
    assert row is not None
    assert tuple(row) == ("sealed", COUNTS.accepted, True)


async def test_a_final_refusal_of_kafka_ends_the_program(jobs: Jobs, spool: Spool) -> None:
    """What no trying again can mend is told to whoever stops the program."""
    faults: list[Any] = []
    publisher = _HeldPublisher()
    publisher.refused = True
    publisher.acknowledged.set()
    submission = Submissions(jobs, publisher, 4, faults.append).submit(await _upload(spool))
    with pytest.raises(ProduceError):
        await submission.wait(30)
    assert [type(fault) for fault in faults] == [ProduceError]
