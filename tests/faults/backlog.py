"""A million contacts wait while a part is away: `python -m tests.faults.backlog twilio|postgres [CONTACTS]`.

The part is stopped, the contacts are put on `contacts.inbound` as upstream systems do, and ingest
has to take them as always. Nothing but Kafka may grow: the memory of each program is sampled,
judged and drawn. Then the part is started, and contacts have to have their ends again. Exit code 1
if anything is wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

from aiokafka import AIOKafkaProducer

from services.contracts.topics import Topic
from services.local.environment import without_settings
from services.local.stack import Plan, Stack
from services.runtime.settings import ProgramSettings
from tests.faults.memory import Memory, draw, judge
from tests.faults.soak import NUMBERS, numbers
from tests.faults.topics import ends_of
from tests.pipeline.books import PACKAGE

_PARTITIONS = 12
#: Records on their way to Kafka at a time.
_AT_ONCE = 5_000
#: Handed in before, with nothing away, to compare with.
_BEFORE = 50_000
#: Contacts that have to have their end after the part is back.
_AFTERWARDS = 1_000
_LOOK_SECONDS = 1.0
#: The last look at the memory is so long after the last contact was taken.
_STAY_SECONDS = 60.0
#: A guard, no measure.
_GUARD_SECONDS = 1800.0


class Backlog:
    """One system, and the contacts that come to it."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        assert stack.kafka is not None
        self._settings = ProgramSettings(
            kafka_bootstrap_servers=stack.kafka.bootstrap_servers, kafka_partitions=_PARTITIONS
        )
        self._numbers = enumerate(numbers(NUMBERS))
        self._handed_in = 0

    def hand_in(self, count: int) -> float:
        """Hand contacts in; gives how many a second ingest has made requests of."""
        started = time.monotonic()
        asyncio.run(self._produce(count))
        self._handed_in += count
        self._until("all are taken", lambda: self.taken() >= self._handed_in)
        return count / (time.monotonic() - started)

    def taken(self) -> int:
        """Contacts that stand on `contacts`."""
        return self._records(self._settings.topics.contacts)

    def ended(self) -> int:
        """Contacts whose end stands on Kafka."""
        return self._records(self._settings.topics.results, self._settings.topics.dead_letters)

    def _records(self, *topics: Topic) -> int:
        names = {topic.name for topic in topics}
        ends = asyncio.run(ends_of(self._settings))
        return sum(end for (name, _), end in ends.items() if name in names)

    def see_ends(self) -> float:
        """Wait until contacts have their ends again; gives the seconds."""
        started, before = time.monotonic(), self.ended()
        self._until("contacts end again", lambda: self.ended() >= before + _AFTERWARDS)
        return time.monotonic() - started

    def _until(self, what: str, done: Callable[[], bool]) -> None:
        until = time.monotonic() + _GUARD_SECONDS
        while not done():
            for program in self._stack.programs.values():
                program.check()
            if time.monotonic() > until:
                raise SystemExit(f"not within {_GUARD_SECONDS:g} s: {what}")
            time.sleep(_LOOK_SECONDS)

    async def _produce(self, count: int) -> None:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._settings.kafka_bootstrap_servers, acks="all", linger_ms=5
        )
        await producer.start()
        topic = self._settings.topics.inbound.name
        try:
            left = islice(self._numbers, count)
            while some := list(islice(left, _AT_ONCE)):
                sent = [await producer.send(topic, _contact(n, phone)) for n, phone in some]
                await asyncio.gather(*sent)
        finally:
            await producer.stop()


def _contact(number: int, phone: str) -> bytes:
    return json.dumps({"phone": phone, "id": f"b{number}", "packages": [PACKAGE]}).encode()


def backlog(part: str, contacts: int, directory: Path) -> bool:
    """Run; returns whether all is well."""
    plan = Plan(
        environ=without_settings(os.environ),
        settings={"KAFKA_PARTITIONS": str(_PARTITIONS)},
        lookups=2,
        durable=False,
    )
    with ExitStack() as ending:
        stack = ending.enter_context(Stack(directory / "system", plan, print))
        system = Backlog(stack)
        print(f"with nothing away: {system.hand_in(_BEFORE):,.0f} contacts/s", flush=True)
        stack.servers[part].stop()
        memory = ending.enter_context(Memory(stack.programs))
        rate = system.hand_in(contacts)
        print(f"without {part}: {rate:,.0f} contacts/s, {contacts:,} taken", flush=True)
        time.sleep(_STAY_SECONDS)
        memory.stop()
        stack.servers[part].start()
        print(
            f"{_AFTERWARDS:,} contacts have their end {system.see_ends():.0f} s after {part} is back"
        )
        # What waits is not waited for.
        stack.kill()
    draw(memory.curves, directory / "memory.svg")
    lines, findings = judge(memory.curves)
    print("\n".join([*lines, *(f"WRONG: {finding}" for finding in findings)]))
    return not findings


def main() -> int:
    """Run it in a folder that is kept, and named."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.backlog")
    parser.add_argument("part", choices=("twilio", "postgres"))
    parser.add_argument("contacts", type=int, nargs="?", default=1_000_000)
    arguments = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="bulk-lookup-backlog-"))
    directory.chmod(0o711)
    print(f"logs and memory.svg in {directory}", flush=True)
    return 0 if backlog(arguments.part, arguments.contacts, directory) else 1


if __name__ == "__main__":
    raise SystemExit(main())
