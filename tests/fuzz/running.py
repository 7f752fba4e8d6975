"""Fuzzing of both APIs by schemathesis, on a stack that has something to show."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from aiokafka import AIOKafkaProducer

from services.local.api_client import ApiClient
from services.local.environment import without_settings
from services.local.stack import Plan, Stack
from services.local.twilio.config import Latency, SimulatorConfig
from tests.fuzz.results_hooks import JOBS
from tests.pipeline.harness import Pipeline

Api = Literal["ingest", "results"]
ROOT = Path(__file__).parents[2]
TOKEN = "a-token-for-the-fuzzing-tests"
_FILE = (
    b"id,phone,country,note\n1,+14155550100,,first\n2,030 23125 555,DE,=1+1\n3,12,,short\n"
    b"4,+14155550100,,again\n5,1-800-FLOWERS,US,letters\n"
)
#: What is not checked, and why: any file that is of no use is refused, as the description says.
_UNCHECKED: dict[Api, tuple[str, ...]] = {
    "ingest": ("--exclude-checks=positive_data_acceptance",),
    "results": (),
}


def published(api: Api) -> Path:
    """The description of an API."""
    return ROOT / "docs" / "reference" / f"openapi-{api}.json"


def plan(environ: Mapping[str, str], settings: Mapping[str, str]) -> Plan:
    """A stack for fuzzing: Twilio's simulator answers at once."""
    return Plan(
        environ={**without_settings(os.environ), **environ},
        settings={"API_TOKENS": f"fuzz:{TOKEN}", "KAFKA_PARTITIONS": "4", **settings},
        lookups=1,
        simulator=SimulatorConfig(latency=Latency(median_seconds=0.001)),
        durable=False,
    )


@dataclass(frozen=True, slots=True)
class Fuzzing:
    """A running stack, and the jobs it has."""

    stack: Stack
    jobs: tuple[str, ...]

    @classmethod
    def of(cls, stack: Stack) -> Fuzzing:
        """Give the stack jobs, results, rejected rows and a dead letter, and wait for them."""
        programs = stack.programs
        with ApiClient(programs["ingest"].url, programs["results"].url, TOKEN) as api:
            jobs = [str(api.submit(_FILE, key=key)["job_id"]) for key in ("one", "two")]
            asyncio.run(_send(stack, [b'{"phone": "+442079460123", "source": "crm"}', b"garbage"]))
            Pipeline(stack).wait_until(
                "the jobs are complete, with the contact and the dead letter from Kafka",
                lambda: (
                    all(api.job(job)["complete"] for job in jobs)
                    and api.get("/v1/dead-letters/summary")["total"]
                    and len(api.get("/v1/jobs")["items"]) > len(jobs)
                ),
                explain=lambda: api.get("/v1/summary"),
            )
            return cls(stack, tuple(str(job["job_id"]) for job in api.get("/v1/jobs")["items"]))

    def run(self, api: Api, *options: str) -> bool:
        """Run schemathesis against one API, with these of its options; it says all it does.

        Returns:
            Whether every answer was one that the description has, and no server's error, and
            no wrong request was taken.
        """
        ended = subprocess.run(
            [
                *(sys.executable, "-u", "-m", "schemathesis.cli", "run"),
                str(published(api)),
                f"--url={self.stack.programs[api].url}",
                f"--header=Authorization:Bearer {TOKEN}",
                "--checks=all",
                *_UNCHECKED[api],
                "--warnings=off",
                "--no-color",
                "--generation-database=none",
                *options,
            ],
            # What it keeps of its failures goes where the stack's state is.
            cwd=self.stack.directory,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "SCHEMATHESIS_HOOKS": f"tests.fuzz.{api}_hooks",
                JOBS: ",".join(self.jobs),
            },
            check=False,
        )
        self.stack.check()
        return ended.returncode == 0


async def _send(stack: Stack, values: list[bytes]) -> None:
    """Put values on `contacts.inbound`, as another system would."""
    environ = stack.programs["ingest"].environ
    producer = AIOKafkaProducer(bootstrap_servers=environ["KAFKA_BOOTSTRAP_SERVERS"])
    await producer.start()
    try:
        for value in values:
            topic = f"{environ.get('KAFKA_TOPIC_PREFIX', '')}contacts.inbound"
            await producer.send_and_wait(topic, value)
    finally:
        await producer.stop()
