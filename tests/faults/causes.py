"""What each cause of a schedule does, and how it is healed: a context for each, by name."""

from __future__ import annotations

import asyncio
import json
import resource
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from uuid import NAMESPACE_URL, uuid5

import asyncpg
import httpx
from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError

from services.local.twilio.config import Latency
from services.local.twilio.faults import Fault
from services.runtime.kafka import make_consumer, partition_of
from services.runtime.program import EXIT_FAULT
from services.runtime.settings import ProgramSettings
from tests.faults.books import Contact, Stopped
from tests.faults.scene import GUARD_SECONDS, Scene
from tests.faults.schedule import Step
from tests.faults.topics import Seen, append, grow, of, read_all
from tests.pipeline.books import PACKAGE

_LONG = "x" * 2_000

Cause = Callable[[Scene, Step], AbstractContextManager[None]]

CAUSES: dict[str, Cause] = {}


def _cause(act: Callable[[Scene, Step], Iterator[None]]) -> Cause:
    """Add it to the causes, by its name."""
    cause = contextmanager(act)
    CAUSES[act.__name__] = cause
    return cause


# Programs.


@_cause
def kill(scene: Scene, step: Step) -> Iterator[None]:
    """Kill -9 of programs, at one instant; healed by their start, `ready` says if that waits."""
    scene.kill(step.whom)
    yield
    scene.start(step.whom, ready=step.how.get("ready", True))


@_cause
def stop(scene: Scene, step: Step) -> Iterator[None]:
    """SIGTERM to one program after the other; healed by their start."""
    for name in step.whom:
        scene.stop(name)
    yield
    scene.start(step.whom)


@_cause
def leave(scene: Scene, step: Step) -> Iterator[None]:
    """SIGTERM to programs that are not started again."""
    for name in step.whom:
        scene.stop(name)
    yield


@_cause
def join(scene: Scene, step: Step) -> Iterator[None]:
    """Start programs that did not run."""
    scene.start(step.whom)
    yield


@_cause
def roll(scene: Scene, step: Step) -> Iterator[None]:
    """Restart one program after the other, as a rollout does; `ready` says whether it waits."""
    for name in step.whom:
        scene.stop(name)
        scene.start((name,), ready=step.how.get("ready", True))
    yield


@_cause
def freeze(scene: Scene, step: Step) -> Iterator[None]:
    """SIGSTOP; healed by SIGCONT: the program wakes up and does not know what it missed."""
    for name in step.whom:
        scene.program(name).signal(signal.SIGSTOP)
        scene.lose("frozen", name, datetime.now(UTC))
    yield
    for name in step.whom:
        scene.program(name).signal(signal.SIGCONT)


# Kafka.


@_cause
def broker_stopped(scene: Scene, _: Step) -> Iterator[None]:
    """Kafka is stopped in an orderly way, and started again."""
    scene.kafka.stop()
    yield
    scene.kafka.start()
    scene.healed("Kafka")


@_cause
def broker_killed(scene: Scene, _: Step) -> Iterator[None]:
    """Kafka is killed, and started again."""
    scene.kafka.kill()
    yield
    scene.kafka.start()
    scene.healed("Kafka")


# PostgreSQL.


@_cause
def postgres_stopped(scene: Scene, _: Step) -> Iterator[None]:
    """PostgreSQL is stopped, which ends all sessions, and started again."""
    scene.postgres.stop()
    yield
    scene.postgres.start()
    scene.healed("PostgreSQL")


@_cause
def postgres_killed(scene: Scene, _: Step) -> Iterator[None]:
    """PostgreSQL is killed, and started again."""
    scene.postgres.kill()
    yield
    scene.postgres.start()
    scene.healed("PostgreSQL")


@_cause
def connections_cut(scene: Scene, _: Step) -> Iterator[None]:
    """Every session of the database is ended by its administrator."""
    _run_sql(scene, _CUT)
    yield
    scene.healed("PostgreSQL")


@_cause
def read_only(scene: Scene, _: Step) -> Iterator[None]:
    """PostgreSQL refuses writes, as one does that others have taken over from."""
    name = scene.url.rsplit("/", 1)[1]
    _run_sql(scene, f'ALTER DATABASE "{name}" SET default_transaction_read_only = on', _CUT)
    yield
    # Its own session is read only too, but for what it asks for.
    _run_sql(
        scene,
        "SET default_transaction_read_only = off",
        f'ALTER DATABASE "{name}" RESET default_transaction_read_only',
        _CUT,
    )
    scene.healed("PostgreSQL")


@_cause
def table_locked(scene: Scene, step: Step) -> Iterator[None]:
    """Somebody holds a lock on tables that lets nobody read or write."""
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(scene.url))
        transaction = connection.transaction()
        runner.run(transaction.start())
        runner.run(connection.execute(f"LOCK TABLE {', '.join(step.whom)}"))
        yield
        runner.run(transaction.rollback())
        runner.run(connection.close())
    scene.healed("PostgreSQL")


_CUT = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()"""


def _run_sql(scene: Scene, *statements: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(scene.url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(run())


# Twilio.


@_cause
def twilio(scene: Scene, step: Step) -> Iterator[None]:
    """Twilio fails as `how` says: a fault's fields, without its name."""
    control = scene.pipeline.simulator.control
    fault = Fault(name=f"{step.how['kind']}-{len(scene.noted.healed)}", **step.how)
    control.set_faults(fault)
    yield
    control.set_faults()
    assert any(fault.name in call.faults for call in scene.pipeline.calls()), "no call was struck"
    scene.healed("Twilio")


@_cause
def twilio_slow(scene: Scene, step: Step) -> Iterator[None]:
    """Every answer takes longer."""
    control = scene.pipeline.simulator.control
    before = scene.pipeline.simulator.config.latency
    control.set_latency(Latency(**step.how))
    yield
    control.set_latency(before)
    scene.healed("Twilio")


@_cause
def twilio_stopped(scene: Scene, _: Step) -> Iterator[None]:
    """Nothing listens where Twilio was; the calls under way are cut."""
    scene.pipeline.simulator.stop()
    yield
    scene.pipeline.simulator.start()
    scene.healed("Twilio")


@_cause
def refused(scene: Scene, step: Step) -> Iterator[None]:
    """Twilio refuses an account's credentials; healed by Twilio, which a probe finds out."""
    (account,) = step.whom
    control = scene.pipeline.simulator.control
    control.set_account(account, state="refused")
    _await_held(scene, account, held=True)
    # What was sent before has arrived before an answer to this.
    control.summary()
    since = datetime.now(UTC)
    yield
    scene.noted.stops.append(Stopped(account, since, datetime.now(UTC)))
    control.set_account(account, state="ok")
    # From here on, the probe has to find it out.
    scene.healed("Twilio")
    _await_held(scene, account, held=False)


def _await_held(scene: Scene, account: str, *, held: bool) -> None:
    """Wait until every lookup has heard of it."""
    scene.until(
        f"every lookup says of {account} that held is {held}",
        lambda: scene.pipeline.says_held(account, "refused", held=held),
    )


# The way between two parts.


@_cause
def way_cut(scene: Scene, step: Step) -> Iterator[None]:
    """Every connection on the way to a part is reset, and new ones are until it is healed."""
    for name in step.whom:
        scene.proxies[name].closed = True
        assert scene.proxies[name].cut(), f"nothing was connected to {name}"
    yield
    for name in step.whom:
        scene.proxies[name].closed = False
        scene.healed(f"the way to {name}")


@_cause
def way_half_closed(scene: Scene, step: Step) -> Iterator[None]:
    """Both sides of every connection to a part are told that the other has no more to send."""
    for name in step.whom:
        assert scene.proxies[name].half_close(), f"nothing was connected to {name}"
    yield
    for name in step.whom:
        scene.healed(f"the way to {name}")


@_cause
def way_slow(scene: Scene, step: Step) -> Iterator[None]:
    """Every piece to and from a part takes `how`'s seconds longer."""
    for name in step.whom:
        scene.proxies[name].delay_seconds = step.how["seconds"]
    yield
    for name in step.whom:
        scene.proxies[name].delay_seconds = 0.0
        scene.healed(f"the way to {name}")


# The disk.


@_cause
def files_limited(scene: Scene, step: Step) -> Iterator[None]:
    """No file of a program may grow beyond `how`'s bytes."""
    pids = [scene.program(name).pid for name in step.whom]
    before = [resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in pids]
    for pid, (_, hard) in zip(pids, before, strict=True):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (step.how["bytes"], hard))
    yield
    for pid, limits in zip(pids, before, strict=True):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)


# Records.


@_cause
def doubled(scene: Scene, step: Step) -> Iterator[None]:
    """All records of topics so far are appended once more, the last one first."""
    records = of(asyncio.run(read_all(scene.settings)), *step.whom)
    scene.noted.doubled += asyncio.run(append(scene.settings, reversed(records)))
    yield


@_cause
def garbage(scene: Scene, step: Step) -> Iterator[None]:
    """Bytes that are no record of ours, small, large and none, in every partition of topics."""
    values = (b"\xff\xfe", b'{"kind": "lookup-request/1"}', b"[" * 900_000, b"", None)
    made = [
        Seen(topic, partition, 0, datetime.now(UTC), b"+14155550100", value)
        for topic in step.whom
        for partition in range(scene.settings.kafka_partitions)
        for value in values
    ]
    scene.noted.garbage += asyncio.run(append(scene.settings, made))
    yield


@_cause
def other_releases(scene: Scene, step: Step) -> Iterator[None]:
    """Requests as an older release writes them, with few fields, and a newer one, with more."""
    numbers = scene.more_numbers(2 * step.how["each"])
    contacts = [Contact(f"release-{n}", phone) for n, phone in enumerate(numbers)]
    scene.hand_in(contacts)
    made = []
    for n, contact in enumerate(contacts):
        value = _request(contact) | ({"of_tomorrow": {"a": 1}, "turns": [2]} if n % 2 else {})
        made.append(_on_contacts(scene, contact, value))
    asyncio.run(append(scene.settings, made))
    yield


@_cause
def crashing(scene: Scene, step: Step) -> Iterator[None]:
    """Requests that our own code fails on, when they fail: `of` has no number after this one."""
    numbers = [
        phone
        for phone in scene.more_numbers(20 * step.how["each"])
        if any(fault.strikes(phone, "default", (PACKAGE,), 0) for fault in scene.faults)
    ]
    contacts = [
        Contact(f"{step.how['of']}-{n}", phone, frozenset({"dead"}))
        for n, phone in enumerate(numbers[: step.how["each"]])
    ]
    scene.hand_in(contacts)
    made = [_on_contacts(scene, c, _request(c) | {step.how["of"]: 2**31 - 1}) for c in contacts]
    asyncio.run(append(scene.settings, made))
    yield


def _request(contact: Contact) -> dict[str, object]:
    return {
        "kind": "lookup-request/1",
        "request_id": str(uuid5(NAMESPACE_URL, contact.reference + contact.phone)),
        "job_id": str(uuid5(NAMESPACE_URL, "records of other releases")),
        "source": "tests",
        "account": "default",
        "phone": contact.phone,
        "packages": ["basic", PACKAGE],
        "reference": contact.reference,
        "accepted_at": datetime.now(UTC).isoformat(),
    }


def _on_contacts(scene: Scene, contact: Contact, value: Mapping[str, object]) -> Seen:
    key = contact.phone.encode()
    partition = partition_of(key, scene.settings.kafka_partitions)
    return Seen("contacts", partition, 0, datetime.now(UTC), key, json.dumps(value).encode())


# The front door.


@_cause
def upload(scene: Scene, step: Step) -> Iterator[None]:
    """A file whose rows are long; `how` says with which status it is answered, if not with 201."""
    rows, expected = step.how["rows"], step.how.get("status", HTTPStatus.CREATED)
    contacts = [Contact(f"u{n}", phone) for n, phone in enumerate(scene.more_numbers(rows))]
    lines = [
        "reference,phone,text",
        *(f"{contact.reference},{contact.phone},{_LONG}" for contact in contacts),
    ]
    try:
        with scene.pipeline.api as api:
            api.submit(
                "\n".join(lines).encode(),
                key="long rows",
                packages=PACKAGE,
                reference_column="reference",
                phone_column="phone",
            )
        status = HTTPStatus.CREATED
    except httpx.HTTPStatusError as error:
        status = HTTPStatus(int(str(error).split()[1].rstrip(":")))
    assert status == expected
    if status == HTTPStatus.CREATED:
        scene.hand_in(contacts)
    else:
        scene.give_back(contact.phone for contact in contacts)
    yield


# Topics.


@_cause
def grown(scene: Scene, _: Step) -> Iterator[None]:
    """Somebody gives the topics more partitions; healed as lookup says: all stop, all start."""
    asyncio.run(grow(scene.settings, scene.settings.kafka_partitions + 3))
    workers = [p for p in scene.stack.programs.values() if p.kind == "lookup" and p.running]
    others = [p.name for p in scene.stack.programs.values() if p.kind != "lookup" and p.running]
    for worker in workers:
        assert worker.wait_ended(GUARD_SECONDS) == EXIT_FAULT
        assert b"start every program again" in worker.log.read_bytes()
    for name in others:
        scene.stop(name)
    yield
    scene.start([*others, *(worker.name for worker in workers)])


# The scheduler's place.


@_cause
def rewound(scene: Scene, step: Step) -> Iterator[None]:
    """The scheduler's places on retry topics go back to the start, while it does not run.

    A commit undone is what a kill between a produce and its commit leaves behind, for all.
    """
    moved = asyncio.run(_rewind(scene.settings, step.whom))
    assert moved >= step.how["least"]
    yield


async def _rewind(settings: ProgramSettings, topics: Iterable[str]) -> int:
    """Gives the records that had been moved."""
    consumer = make_consumer(settings, group_id=settings.group("scheduler"))
    await consumer.start()
    try:
        places = [
            TopicPartition(f"{settings.kafka_topic_prefix}{topic}", number)
            for topic in topics
            for number in range(settings.kafka_partitions)
        ]
        consumer.assign(places)
        committed = [await consumer.committed(place) for place in places]
        async with asyncio.timeout(GUARD_SECONDS):
            while True:
                try:
                    await consumer.commit(dict.fromkeys(places, 0))
                    break
                except CommitFailedError:
                    await asyncio.sleep(0.5)  # the killed member is still in its group
    finally:
        await consumer.stop()
    return sum(offset or 0 for offset in committed)
