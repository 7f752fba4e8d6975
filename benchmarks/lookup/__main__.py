"""How fast lookup is, and what a contact costs in CPU, beside a plain consumer.

Both do the same work, one after the other, on the same Kafka and the same simulator: take
contacts from a topic, ask with 100 calls in flight at 100 ms each over two processes, and
write an acknowledged result. The plain one (aiokafka and aiohttp) keeps none of the
guarantees: no paid check, no turns, no drain. So the ratio is their price.

    python -m benchmarks.lookup [CONTACTS]

Rates are taken from the simulator's ledger, first call to last answer; CPU from the
operating system, from before the first contact to after the last result, by part.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from pydantic import BaseModel

from benchmarks.lookup.plain import CONTACTS, RESULTS, WORKERS
from benchmarks.processes import children, cpu_seconds
from services.contracts.codec import encode
from services.contracts.messages import LookupRequest
from services.contracts.packages import Package
from services.local.environment import without_settings
from services.local.stack import Plan, Stack
from services.local.twilio.config import Account, Latency, SimulatorConfig
from services.local.twilio.ledger import Call
from services.runtime.kafka import partition_of

IN_FLIGHT = 100
LATENCY = 0.1
PARTITIONS = 12
# Arcep keeps these ranges for films and books.
_RANGES = (33_199_000_000, 33_261_910_000, 33_353_010_000, 33_465_710_000, 33_536_490_000)
_RANGE_SIZE = 10_000


class Figures(BaseModel):
    """What one run showed."""

    rate: float
    cpu_ms: dict[str, float]


def numbers(count: int) -> list[str]:
    """So many different numbers of ranges kept for films and books."""
    found = [f"+{first + n}" for first in _RANGES for n in range(_RANGE_SIZE)]
    if count > len(found):
        raise SystemExit(f"at most {len(found)} contacts")
    return found[:count]


def rate_of(calls: Sequence[Call]) -> float:
    """Contacts per second, from the first call to the last answer."""
    first = min(datetime.fromisoformat(call.started) for call in calls)
    last = max(datetime.fromisoformat(call.ended) for call in calls)
    return len(calls) / (last - first).total_seconds()


async def produce(servers: str, topic: str, phones: Sequence[str]) -> None:
    """Append a request for each number."""
    job, now = uuid.uuid4(), datetime.now(UTC)
    producer = AIOKafkaProducer(bootstrap_servers=servers, linger_ms=20)
    await producer.start()
    try:
        waits = []
        for row, phone in enumerate(phones, start=2):
            request = LookupRequest(
                request_id=uuid.uuid5(job, phone),
                job_id=job,
                source="benchmark",
                account="default",
                phone=phone,
                country="FR",
                packages=(Package.BASIC, Package.LINE_TYPE_INTELLIGENCE),
                row=row,
                accepted_at=now,
            )
            key = phone.encode()
            waits.append(
                await producer.send(
                    topic, encode(request), key=key, partition=partition_of(key, PARTITIONS)
                )
            )
        await asyncio.gather(*waits)
    finally:
        await producer.stop()


async def written(servers: str, topic: str) -> int:
    """Records that a topic has."""
    consumer = AIOKafkaConsumer(bootstrap_servers=servers)
    await consumer.start()
    try:
        ends = await consumer.end_offsets([TopicPartition(topic, n) for n in range(PARTITIONS)])
    finally:
        await consumer.stop()
    return sum(ends.values())


def run(
    stack: Stack,
    parts: Callable[[], Mapping[str, Sequence[int]]],
    topics: tuple[str, str],
    phones: Sequence[str],
) -> Figures:
    """Send the contacts, wait for their results, and take the difference of the books."""
    assert stack.kafka is not None  # noqa: S101 - the plan names none
    assert stack.simulator is not None  # noqa: S101 - the same
    servers = stack.kafka.bootstrap_servers
    calls_before = len(stack.simulator.calls())
    written_before = asyncio.run(written(servers, topics[1]))
    before = {name: cpu_seconds(pids) for name, pids in parts().items()}
    asyncio.run(produce(servers, topics[0], phones))
    while asyncio.run(written(servers, topics[1])) - written_before < len(phones):
        stack.check()
        time.sleep(0.5)
    time.sleep(2)  # results writes its last batch
    after = {name: cpu_seconds(pids) for name, pids in parts().items()}
    calls = stack.simulator.calls()[calls_before:]
    return Figures(
        rate=rate_of(calls),
        cpu_ms={name: (after[name] - before[name]) * 1000 / len(phones) for name in after},
    )


async def make_topics(servers: str) -> None:
    """The plain consumer's topics."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        topics = [
            NewTopic(t, num_partitions=PARTITIONS, replication_factor=1)
            for t in (CONTACTS, RESULTS)
        ]
        await admin.create_topics(topics)
    finally:
        await admin.close()


def run_plain(stack: Stack, phones: Sequence[str]) -> Figures:
    """The plain consumer, two processes."""
    assert stack.kafka is not None  # noqa: S101 - the plan names none
    servers = stack.kafka.bootstrap_servers
    asyncio.run(make_topics(servers))
    environ = dict(stack.programs["lookup-1"].environ)
    command = [sys.executable, "-m", "benchmarks.lookup.plain", str(IN_FLIGHT // WORKERS)]
    workers = [
        subprocess.Popen(command, env=environ, stdout=subprocess.PIPE) for _ in range(WORKERS)
    ]
    try:
        for worker in workers:
            assert worker.stdout is not None  # noqa: S101 - it is a pipe
            worker.stdout.readline()
        time.sleep(5)  # both are in the group
        pids = [worker.pid for worker in workers]
        return run(stack, lambda: {"lookup": pids}, (CONTACTS, RESULTS), phones)
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


def run_ours(stack: Stack, phones: Sequence[str]) -> Figures:
    """Ours, two lookup workers, and results behind them."""
    programs, servers = stack.programs, stack.servers
    postgres = servers["postgres"].pid

    def parts() -> dict[str, list[int]]:
        return {
            "lookup": [programs[f"lookup-{n}"].pid for n in range(1, WORKERS + 1)],
            "results": [programs["results"].pid],
            "kafka": [servers["kafka"].pid],
            "postgresql": [postgres, *children(postgres)],
            "simulator": [servers["twilio"].pid],
        }

    return run(stack, parts, ("contacts", "lookup.results"), phones)


def main() -> None:
    """Run both and print the table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    phones = numbers(count)
    account = Account(
        name="default", sid="SK" + "0" * 32, secret="simulated", concurrency=IN_FLIGHT
    )
    plan = Plan(
        environ=without_settings(os.environ),
        settings={"KAFKA_PARTITIONS": str(PARTITIONS)},
        lookups=WORKERS,
        simulator=SimulatorConfig(accounts=(account,), latency=Latency(median_seconds=LATENCY)),
        durable=True,
    )
    with (
        tempfile.TemporaryDirectory(prefix="bulk-lookup-benchmark-") as directory,
        Stack(Path(directory), plan, print) as stack,
    ):
        time.sleep(5)  # both workers are in the group and past the barrier
        ours = run_ours(stack, phones)
        for program in stack.programs.values():
            program.stop()
        plain = run_plain(stack, phones)
    ideal = IN_FLIGHT / LATENCY
    print(
        f"\n{count} contacts, {IN_FLIGHT} in flight, {LATENCY * 1000:.0f} ms a call; ideal {ideal:.0f}/s"
    )
    for name, figures in [("bulk lookup", ours), ("plain", plain)]:
        parts = ", ".join(f"{part} {ms:.2f}" for part, ms in figures.cpu_ms.items())
        print(
            f"{name:12} {figures.rate:7.0f}/s ({figures.rate / ideal:4.0%} of ideal)  CPU ms per contact: {parts}"
        )
    print(
        f"ratio        {ours.rate / plain.rate:.2f} in rate, "
        f"{ours.cpu_ms['lookup'] / plain.cpu_ms['lookup']:.2f} in lookup's CPU"
    )


if __name__ == "__main__":
    main()
