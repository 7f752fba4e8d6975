"""Both APIs under a schema-driven tool, on the programs themselves, Kafka and PostgreSQL.

`python -m tests.fuzz MINUTES` does the same for longer.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import get_args

import httpx
import pytest

from services.local.postgres import PostgresServer
from services.local.stack import Stack
from tests.fuzz.running import TOKEN, Api, Fuzzing, plan, published

#: So many requests each that the tool makes up for a route, beside those for its limits.
_EXAMPLES: dict[Api, int] = {"ingest": 150, "results": 12}


@pytest.fixture(scope="module")
def fuzzing(
    kafka: str, postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Fuzzing]:
    """A stack with jobs that are done."""
    name = f"t{uuid.uuid4().hex[:12]}"
    servers = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "DATABASE_URL": postgres_server.create_database(name),
    }
    directory = tmp_path_factory.mktemp("fuzz")
    with Stack(directory, plan(servers, {"KAFKA_TOPIC_PREFIX": f"{name}."})) as stack:
        yield Fuzzing.of(stack)


@pytest.mark.parametrize("api", get_args(Api))
def test_the_program_serves_the_published_description(api: Api, fuzzing: Fuzzing) -> None:
    """What a program says of its API is what is fuzzed here, and what others build against."""
    served = httpx.get(
        f"{fuzzing.stack.programs[api].url}/openapi.json",
        headers={"Authorization": f"Bearer {TOKEN}"},
        trust_env=False,
    )
    assert served.json() == json.loads(published(api).read_text(encoding="utf-8"))


@pytest.mark.parametrize("api", get_args(Api))
def test_no_request_gets_an_answer_that_is_not_described(api: Api, fuzzing: Fuzzing) -> None:
    """Whatever is sent: no 5xx, no other status, type or shape, and nothing wrong is taken."""
    assert fuzzing.run(api, "--seed=11", f"--max-examples={_EXAMPLES[api]}"), "see its output"
