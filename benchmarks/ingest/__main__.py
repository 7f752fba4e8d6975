"""How fast ingest is, and what a contact costs in CPU and memory, beside what is plain.

    python -m benchmarks.ingest [ROWS]

Files: one of 10,000 rows and one of ROWS (a million without), each sent to a fresh ingest as
`bulk-lookup submit` sends it, until it is answered: every record is in Kafka then, and the
job is sealed. Beside it a plain script, `plain`, reads the same file and makes the same
records. It is told the file's path, reads the file once instead of twice, stores no job, and
leaves out the rows that it cannot read.

Single contacts: 50 clients send files of one contact each, every one a job of its own. Beside
them a plain server, `plain_server`, of the same framework, that only validates and produces.

Both do their work on the same Kafka. CPU and memory are the operating system's books of the
one process; memory is its peak. Stages are measured one by one in this process, but for the
event loop's, which is the book of its thread. The rest is what none of them shows: numbering
plans loaded and patterns compiled, once, and two threads in each other's way.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from benchmarks.ingest.clients import Answers, ask
from benchmarks.ingest.contacts import write_file
from benchmarks.ingest.plain import TOPIC
from benchmarks.ingest.stages import stages
from benchmarks.processes import cpu_seconds, main_thread_seconds, peak_mebibytes
from services.local.environment import without_settings
from services.local.processes import free_port
from services.local.stack import Plan, Stack

PARTITIONS = 12
SMALL = 10_000
CLIENTS = 50
REQUESTS = 3_000
_STAGE_ROWS = 50_000
#: Seconds that an answer may take.
_PATIENCE = 600.0


@dataclass(frozen=True, slots=True)
class Cost:
    """What one process took for a file."""

    rate: float
    #: Microseconds of CPU for each row.
    cpu: float
    #: Those of them that the event loop took.
    loop: float
    #: Mebibytes.
    peak: float


def cost_of(pid: int, rows: int, work: Callable[[], object]) -> Cost:
    """Have a process work on a file, and take the difference of the books."""
    before, loop_before = cpu_seconds([pid]), main_thread_seconds(pid)
    started = time.perf_counter()
    work()
    seconds = time.perf_counter() - started
    cpu = (cpu_seconds([pid]) - before) * 1e6 / rows
    loop = (main_thread_seconds(pid) - loop_before) * 1e6 / rows
    return Cost(rows / seconds, cpu, loop, peak_mebibytes(pid))


def ours(stack: Stack, file: Path, rows: int) -> Cost:
    """A fresh ingest takes the file."""
    ingest = stack.programs["ingest"]
    ingest.start()
    ingest.wait_ready()

    def submit() -> None:
        headers = {"Content-Type": "text/csv", "Content-Length": str(file.stat().st_size)}
        with file.open("rb") as content:
            url = f"{ingest.url}/v1/jobs"
            httpx.post(url, content=content, headers=headers, timeout=_PATIENCE).raise_for_status()

    try:
        return cost_of(ingest.pid, rows, submit)
    finally:
        ingest.stop()


@contextmanager
def plain_process(stack: Stack, module: str, argument: str) -> Iterator[subprocess.Popen[bytes]]:
    """A plain program that is connected."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, argument],
        env=dict(stack.programs["ingest"].environ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        read_line(process)
        yield process
    finally:
        process.kill()
        process.wait()


def read_line(process: subprocess.Popen[bytes]) -> None:
    """Wait until a plain program says that it is ready, or done."""
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    if not process.stdout.readline():
        raise SystemExit("the plain program ended by itself")


def plain(stack: Stack, file: Path, rows: int) -> Cost:
    """The plain script takes the file."""
    with plain_process(stack, "benchmarks.ingest.plain", str(file)) as process:

        def send() -> None:
            assert process.stdin is not None  # noqa: S101 - it is a pipe
            process.stdin.write(b"\n")
            process.stdin.flush()
            read_line(process)

        return cost_of(process.pid, rows, send)


def asked(pid: int, url: str, request: Callable[[str], dict[str, Any]]) -> tuple[Answers, float]:
    """Have 50 clients send contacts; also gives the server's CPU for each, in milliseconds."""
    before = cpu_seconds([pid])
    answers = asyncio.run(ask(url, request, CLIENTS, REQUESTS))
    # The tenth before the measured ones has cost CPU too.
    return answers, (cpu_seconds([pid]) - before) * 1000 / (REQUESTS * 1.1)


def ours_over_http(stack: Stack) -> tuple[Answers, float]:
    """A fresh ingest takes single contacts."""
    ingest = stack.programs["ingest"]
    ingest.start()
    ingest.wait_ready()
    try:
        return asked(
            ingest.pid,
            f"{ingest.url}/v1/jobs",
            lambda phone: {"data": f"phone\n{phone}\n", "headers": {"Content-Type": "text/csv"}},
        )
    finally:
        ingest.stop()


def plain_over_http(stack: Stack) -> tuple[Answers, float]:
    """The plain server takes single contacts."""
    port = free_port()
    with plain_process(stack, "benchmarks.ingest.plain_server", str(port)) as process:
        url = f"http://127.0.0.1:{port}/contacts"
        return asked(process.pid, url, lambda phone: {"json": {"phone": phone}})


async def make_topic(servers: str) -> None:
    """The topic of what is plain, like `contacts`."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)])
    finally:
        await admin.close()


def show_files(stack: Stack, directory: Path, sizes: tuple[int, ...]) -> Cost:
    """Run both over files of these sizes; gives what the largest cost ingest."""
    print(f"\n{'':14}{'rows':>10}{'rows/s':>9}{'CPU us/row':>12}{'rows/CPU-s':>12}{'MiB':>6}")
    peaks: list[float] = []
    for rows in sizes:
        file = directory / f"{rows}.csv"
        write_file(file, rows)
        mine, other = ours(stack, file, rows), plain(stack, file, rows)
        for name, cost in (("bulk lookup", mine), ("plain script", other)):
            print(
                f"{name:14}{rows:10,}{cost.rate:9,.0f}{cost.cpu:12.1f}"
                f"{1e6 / cost.cpu:12,.0f}{cost.peak:6.0f}"
            )
        print(
            f"{'ratio':24}{mine.rate / other.rate:9.2f}{mine.cpu / other.cpu:12.2f}"
            f"{other.cpu / mine.cpu:12.2f}{mine.peak / other.peak:6.2f}"
        )
        peaks.append(mine.peak)
    print(f"memory of bulk lookup, largest to smallest file: {peaks[-1] / peaks[0]:.2f}")
    return mine


def show_stages(file: Path, whole: Cost) -> None:
    """Say where the time goes."""
    parts = stages(file, _STAGE_ROWS, PARTITIONS)
    parts["upload, batches, sending"] = whole.loop
    parts["rest"] = whole.cpu - sum(parts.values())
    print("\nCPU us/row by stage")
    for name, microseconds in parts.items():
        print(f"  {name:26}{microseconds:6.1f}{microseconds / whole.cpu:6.0%}")


def show_http(stack: Stack) -> None:
    """Run both servers."""
    print(f"\n{CLIENTS} clients, one contact each")
    print(f"{'':14}{'requests/s':>11}{'p50 ms':>8}{'p99 ms':>8}{'CPU ms':>8}")
    rates: list[float] = []
    for name, run in (("bulk lookup", ours_over_http), ("plain server", plain_over_http)):
        answers, cpu = run(stack)
        print(
            f"{name:14}{answers.rate:11.0f}{answers.milliseconds(0.5):8.0f}"
            f"{answers.milliseconds(0.99):8.0f}{cpu:8.2f}"
        )
        rates.append(answers.rate)
    print(f"{'ratio':14}{rates[0] / rates[1]:11.2f}")


def main() -> None:
    """Run all of it and print the tables."""
    large = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    plan = Plan(
        environ=without_settings(os.environ),
        settings={"KAFKA_PARTITIONS": str(PARTITIONS)},
        lookups=0,
    )
    with tempfile.TemporaryDirectory(prefix="bulk-lookup-benchmark-") as name:
        directory = Path(name)
        stack = Stack(directory, plan, print)
        try:
            stack.start_servers()
            assert stack.kafka is not None  # noqa: S101 - the plan names none
            asyncio.run(make_topic(stack.kafka.bootstrap_servers))
            whole = show_files(stack, directory, (SMALL, large))
            file = directory / "stages.csv"
            write_file(file, _STAGE_ROWS)
            show_stages(file, whole)
            show_http(stack)
        finally:
            stack.stop()


if __name__ == "__main__":
    main()
