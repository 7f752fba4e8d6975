"""The command as a process: signals, pipes, the programs' exit codes."""

import asyncio
import json
import signal
import uuid
from typing import Any

import pytest

JOB = str(uuid.UUID(int=7))
DETAIL = {
    "job_id": JOB,
    "state": "sealed",
    "sealed": {"accepted": 10, "rejected": 0, "duplicates": 0},
    "counts": {"pending": 10},
    "known": 10,
    "finished": 0,
    "share": 0.0,
    "complete": False,
    "rate_per_second": 0.0,
    "seconds_left": None,
    "holds": [],
}


async def test_ctrl_c_is_clean(start: Any, serve: Any) -> None:
    """Ctrl-C ends a watch with 130 and without a traceback."""
    with serve(lambda _: (200, json.dumps(DETAIL).encode())) as url:
        process = await start("status", JOB, "--watch", RESULTS_URL=url)
        assert b"0 of 10 finished" in await process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = await process.communicate()
    assert process.returncode == 130
    assert out == b""
    assert b"Traceback" not in err


async def test_a_reader_may_leave(start: Any, serve: Any) -> None:
    """A reader that takes the first line only, as head does, causes no traceback."""
    file = b"row,reference,phone\n" + b"2,c7,+14155550100\n" * 500_000
    with serve(lambda _: (200, file)) as url:
        process = await start("results", JOB, RESULTS_URL=url)
        assert await process.stdout.readline() == b"row,reference,phone\n"
        process.stdout.feed_eof()
        process._transport.get_pipe_transport(1).close()
        err = await process.stderr.read()
        assert await process.wait() != 0
    assert b"Traceback" not in err


async def test_no_service(command: Any) -> None:
    """An address where nobody answers ends with 69."""
    ended = await command("jobs", "--json", RESULTS_URL="http://127.0.0.1:1")
    assert (ended.code, ended.out) == (69, "")
    assert "RESULTS_URL" in ended.err


@pytest.mark.parametrize("program", ["ingest", "lookup", "scheduler", "results"])
async def test_a_program_s_exit_code_is_passed_on(command: Any, program: str) -> None:
    """A program that its settings do not let start ends with 78, and names the setting."""
    ended = await command("run", program, KAFKA_PARTITIONS="none")
    assert ended.code == 78
    assert "KAFKA_PARTITIONS='none'" in ended.err


async def test_a_program_runs_until_it_is_told(start: Any, kafka: str, topic_prefix: str) -> None:
    """`run` is the program itself: it logs JSON lines, and SIGTERM ends it with 0."""
    process = await start(
        "run",
        "scheduler",
        KAFKA_BOOTSTRAP_SERVERS=kafka,
        KAFKA_TOPIC_PREFIX=topic_prefix,
        KAFKA_PARTITIONS="1",
    )
    assert json.loads(await process.stdout.readline())["service"] == "scheduler"
    process.send_signal(signal.SIGTERM)
    await asyncio.gather(process.stdout.read(), process.stderr.read())
    assert await process.wait() == 0


async def test_completion_is_offered(command: Any) -> None:
    """The shell is told the commands, also where none of their parts is running."""
    ended = await command(
        _BULK_LOOKUP_COMPLETE="complete_bash", COMP_WORDS="bulk-lookup dead", COMP_CWORD="1"
    )
    assert ended.out.split() == ["dead-letters"]
