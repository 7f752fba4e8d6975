"""More partitions between two runs, and under a run that knows nothing of it."""

import asyncio
import os
import subprocess
import sys

from aiokafka import AIOKafkaConsumer, TopicPartition

from services.local.twilio.config import Latency, SimulatorConfig
from services.runtime.program import EXIT_FAULT
from services.runtime.settings import ProgramSettings
from tests.faults.topics import grow
from tests.pipeline.books import PACKAGE, asked, assert_whole, paid_again
from tests.pipeline.harness import GUARD_SECONDS, Pipeline, StartPipeline

BEFORE, AFTER = 4, 7
COMMAND = (sys.executable, "-c", "import sys; from services.cli import main; sys.exit(main())")


def resize(pipeline: Pipeline, partitions: int) -> subprocess.CompletedProcess[str]:
    """The command as a person runs it beside the programs."""
    return subprocess.run(
        [*COMMAND, "topics", "resize", str(partitions)],
        env={**os.environ, **pipeline.settings},
        capture_output=True,
        text=True,
        check=False,
    )


async def filled(pipeline: Pipeline) -> set[int]:
    """The partitions of `contacts` that hold a record."""
    topic = f"{pipeline.settings['KAFKA_TOPIC_PREFIX']}contacts"
    consumer = AIOKafkaConsumer(bootstrap_servers=pipeline.settings["KAFKA_BOOTSTRAP_SERVERS"])
    await consumer.start()
    try:
        ends = await consumer.end_offsets([TopicPartition(topic, n) for n in range(AFTER)])
    finally:
        await consumer.stop()
    return {place.partition for place, end in ends.items() if end}


def test_the_pipeline_goes_on_after_a_resize(start_pipeline: StartPipeline) -> None:
    """Refused while programs run; afterwards new and known numbers end well, 0 paid again."""
    pipeline = start_pipeline(simulator=SimulatorConfig(latency=Latency(median_seconds=0.01)))
    numbers = pipeline.numbers(500)
    first = pipeline.submit(numbers[:250], packages=PACKAGE)
    pipeline.wait_complete(first)

    refused = resize(pipeline, AFTER)
    assert refused.returncode == 1, refused.stderr
    assert "programs are running (ingest: 1, lookup: 2, results: 1, scheduler: 1)" in refused.stderr
    for program in pipeline.stack.programs.values():
        assert program.stop() == 0
    done = resize(pipeline, AFTER)
    assert done.returncode == 0, done.stderr
    pipeline.stack.start_programs()
    second = pipeline.submit(numbers, packages=PACKAGE)
    pipeline.wait_complete(second)

    assert asyncio.run(filled(pipeline)) == set(range(AFTER))
    assert pipeline.counts(first) == {"completed": 250}
    assert pipeline.counts(second) == {"completed": 500}
    assert asked(pipeline.calls()) == set(numbers)
    assert paid_again(pipeline.calls()) == 0


def test_topics_that_grow_under_lookup_stop_it(start_pipeline: StartPipeline) -> None:
    """It hears of them by itself, ends with the way out, and goes on when all start again."""
    pipeline = start_pipeline(
        simulator=SimulatorConfig(latency=Latency(median_seconds=0.01)),
        # The least that Kafka takes; so often is it looked for.
        settings={"KAFKA_SESSION_TIMEOUT": "6s"},
        lookups=1,
    )
    settings = ProgramSettings(
        kafka_bootstrap_servers=pipeline.settings["KAFKA_BOOTSTRAP_SERVERS"],
        kafka_topic_prefix=pipeline.settings["KAFKA_TOPIC_PREFIX"],
    )
    asyncio.run(grow(settings, AFTER))
    assert pipeline["lookup-1"].wait_ended(GUARD_SECONDS) == EXIT_FAULT
    assert "start every program again" in pipeline["lookup-1"].log.read_text(encoding="utf-8")

    for name in ("ingest", "scheduler", "results"):
        assert pipeline[name].stop() == 0
    pipeline.stack.start_programs()
    numbers = pipeline.numbers(100)
    job = pipeline.submit(numbers, packages=PACKAGE)
    pipeline.wait_complete(job)
    assert_whole(pipeline, job, numbers)
