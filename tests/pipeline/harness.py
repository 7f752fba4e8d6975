"""The pipeline under test: real Kafka and PostgreSQL, simulator, all programs as subprocesses.

How it is used, from a plain (not async) test::

    def test_kill_of_a_lookup_worker_loses_nothing(start_pipeline: StartPipeline) -> None:
        pipeline = start_pipeline(
            simulator=SimulatorConfig(latency=Latency(median_seconds=0.05)),
            settings={"RETRY_DELAYS": "300ms,600ms"},   # environment of every program
        )
        job = pipeline.submit(pipeline.numbers(3_000))
        pipeline.wait_until("a third is done", lambda: pipeline.finished(job) > 1_000)
        pipeline["lookup-1"].kill()                     # kill -9; also .signal(), .stop(), .start()
        pipeline["lookup-1"].start()
        pipeline.wait_complete(job)
        assert pipeline.counts(job) == {"completed": 3_000}
        assert repeats(pipeline.calls()) ...            # services.local.twilio.ledger

- `start_pipeline(...)` may be called more than once; all is stopped after the test. Its
  Kafka and PostgreSQL are the session's, under a topic prefix and in a database of the
  test's own. `own=("kafka",)` or `own=("postgres",)` gives the pipeline a server of its own
  as `pipeline.stack.kafka` / `.postgres`, to be killed and started again.
- `pipeline["ingest" | "lookup-1" | "lookup-2" | "scheduler" | "results"]` is a
  `services.local.programs.Program`: `start()`, `wait_ready()`, `stop()` (SIGTERM, waits,
  gives the exit code), `kill()` (SIGKILL, waits), `signal(SIGSTOP)`, `wait_ended(seconds)`,
  `log` (its file), `url`, `pid`, `environ` (a dict, for the next start).
- `pipeline.simulator.control` sets faults, latency and accounts in mid-run, and
  `pipeline.calls()` is the ledger of calls; `pipeline.api` speaks HTTP to ingest and results.
- `wait_until(what, condition)` polls, notices a program that died by itself, and fails
  after a generous guard with `what`, the place of the logs, and `explain()`.
- The directory with logs and ledger is removed after a test that passed, and kept and
  named in the report of one that failed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from services.local.api_client import ApiClient
from services.local.programs import Program
from services.local.sample import rows
from services.local.stack import Stack
from services.local.twilio.config import SimulatorConfig
from services.local.twilio.ledger import Call
from services.local.twilio.process import TwilioSimulator

#: A condition that does not come true within this will not: the machine may be slow.
GUARD_SECONDS = 120.0
TOKEN = "a-token-for-the-pipeline-tests"
_POLL_SECONDS = 0.05


class StartPipeline(Protocol):
    """What the fixture `start_pipeline` is."""

    def __call__(
        self,
        *,
        settings: Mapping[str, str] = ...,
        simulator: SimulatorConfig | None = ...,
        lookups: int = ...,
        own: tuple[str, ...] = ...,
    ) -> Pipeline:
        """Start a pipeline of the test's own, and wait until all of it is ready."""


class Pipeline:
    """A running stack, and what a test asks of it."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack

    def __getitem__(self, name: str) -> Program:
        return self.stack.programs[name]

    @property
    def simulator(self) -> TwilioSimulator:
        """The simulator, with its control."""
        assert self.stack.simulator is not None
        return self.stack.simulator

    @property
    def settings(self) -> Mapping[str, str]:
        """The environment of the programs: KAFKA_BOOTSTRAP_SERVERS, DATABASE_URL and so on."""
        return self["results"].environ

    @property
    def api(self) -> ApiClient:
        """A client of where ingest and results listen now."""
        return ApiClient(self["ingest"].url, self["results"].url, TOKEN)

    @staticmethod
    def all_numbers() -> list[str]:
        """The different valid numbers of the sample, of many countries."""
        return list(dict.fromkeys(row.e164 for row in rows() if row.e164 is not None))

    @classmethod
    def numbers(cls, count: int) -> list[str]:
        """So many of the sample's numbers, from the first on."""
        found = cls.all_numbers()
        assert count <= len(found), f"the sample has {len(found)} numbers"
        return found[:count]

    def submit(self, numbers: Iterable[str], *, key: str | None = None, **options: str) -> str:
        """Submit numbers as a CSV file through ingest; gives the job's id."""
        lines = ["id,phone", *(f"c{row},{number}" for row, number in enumerate(numbers, start=2))]
        content = "\n".join(lines).encode()
        with self.api as api:
            submitted = api.submit(
                content, key=key, **{"reference_column": "id", "phone_column": "phone"} | options
            )
        return str(submitted["job_id"])

    def job(self, job_id: str) -> Mapping[str, Any]:
        """The job as results shows it."""
        with self.api as api:
            return api.job(job_id)

    def counts(self, job_id: str) -> dict[str, int]:
        """The job's contacts by state, states without any left out."""
        return {state: n for state, n in self.job(job_id)["counts"].items() if n}

    def finished(self, job_id: str) -> int:
        """How many of the job's contacts have their end."""
        with self.api as api:
            return int(api.job(job_id, breakdown=False)["finished"])

    def results(self, job_id: str, **filters: str) -> list[Mapping[str, Any]]:
        """Every contact of the job, in the order of the file."""
        with self.api as api:
            return list(api.results(job_id, **filters))

    def says_held(self, account: str, cause: str, *, held: bool = True) -> bool:
        """Whether every lookup that runs says that it holds an account for a cause, or does not."""
        lookups = [p for p in self.stack.programs.values() if p.kind == "lookup" and p.running]
        line = f'twilio_account_held{{account="{account}",cause="{cause}"}} {float(held)}'.encode()
        # Where none runs nobody says anything.
        return bool(lookups) and all(line in one.get("/metrics")[1] for one in lookups)

    def calls(self) -> list[Call]:
        """Every call that the simulator's ledger has."""
        return self.simulator.calls()

    def wait_complete(self, job_id: str, seconds: float = GUARD_SECONDS) -> None:
        """Wait until every contact of the job has its end, and every rejected row is stored."""

        def done() -> bool:
            with self.api as api:
                job = api.job(job_id, breakdown=False)
            return bool(job["complete"] and job["rejected"] >= job["sealed"]["rejected"])

        self.wait_until(f"job {job_id} is complete", done, seconds, lambda: self.job(job_id))

    def wait_until(
        self,
        what: str,
        condition: Callable[[], object],
        seconds: float = GUARD_SECONDS,
        explain: Callable[[], object] = lambda: "",
    ) -> None:
        """Poll until the condition is true; a program's own death, or the guard, fails the test."""
        deadline = time.monotonic() + seconds
        while not condition():
            self.stack.check()
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"not within {seconds:.0f} s: {what}. {explain()}\nLogs: {self.stack.logs}"
                )
            time.sleep(_POLL_SECONDS)
