"""What lookup does with one record, with everything outside replaced by hand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, NamedTuple, cast
from uuid import UUID

import pytest

from services.contracts.codec import encode
from services.contracts.messages import DeadLetter, LookupRequest, LookupResult
from services.contracts.packages import Answer, Answers, Package
from services.contracts.topics import topic_table
from services.contracts.turns import Row, State
from services.lookup.accounts import Account
from services.lookup.agents import Agents
from services.lookup.classify import Problem, Reading
from services.lookup.codes import Class
from services.lookup.flights import Flights
from services.lookup.flood import Flood, Limits
from services.lookup.intake import Taken
from services.lookup.lease import Lease
from services.lookup.memory import Memory
from services.lookup.outlet import Outlet
from services.lookup.paid import Known, PaidCheck
from services.lookup.route import Policy
from services.lookup.throttle import Throttle
from services.lookup.twilio import TwilioClient
from services.runtime.control_topic import ControlTopic
from services.runtime.kafka import Publisher
from services.runtime.program import FaultError

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
TOPICS = topic_table()
PHONE = "+14155550100"
BASIC, LINE = Package.BASIC, Package.LINE_TYPE_INTELLIGENCE
TEMPORARY = Problem(None, Class.TRANSIENT, "unavailable", "Away.", code=20503)
BAD_REQUEST = Problem(None, Class.PERMANENT_NUMBER, "bad-request", "No.", status=400)
TOO_MANY = Problem(None, Class.RATE_LIMIT, "rate-limit", "Too many.", code=20429)
REFUSED = Problem(None, Class.ACCOUNT_STOP, "credentials-refused", "Refused.", code=20003)


class Place(NamedTuple):
    topic: str
    partition: int


def request(number: int = 1, **fields: Any) -> LookupRequest:
    whole: dict[str, Any] = {
        "request_id": UUID(int=number),
        "job_id": UUID(int=99),
        "source": "test",
        "account": "main",
        "phone": PHONE,
        "packages": (BASIC, LINE),
        "accepted_at": NOW,
    }
    return LookupRequest.model_validate(whole | fields)


def taken(value: bytes, partition: int = 7) -> Taken:
    message = SimpleNamespace(
        tp=Place("contacts", partition),
        offset=3,
        key=PHONE.encode(),
        value=value,
        headers=(),
        timestamp=NOW.timestamp(),
    )
    return Taken(SimpleNamespace(message=message))


def answered() -> Answers:
    answer = Answer(status="ok", data={"valid": True}, looked_up_at=datetime.now(UTC))
    return {BASIC: answer, LINE: answer}


class World:
    """All that is outside of lookup, and what it was asked and told."""

    def __init__(self) -> None:
        self.row: Row | None = None
        #: What PostgreSQL has for the number.
        self.stored: Answers = {}
        self.problem: Problem | None = None
        self.on_send: Callable[[], None] = lambda: None
        self.fault: Exception | None = None
        self.asked: list[str] = []
        self.kafka_answers = asyncio.Event()
        self.kafka_answers.set()
        #: Topic, partition and value of each record.
        self.written: list[tuple[str, int, bytes]] = []
        self.held: frozenset[str] = frozenset()
        self.change: Callable[[], Awaitable[object]] = asyncio.Event().wait

    async def known(self, _: LookupRequest) -> Known:
        return Known(self.row, self.stored)

    async def call(
        self,
        _: str,
        phone: str,
        packages: Collection[Package],
        *,
        before_send: Callable[[], object],
        generation: int,
        turn: int,
    ) -> Reading:
        del generation, turn
        self.on_send()
        before_send()
        self.asked.append(phone)
        await asyncio.sleep(0)
        if self.fault is not None:
            raise self.fault
        if self.problem is not None:
            return Reading(frozenset(packages), {}, (self.problem,))
        return Reading(frozenset(packages), answered())

    async def publish(
        self, topic: str, value: bytes, *, key: bytes, partition: int, headers: Any = None
    ) -> Any:
        del key, headers
        await self.kafka_answers.wait()
        self.written.append((topic, partition, value))
        return SimpleNamespace(offset=len(self.written))

    async def set(self, key: str, *, held: bool, why: str, by: str) -> None:
        del why, by
        self.held = self.held | {key} if held else self.held - {key}

    async def changed(self) -> None:
        await self.change()


def throttle(name: str) -> Throttle:
    made = Throttle(name)
    made.resize(1, 1.0)
    return made


def agents(
    world: World,
    *,
    lease: Lease | None = None,
    accounts: tuple[str, ...] = ("main", "other"),
    flood: int = 100,
) -> Agents:
    if lease is None:
        lease = Lease(10)
        lease.renew(time.monotonic())
    memory = Memory(100)
    publisher = cast("Publisher", SimpleNamespace(publish=world.publish))
    return Agents(
        accounts={name: cast("Account", SimpleNamespace(name=name)) for name in accounts},
        throttles={name: throttle(name) for name in accounts},
        floods={name: Flood(Limits(run=flood)) for name in accounts},
        client=cast("TwilioClient", SimpleNamespace(ask=world.call)),
        policy=Policy((timedelta(seconds=15),)),
        paid=cast("PaidCheck", SimpleNamespace(ask=world.known)),
        memory=memory,
        flights=Flights(),
        lease=lease,
        control=cast("ControlTopic", world),
        outlet=Outlet(publisher, TOPICS, memory),
    )


def outcomes(world: World) -> list[str]:
    return [topic for topic, _, _ in world.written]


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_an_outcome_goes_to_the_partition_of_its_record() -> None:
    """One record says what came of a contact, on the partition number that it was taken from."""
    world = World()
    await agents(world).handle(taken(encode(request()), partition=7))
    ((topic, partition, value),) = world.written
    assert (topic, partition) == ("lookup.results", 7)
    assert LookupResult.model_validate_json(value).answers.keys() == {BASIC, LINE}


async def test_calls_stop_when_kafka_does() -> None:
    """A call whose outcome is not acknowledged stays in flight: the next one is not made."""
    world = World()
    world.kafka_answers.clear()
    handle = agents(world).handle
    work = [
        asyncio.create_task(handle(taken(encode(request(n, phone=f"+1415555010{n}")))))
        for n in (1, 2)
    ]
    await settle()
    assert len(world.asked) == 1
    world.kafka_answers.set()
    await asyncio.gather(*work)
    assert len(world.asked) == 2


async def test_the_second_request_for_a_number_takes_the_firsts_answer() -> None:
    """PostgreSQL knows nothing of either, yet one call is made: the check comes after the flight."""
    world = World()
    handle = agents(world).handle
    await asyncio.gather(*(handle(taken(encode(request(n)))) for n in (1, 2)))
    assert world.asked == [PHONE]
    first, second = (LookupResult.model_validate_json(value) for _, _, value in world.written)
    assert [first.answers[LINE].reused, second.answers[LINE].reused] == [False, True]


async def test_what_postgresql_has_of_the_number_is_not_paid_again() -> None:
    """A fresh answer that another request got is this one's, too, without a call."""
    world = World()
    world.stored = answered()
    await agents(world).handle(taken(encode(request())))
    ((_, _, value),) = world.written
    result = LookupResult.model_validate_json(value)
    assert (world.asked, result.answers[LINE].reused) == ([], True)


async def test_what_the_row_has_is_not_paid_again() -> None:
    """Answers that the record itself does not carry, such as a straggler's, are kept."""
    world = World()
    world.row = Row(State.PENDING, answers=answered())
    await agents(world).handle(taken(encode(request())))
    assert (world.asked, outcomes(world)) == ([], ["lookup.results"])


async def test_a_record_that_comes_again_before_it_is_stored_is_dropped() -> None:
    """PostgreSQL does not know yet that its turn has ended; this process does."""
    world = World()
    handle = agents(world).handle
    for _ in range(2):
        await handle(taken(encode(request())))
    assert outcomes(world) == ["lookup.results"]


async def test_an_old_answer_in_postgresql_does_not_hide_a_new_one_in_memory() -> None:
    """The first asks since the stored answer is stale; the second takes what the first got."""
    world = World()
    world.stored = {
        package: answer.model_copy(update={"looked_up_at": NOW - timedelta(days=90)})
        for package, answer in answered().items()
    }
    handle = agents(world).handle
    await asyncio.gather(*(handle(taken(encode(request(n)))) for n in (1, 2)))
    assert world.asked == [PHONE]


async def test_a_record_that_waits_for_nothing_any_more_is_not_in_flight() -> None:
    """Stopped with every account, a refused record gives its permit back while it waits."""
    world = World()
    world.problem = REFUSED
    alone = agents(world, accounts=("main",))
    work = asyncio.create_task(alone.handle(taken(encode(request()))))
    await settle()
    assert not work.done()
    assert alone._throttles["main"].in_flight == 0
    work.cancel()


@pytest.mark.parametrize(
    "row",
    [Row(State.COMPLETED), Row(State.RETRYING), Row(State.PENDING, turn=2), Row(State.ERASED)],
)
async def test_a_turn_that_has_ended_is_dropped(row: Row) -> None:
    """A record that comes again after its turn ended makes no call and no record."""
    world = World()
    world.row = row
    await agents(world).handle(taken(encode(request())))
    assert (world.asked, world.written) == ([], [])


async def test_a_process_that_lost_its_lease_sends_nothing() -> None:
    """Right before the bytes the lease is over: nothing is sent until a heartbeat succeeds."""
    world, lease = World(), Lease(10)
    record = taken(encode(request()))
    work = asyncio.create_task(agents(world, lease=lease).handle(record))
    await settle()
    assert (world.asked, record.sent_at) == ([], None)
    lease.renew(time.monotonic())
    await work
    assert world.asked == [PHONE]


async def test_account_trouble_holds_and_burns_nothing() -> None:
    """Refused credentials stop the account and hold the request, in its turn, without an attempt."""
    world = World()
    world.problem = REFUSED
    await agents(world).handle(taken(encode(request())))
    ((topic, _, value),) = world.written
    held = LookupRequest.model_validate_json(value)
    assert topic == "lookup.parked"
    assert (held.turn, held.attempts, held.waits_for) == (1, 0, ("account:main:refused",))
    assert world.held == {"account:main:refused"}


async def test_with_every_account_stopped_nothing_is_written() -> None:
    """What was taken waits in front of the call, so that nothing more is taken."""
    world = World()
    world.held = frozenset({"account:main:person"})
    work = asyncio.create_task(agents(world, accounts=("main",)).handle(taken(encode(request()))))
    await settle()
    assert (world.asked, world.written, work.done()) == ([], [], False)
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)


async def test_a_hold_set_while_a_call_connects_stops_it_before_its_first_byte() -> None:
    """The last moment at which nothing was sent: a process that says it has stopped has."""
    world = World()

    def stop() -> None:
        world.held = frozenset({"account:main:person"})

    world.on_send = stop
    await agents(world).handle(taken(encode(request())))
    ((topic, _, value),) = world.written
    held = LookupRequest.model_validate_json(value)
    assert world.asked == []
    assert (topic, held.turn, held.attempts) == ("lookup.parked", 1, 0)


async def test_a_flood_of_contacts_refused_for_good_stops_their_account() -> None:
    """The third of a run of three is dead, and stops its account; the next is held."""
    world = World()
    world.problem = BAD_REQUEST
    handle = agents(world, flood=3).handle
    for n in range(4):
        await handle(taken(encode(request(n, phone=f"+1415555010{n}"))))
    assert outcomes(world) == [*3 * ["lookup.dead-letters"], "lookup.parked"]
    assert world.held == {"account:main:flood"}


async def test_floods_are_counted_by_account() -> None:
    """What ends of one account says nothing of another."""
    world = World()
    world.problem = BAD_REQUEST
    handle = agents(world, flood=2).handle
    for n, account in enumerate(("main", "other")):
        await handle(taken(encode(request(n, phone=f"+1415555010{n}", account=account))))
    assert world.held == set()


async def test_a_refusal_for_the_rate_teaches_the_accounts_limit() -> None:
    """Refused even at one call, the next is not made before a pause; it burns no attempt."""
    world = World()
    world.problem = TOO_MANY
    handling = agents(world)
    work = asyncio.create_task(handling.handle(taken(encode(request()))))
    await settle()
    assert (world.asked, work.done()) == ([PHONE], False)
    world.problem = None
    handling._throttles["main"].restart()
    await work
    ((topic, _, value),) = world.written
    result = LookupResult.model_validate_json(value)
    assert (world.asked, topic, result.attempts) == ([PHONE, PHONE], "lookup.results", 0)


async def test_a_retry_carries_the_next_turn() -> None:
    """What failed for its own sake goes to a retry topic, its attempt counted."""
    world = World()
    world.problem = TEMPORARY
    await agents(world).handle(taken(encode(request())))
    ((topic, _, value),) = world.written
    following = LookupRequest.model_validate_json(value)
    assert (topic, following.turn, following.attempts) == ("lookup.retry.15s", 2, 1)


async def test_a_retry_never_waits_for_its_delay() -> None:
    """The record is done with at once; the delay is the retry topic's."""
    world = World()
    world.problem = TEMPORARY
    work = asyncio.create_task(agents(world).handle(taken(encode(request()))))
    await settle()
    done = work.done()
    work.cancel()
    assert (done, outcomes(world)) == (True, ["lookup.retry.15s"])


async def test_a_fault_of_our_own_is_a_dead_letter_with_what_was_paid() -> None:
    """A record on which our code fails keeps its bytes and answers, and stops nothing."""
    world = World()
    world.fault = RuntimeError("a bug")
    paid = {BASIC: answered()[BASIC]}
    record = taken(encode(request(answers=paid, turn=2)))
    await agents(world).handle(record)
    ((topic, _, value),) = world.written
    letter = DeadLetter.model_validate_json(value)
    assert (topic, letter.reason) == ("lookup.dead-letters", "internal-error")
    assert letter.original_value == record.value
    assert letter.request is not None
    assert letter.request.answers == paid


async def test_a_flood_of_our_own_faults_stops_the_account_and_the_flood() -> None:
    """Also where our code fails before it looks for a hold: then the record is held, not dead."""
    world = World()

    async def fail(_: LookupRequest) -> Known:
        raise RuntimeError("a bug")

    work = agents(world, flood=2)
    work._paid = cast("PaidCheck", SimpleNamespace(ask=fail))
    for n in range(3):
        await work.handle(taken(encode(request(n, phone=f"+1415555010{n}"))))
    assert outcomes(world) == ["lookup.dead-letters", "lookup.parked", "lookup.parked"]
    assert world.held == {"account:main:flood"}


async def test_with_every_account_stopped_a_fault_of_our_own_waits_and_is_tried_again() -> None:
    """It fills a slot as any other, and begins anew when the hold is gone."""
    world = World()
    world.held = frozenset({"account:main:person"})
    lifted = asyncio.Event()
    world.change = lifted.wait
    work = agents(world, accounts=("main",))

    async def fail(_: LookupRequest) -> Known:
        raise RuntimeError("a bug")

    work._paid = cast("PaidCheck", SimpleNamespace(ask=fail))
    handling = asyncio.create_task(work.handle(taken(encode(request()))))
    await settle()
    assert (world.written, handling.done()) == ([], False)
    work._paid = cast("PaidCheck", SimpleNamespace(ask=world.known))
    world.held = frozenset()
    lifted.set()
    await handling
    assert outcomes(world) == ["lookup.results"]


async def test_a_fault_after_the_call_is_a_dead_letter_also_of_a_stopped_account() -> None:
    """It may have been paid, so it must not be asked again by itself."""
    world = World()
    world.fault = RuntimeError("a bug")
    await agents(world, flood=1).handle(taken(encode(request())))
    assert world.held == {"account:main:flood"}
    assert outcomes(world) == ["lookup.dead-letters"]


async def test_bytes_that_are_no_request_are_a_dead_letter() -> None:
    """What does not decode is kept as it was."""
    world = World()
    await agents(world).handle(taken(b"\xff garbage"))
    ((_, _, value),) = world.written
    letter = DeadLetter.model_validate_json(value)
    assert (letter.reason, letter.original_value) == ("undecodable", b"\xff garbage")


async def test_a_newer_version_stops_the_program() -> None:
    """A request of a version to come is no dead letter: the program ends and says what to do."""
    world = World()
    newer = encode(request()).replace(b"lookup-request/1", b"lookup-request/2")
    with pytest.raises(FaultError, match="upgrade it first"):
        await agents(world).handle(taken(newer))
    assert world.written == []
