"""Kafka or PostgreSQL goes away from programs that run: they say so, go on, and can be stopped."""

from __future__ import annotations

import json
import signal

import pytest

from services.local.programs import Program
from tests.pipeline.harness import Pipeline, StartPipeline

#: DRAIN_LIMIT, in seconds.
LIMIT = 25.0
#: By server and condition, the programs that need it.
NEEDED = [
    ("kafka", "kafka", {"ingest", "lookup-1", "scheduler", "results"}),
    ("postgres", "postgresql", {"ingest", "lookup-1", "results"}),
]


def waiting(pipeline: Pipeline, condition: str) -> set[str]:
    """The programs whose readyz names the condition, each with a reason."""
    bodies = {name: program.get("/readyz")[1] for name, program in pipeline.stack.programs.items()}
    return {name for name, body in bodies.items() if json.loads(body)["missing"].get(condition)}


def last_event(program: Program) -> str:
    return str(json.loads(program.log.read_text(encoding="utf-8").splitlines()[-1])["event"])


@pytest.mark.parametrize(("server", "condition", "needed"), NEEDED, ids=["kafka", "postgresql"])
def test_a_server_that_goes_away(
    start_pipeline: StartPipeline, server: str, condition: str, needed: set[str]
) -> None:
    """Each program names it at readyz, works once it is back, and ends by itself without it."""
    pipeline = start_pipeline(own=(server,), lookups=1, settings={"DRAIN_LIMIT": f"{LIMIT:.0f}s"})
    gone, programs = pipeline.stack.servers[server], pipeline.stack.programs
    gone.kill()
    pipeline.wait_until(
        f"all who need {server} say that it is away",
        lambda: waiting(pipeline, condition) == needed,
    )
    gone.start()
    pipeline.wait_until(f"all say that {server} is back", lambda: not waiting(pipeline, condition))
    pipeline.wait_complete(pipeline.submit(pipeline.numbers(200)))

    # What was just done may not be committed yet, and never can be.
    gone.kill()
    for program in programs.values():
        program.signal(signal.SIGTERM)
    codes = {name: program.wait_ended(10 * LIMIT) for name, program in programs.items()}
    assert codes == dict.fromkeys(programs, 0)
    assert {last_event(program) for program in programs.values()} == {"stopped"}
