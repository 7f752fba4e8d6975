"""An upload that ingest does not live to the end of; every other kill is in `tests/faults`."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

from aiokafka import AIOKafkaConsumer, TopicPartition

from services.cli.exits import UNAVAILABLE
from services.local.twilio.config import Latency, SimulatorConfig
from tests.pipeline.books import PACKAGE, asked, paid_again
from tests.pipeline.harness import GUARD_SECONDS, TOKEN, Pipeline, StartPipeline

COMMAND = (sys.executable, "-c", "import sys; from services.cli import main; sys.exit(main())")


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
    pipeline = start_pipeline(simulator=SimulatorConfig(latency=Latency(median_seconds=0.01)))
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
