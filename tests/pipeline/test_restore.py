"""PostgreSQL lost and Kafka lost, each brought back as docs/operations.md says."""

import asyncio
import shutil
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import asyncpg

from services.local.twilio.config import Account, Latency, SimulatorConfig
from services.local.twilio.faults import Fault
from services.runtime.program import EXIT_FAULT
from tests.pipeline.books import PACKAGE, asked, counters_and_rows, paid_again
from tests.pipeline.harness import GUARD_SECONDS, Pipeline, StartPipeline
from tests.pipeline.operations import type_in

#: Calls in flight, slow enough that something can be done in the middle.
CONCURRENCY = 10
FAULTS = (
    Fault(name="once", kind="http_503", share=0.1, times_per_number=1),
    Fault(name="gone", kind="not_found", share=0.05),
)
SIMULATOR = SimulatorConfig(
    accounts=(
        Account(name="default", sid="SK" + "0" * 32, secret="simulated", concurrency=CONCURRENCY),
    ),
    latency=Latency(median_seconds=0.05),
    faults=FAULTS,
)
SETTINGS = {"RETRY_DELAYS": "300ms,600ms,1s"}
#: All that follows from the records; `updated_at` is when it was stored.
TABLES = {
    "requests": "request_id, job_id, source, account, phone, packages, reference, row_number, "
    "accepted_at, fresh_for, state, generation, turn, attempts, failing_since, last_error, causes, "
    "kept, answers, due_at, parked_at, ended_at",
    "answers": "*",
    "rejected": "*",
    "dead_letters": "*",
    # A state that was passed through, or never, has none.
    "(SELECT * FROM job_counts WHERE n > 0) counts": "*",
    "stored_offsets": "*",
}


async def tables(url: str) -> dict[str, list[str]]:
    """Every row of what results stores, in any order."""
    connection = await asyncpg.connect(url)
    try:
        return {
            table: sorted(
                str(tuple(row))
                for row in await connection.fetch(f"SELECT {columns} FROM {table}")  # noqa: S608 - names of this file's own
            )
            for table, columns in TABLES.items()
        }
    finally:
        await connection.close()


def stored(pipeline: Pipeline) -> dict[str, list[str]]:
    return asyncio.run(tables(pipeline.settings["DATABASE_URL"]))


def different(before: dict[str, list[str]], after: dict[str, list[str]]) -> dict[str, list[str]]:
    """A few rows of each table that are not the same."""
    return {t: sorted(set(before[t]) ^ set(after[t]))[:4] for t in before if before[t] != after[t]}


def environ_of(pipeline: Pipeline) -> dict[str, str]:
    """What the administrator's shell knows: where PostgreSQL is, and the programs' settings."""
    url = urlsplit(pipeline.settings["DATABASE_URL"])
    return {
        **pipeline.settings,
        "PGHOST": str(url.hostname),
        "PGPORT": str(url.port),
        "PGUSER": str(url.username),
        "PGDATABASE": url.path.removeprefix("/"),
    }


def run_to(pipeline: Pipeline, job: str, finished: int) -> None:
    pipeline.wait_until(f"{finished} are finished", lambda: pipeline.finished(job) >= finished)


def state_of(pipeline: Pipeline, job: str) -> Any:
    return pipeline.job(job)["state"]


def answered(numbers: Iterable[str]) -> set[str]:
    """Those that the simulator has, so that they are paid."""
    gone = FAULTS[1]
    return {number for number in numbers if not gone.strikes(number, "default", (PACKAGE,), 0)}


def test_postgresql_is_restored_from_before(start_pipeline: StartPipeline) -> None:
    """From an old dump every row comes out as it was, 0 paid again; a lost upload is sent again."""
    pipeline = start_pipeline(simulator=SIMULATOR, settings=SETTINGS, own=("postgres",))
    postgres = pipeline.stack.postgres
    assert postgres is not None
    numbers = pipeline.numbers(900)
    first = pipeline.submit([*numbers[:600], "12"], packages=PACKAGE)
    run_to(pipeline, first, 150)
    type_in("Back up PostgreSQL", pipeline.stack.directory, environ_of(pipeline))
    second = pipeline.submit(numbers[600:], packages=PACKAGE, key="second")
    for job in (first, second):
        pipeline.wait_complete(job)
    before = stored(pipeline)

    postgres.kill()
    shutil.rmtree(postgres.directory / "data")
    for program in pipeline.stack.programs.values():
        program.stop()
    postgres.start()
    type_in("PostgreSQL is lost", pipeline.stack.directory, environ_of(pipeline))
    assert stored(pipeline) != before
    pipeline.stack.start_programs()

    pipeline.wait_until(
        "all of Kafka is read again",
        lambda: stored(pipeline) == before,
        explain=lambda: different(before, stored(pipeline)),
    )
    assert pipeline.job(first)["complete"]
    # Its row was no record of Kafka's. Its file makes it again, and changes nothing else.
    assert state_of(pipeline, second) == "standing"
    assert pipeline.submit(numbers[600:], packages=PACKAGE, key="second") == second
    pipeline.wait_complete(second)
    # Its records were appended once more, so only the places are others.
    assert different(before, stored(pipeline)).keys() == {"stored_offsets"}
    assert paid_again(pipeline.calls()) == 0
    assert asked(pipeline.calls()) == answered(numbers)


def test_kafka_is_lost(start_pipeline: StartPipeline) -> None:
    """What PostgreSQL knew goes on, 0 of it paid again; the totals name the rest, sent again."""
    pipeline = start_pipeline(simulator=SIMULATOR, settings=SETTINGS, own=("kafka",))
    kafka = pipeline.stack.kafka
    url = pipeline.settings["DATABASE_URL"]
    assert kafka is not None
    numbers = pipeline.numbers(900)
    known = pipeline.submit(numbers[:600], packages=PACKAGE, key="known")
    pipeline.wait_until("all of it is stored", lambda: pipeline.job(known)["known"] == 600)
    run_to(pipeline, known, 150)
    pipeline["results"].stop()
    # Nothing of this one is stored before Kafka is gone.
    unknown = pipeline.submit(numbers[600:], packages=PACKAGE, key="unknown")

    kafka.kill()
    for program in pipeline.stack.programs.values():
        if program.running:
            program.kill()
    shutil.rmtree(kafka.directory / "data")
    kafka.start()
    answers = sum(PACKAGE in call.answered for call in pipeline.calls())
    kept = asyncio.run(counters_and_rows(url, known))[1]
    assert kept["pending"]

    pipeline["results"].start()
    assert pipeline["results"].wait_ended(GUARD_SECONDS) == EXIT_FAULT
    assert "the next record to store is" in pipeline["results"].log.read_text(encoding="utf-8")
    told = type_in("Kafka is lost", pipeline.stack.directory, environ_of(pipeline))
    assert unknown in told[-1]
    assert known not in told[-1]
    pipeline.stack.start_programs()

    pipeline.wait_complete(known)
    counters, rows = asyncio.run(counters_and_rows(url, known))
    assert counters == rows
    assert sum(rows.values()) == 600
    assert pipeline.submit(numbers[600:], packages=PACKAGE, key="unknown") == unknown
    pipeline.wait_complete(unknown)
    counters, rows = asyncio.run(counters_and_rows(url, unknown))
    assert counters == rows
    assert rows.keys() == {"completed", "dead"}
    assert sum(rows.values()) == 300
    assert asked(pipeline.calls()) == answered(numbers)
    # Answers that nobody had stored went with Kafka. They are paid again, and no others.
    assert paid_again(pipeline.calls()) == answers - kept["completed"] > 0
