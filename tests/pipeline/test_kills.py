"""Programs killed and stopped in mid-run: nothing lost, nothing paid twice but what was out."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError

from services.cli.exits import UNAVAILABLE
from services.local.twilio.config import Account, Latency, SimulatorConfig
from services.local.twilio.faults import Fault
from tests.pipeline.books import PACKAGE, asked, assert_whole, counters_and_rows, paid_again
from tests.pipeline.harness import GUARD_SECONDS, TOKEN, Pipeline, StartPipeline

COMMAND = (sys.executable, "-c", "import sys; from services.cli import main; sys.exit(main())")
CONCURRENCY = 20
#: Each of two workers has half of the partitions, and so half of the limit.
SHARE = CONCURRENCY // 2


def simulator(*faults: Fault, median_seconds: float = 0.05) -> SimulatorConfig:
    return SimulatorConfig(
        accounts=(
            Account(
                name="default", sid="SK" + "0" * 32, secret="simulated", concurrency=CONCURRENCY
            ),
        ),
        latency=Latency(median_seconds=median_seconds),
        faults=faults,
    )


def run_to(pipeline: Pipeline, job: str, finished: int) -> None:
    pipeline.wait_until(f"{finished} are finished", lambda: pipeline.finished(job) >= finished)


def test_a_killed_and_a_stopped_worker_lose_nothing(start_pipeline: StartPipeline) -> None:
    """Kill -9 of a worker and SIGTERM of the other: 0 lost, repeats at most what the first had out."""
    pipeline = start_pipeline(simulator=simulator())
    numbers = pipeline.numbers(2_000)
    job = pipeline.submit(numbers, packages=PACKAGE)

    run_to(pipeline, job, 300)
    pipeline["lookup-1"].kill()
    pipeline["lookup-1"].start()
    run_to(pipeline, job, 900)
    assert pipeline["lookup-2"].stop() == 0
    pipeline["lookup-2"].start()
    pipeline.wait_complete(job)

    assert_whole(pipeline, job, numbers)
    assert paid_again(pipeline.calls()) <= SHARE


def test_stopped_workers_pay_nothing_again(start_pipeline: StartPipeline) -> None:
    """Each worker restarted by SIGTERM in turn: 0 lost, 0 paid again."""
    pipeline = start_pipeline(simulator=simulator())
    numbers = pipeline.numbers(1_500)
    job = pipeline.submit(numbers, packages=PACKAGE)

    for finished, name in [(200, "lookup-1"), (600, "lookup-2")]:
        run_to(pipeline, job, finished)
        assert pipeline[name].stop() == 0
        pipeline[name].start()
    pipeline.wait_complete(job)

    assert_whole(pipeline, job, numbers)
    assert paid_again(pipeline.calls()) == 0


def test_a_frozen_worker_sends_nothing_on_waking(start_pipeline: StartPipeline) -> None:
    """SIGSTOP past the session timeout, then SIGCONT: 0 lost, repeats at most what it had out."""
    pipeline = start_pipeline(simulator=simulator(), settings={"KAFKA_SESSION_TIMEOUT": "6s"})
    numbers = pipeline.numbers(2_500)
    job = pipeline.submit(numbers, packages=PACKAGE)

    run_to(pipeline, job, 300)
    before = pipeline.finished(job)
    pipeline["lookup-1"].signal(signal.SIGSTOP)
    # The other has taken its partitions over once much more is done than was out.
    run_to(pipeline, job, before + 1_000)
    pipeline["lookup-1"].signal(signal.SIGCONT)
    pipeline.wait_complete(job)

    assert_whole(pipeline, job, numbers)
    assert paid_again(pipeline.calls()) <= SHARE


def test_killed_results_keeps_rows_and_counters_exact(start_pipeline: StartPipeline) -> None:
    """Kill -9 of results in mid-run, twice: rows and counters end as if nothing had happened."""
    pipeline = start_pipeline(simulator=simulator(median_seconds=0.02))
    numbers = pipeline.numbers(1_500)
    job = pipeline.submit(numbers, packages=PACKAGE)

    for finished in (200, 700):
        run_to(pipeline, job, finished)
        pipeline["results"].kill()
        pipeline["results"].start()
        pipeline["results"].wait_ready()
    pipeline.wait_complete(job)

    counters, rows = asyncio.run(counters_and_rows(pipeline.settings["DATABASE_URL"], job))
    assert counters == rows == {"completed": 1_500}
    assert_whole(pipeline, job, numbers)
    assert paid_again(pipeline.calls()) == 0


async def rewind(pipeline: Pipeline, topics: list[str]) -> int:
    """Put the scheduler's committed places back to the start; gives the records moved before."""
    prefix = pipeline.settings["KAFKA_TOPIC_PREFIX"]
    consumer = AIOKafkaConsumer(
        bootstrap_servers=pipeline.settings["KAFKA_BOOTSTRAP_SERVERS"],
        group_id=f"{prefix}scheduler",
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        places = [
            TopicPartition(topic, number)
            for topic in topics
            for number in range(int(pipeline.settings["KAFKA_PARTITIONS"]))
        ]
        consumer.assign(places)
        committed = [await consumer.committed(place) for place in places]
        async with asyncio.timeout(GUARD_SECONDS):
            while True:
                try:
                    await consumer.commit(dict.fromkeys(places, 0))
                    break
                except CommitFailedError:
                    await asyncio.sleep(0.5)  # the killed member is still in its group
    finally:
        await consumer.stop()
    return sum(offset or 0 for offset in committed)


def test_a_scheduler_killed_before_its_commit_pays_nothing_twice(
    start_pipeline: StartPipeline,
) -> None:
    """Retries moved to lookup.due and not committed are moved again, and dropped by their turn."""
    fault = Fault(name="once", kind="http_503", times_per_number=1)
    pipeline = start_pipeline(
        simulator=simulator(fault, median_seconds=0.02),
        settings={"RETRY_DELAYS": "300ms,1s,2s"},
    )
    numbers = pipeline.numbers(400)
    job = pipeline.submit(numbers, packages=PACKAGE)

    run_to(pipeline, job, 100)
    pipeline["scheduler"].kill()
    # A commit undone is what a kill between a produce and its commit leaves behind, for all.
    topic = f"{pipeline.settings['KAFKA_TOPIC_PREFIX']}lookup.retry.300ms"
    assert asyncio.run(rewind(pipeline, [topic])) >= 100
    pipeline["scheduler"].start()
    pipeline.wait_complete(job)

    assert_whole(pipeline, job, numbers)
    calls = pipeline.calls()
    assert paid_again(calls) == 0
    assert len(calls) == 2 * len(numbers)


async def contacts_of(pipeline: Pipeline, enough: int | None = None) -> list[tuple[str, int]]:
    """Request and row of each record of `contacts`, up to its end or to so many records."""
    topic = f"{pipeline.settings['KAFKA_TOPIC_PREFIX']}contacts"
    places = [
        TopicPartition(topic, number)
        for number in range(int(pipeline.settings["KAFKA_PARTITIONS"]))
    ]
    consumer = AIOKafkaConsumer(bootstrap_servers=pipeline.settings["KAFKA_BOOTSTRAP_SERVERS"])
    await consumer.start()
    try:
        consumer.assign(places)
        await consumer.seek_to_beginning()
        if enough is None:
            enough = sum((await consumer.end_offsets(places)).values())
        found: list[tuple[str, int]] = []
        async with asyncio.timeout(GUARD_SECONDS):
            while len(found) < enough:
                for records in (await consumer.getmany(timeout_ms=1000)).values():
                    requests = [json.loads(record.value or b"") for record in records]
                    found += [(request["request_id"], request["row"]) for request in requests]
        return found
    finally:
        await consumer.stop()


def submit(pipeline: Pipeline, file: Path) -> subprocess.Popen[bytes]:
    """Run `bulk-lookup submit`; what it prints is JSON."""
    return subprocess.Popen(
        [*COMMAND, "submit", str(file), "--package", PACKAGE, "--json"],
        env=os.environ | {"INGEST_URL": pipeline["ingest"].url, "API_TOKEN": TOKEN},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )


def test_an_upload_goes_on_after_a_kill_of_ingest(
    start_pipeline: StartPipeline, tmp_path: Path
) -> None:
    """Kill -9 of ingest while it publishes; the same command again is the same job, every row once."""
    pipeline = start_pipeline(simulator=simulator(median_seconds=0.01))
    # Long enough to be in the middle of when the first of it is on Kafka.
    rows = pipeline.numbers(4_000) * 4
    file = tmp_path / "contacts.csv"
    file.write_text("\n".join(["phone", *rows]), encoding="utf-8")

    with submit(pipeline, file) as broken_off:
        assert asyncio.run(contacts_of(pipeline, enough=1))
        pipeline["ingest"].kill()
    assert broken_off.returncode == UNAVAILABLE
    with pipeline.api as api:
        (job,) = api.pages("/v1/jobs")
    assert job["state"] == "receiving"
    pipeline["ingest"].start()
    pipeline["ingest"].wait_ready()
    with submit(pipeline, file) as again:
        answer = json.loads(again.communicate()[0])
    assert (answer["job_id"], answer["accepted"]) == (job["job_id"], len(rows))
    pipeline.wait_complete(job["job_id"])

    assert pipeline.counts(job["job_id"]) == {"completed": len(rows)}
    published = asyncio.run(contacts_of(pipeline))
    assert len(published) > len(rows)
    requests = dict(published)
    assert len(requests) == len(set(published)) == len(rows)
    assert sorted(requests.values()) == list(range(2, len(rows) + 2))
    calls = pipeline.calls()
    assert asked(calls) == set(rows)
    assert paid_again(calls) == 0
