"""The Twilio client against the simulator, and against servers that misbehave."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest

from services.contracts.packages import Package
from services.local.twilio.config import Latency, SimulatorConfig
from services.local.twilio.faults import Fault
from services.local.twilio.process import TwilioSimulator
from services.lookup.accounts import Account
from services.lookup.classify import Reading, says_invalid
from services.lookup.codes import Class
from services.lookup.twilio import TwilioClient
from services.runtime.twilio_metrics import TWILIO_UNKNOWN_CODES

US, GB, INVALID = "+14159929960", "+447400123456", "+14155"
BASIC, LINE, CALLER = Package.BASIC, Package.LINE_TYPE_INTELLIGENCE, Package.CALLER_NAME


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwilioSimulator]:
    """A simulator that all tests here share; each sets its own faults."""
    config = SimulatorConfig(latency=Latency(median_seconds=0.0))
    with TwilioSimulator(tmp_path_factory.mktemp("twilio"), config) as server:
        yield server


@pytest.fixture
def account(simulator: TwilioSimulator) -> Iterator[Account]:
    """The simulator's account, as lookup has it."""
    known = simulator.config.accounts[0]
    simulator.control.set_faults()
    yield Account(known.name, known.sid, lambda: known.secret, simulator.base_url, 4, 2.0, 2.0)
    simulator.control.set_account(known.name, state="ok")


@pytest.fixture
async def client(account: Account) -> AsyncIterator[TwilioClient]:
    """A client of that account."""
    made = TwilioClient({account.name: account})
    yield made
    await made.close()


def nothing() -> None:
    """What a caller does before a call that it has no objection to."""


async def test_a_whole_answer(client: TwilioClient, simulator: TwilioSimulator) -> None:
    """One call brings all packages asked for; only paid ones are named to Twilio."""
    reading = await client.ask("default", US, tuple(Package), before_send=nothing, turn=2)
    assert reading.problems == ()
    assert {package: a.status for package, a in reading.answers.items()} == dict.fromkeys(
        Package, "ok"
    )
    assert {a.turn for a in reading.answers.values()} == {2}
    assert set(simulator.calls()[-1].packages) == {LINE, CALLER}
    await client.ask("default", US, (BASIC,), before_send=nothing)
    assert simulator.calls()[-1].packages == ()


async def test_an_invalid_number(client: TwilioClient) -> None:
    """A number that Twilio calls invalid is read as an answer."""
    reading = await client.ask("default", INVALID, (BASIC, LINE), before_send=nothing)
    assert says_invalid(reading.answers)
    assert reading.problems == ()


async def test_a_package_that_fails(client: TwilioClient) -> None:
    """A package that does not cover the number fails beside the others' answers."""
    reading = await client.ask("default", GB, (BASIC, LINE, CALLER), before_send=nothing)
    assert {package: a.status for package, a in reading.answers.items()} == {
        BASIC: "ok",
        LINE: "ok",
        CALLER: "failed",
    }


@pytest.mark.parametrize(
    ("fault", "klass", "reason", "billed"),
    [
        (Fault(name="a", kind="http_500"), Class.TRANSIENT, "server-error", "unknown"),
        (Fault(name="b", kind="http_503"), Class.TRANSIENT, "unavailable", "unknown"),
        (Fault(name="c", kind="rate_limited"), Class.RATE_LIMIT, "too-many-requests", "no"),
        (Fault(name="d", kind="unauthorized"), Class.ACCOUNT_STOP, "credentials-refused", "no"),
        (Fault(name="e", kind="not_found"), Class.PERMANENT_NUMBER, "number-not-found", "unknown"),
        (Fault(name="f", kind="cut"), Class.TRANSIENT, "answer-cut", "unknown"),
        (Fault(name="g", kind="reset"), Class.TRANSIENT, "connection-reset", "unknown"),
        (Fault(name="h", kind="wrong_json"), Class.TRANSIENT, "wrong-answer", "unknown"),
        (Fault(name="i", kind="wrong_number"), Class.TRANSIENT, "wrong-answer", "unknown"),
        (Fault(name="j", kind="slow", seconds=9), Class.TRANSIENT, "read-timeout", "unknown"),
        (Fault(name="k", kind="slow_body", seconds=9), Class.TRANSIENT, "read-timeout", "unknown"),
        (
            Fault(name="l", kind="http_error", status=400, code=20001),
            Class.JOB_CONFIGURATION,
            "bad-parameter",
            "unknown",
        ),
        (
            Fault(name="m", kind="package_error", package="line_type_intelligence", code=60611),
            Class.PACKAGE_STOP,
            "package-quota",
            "unknown",
        ),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else None,
)
async def test_every_way_to_fail(
    simulator: TwilioSimulator,
    account: Account,
    fault: Fault,
    klass: Class,
    reason: str,
    billed: str,
) -> None:
    """Each way a call can fail is told apart, and is one call by Twilio's own count."""
    client = TwilioClient({"default": replace(account, read_timeout=0.3)})
    before = len(simulator.calls())
    simulator.control.set_faults(fault)
    reading = await client.ask("default", US, (BASIC, LINE), before_send=nothing)
    await client.close()
    problem = reading.problems[0]
    assert (problem.klass, problem.reason) == (klass, reason)
    assert reading.billed == {BASIC: "no", LINE: billed}
    simulator.control.set_faults()
    if fault.kind not in {"slow", "slow_body"}:  # those are entered when the server is done
        assert len(simulator.calls()) == before + 1


async def test_retry_after_is_read(client: TwilioClient, simulator: TwilioSimulator) -> None:
    """A wait that Twilio asks for comes with the reading."""
    simulator.control.set_faults(Fault(name="x", kind="rate_limited", retry_after=7))
    reading = await client.ask("default", US, (BASIC,), before_send=nothing)
    assert reading.retry_after == 7.0


async def test_nobody_there(account: Account) -> None:
    """Without a connection nothing was sent and nothing is billed."""
    with socket.socket() as taken:  # bound and never listening: nobody else gets it meanwhile
        taken.bind(("127.0.0.1", 0))
        reading, sent = await _ask_at(account, taken.getsockname()[1])
    assert reading.problems[0].reason == "connect-failed"
    assert reading.billed == {LINE: "no"}
    assert sent == []


async def _ask_at(account: Account, port: int) -> tuple[Reading, list[str]]:
    away = replace(account, base_url=f"http://127.0.0.1:{port}")
    client = TwilioClient({"default": away})
    sent: list[str] = []
    reading = await client.ask("default", US, (LINE,), before_send=lambda: sent.append("sent"))
    await client.close()
    return reading, sent


class RefusedError(Exception):
    """Raised by a caller that does not want the call to be made any more."""


async def test_before_send_can_refuse(client: TwilioClient, simulator: TwilioSimulator) -> None:
    """What the caller raises right before the bytes are written reaches it, and nothing is sent."""

    def refuse() -> None:
        raise RefusedError

    before = len(simulator.calls())
    with pytest.raises(RefusedError):
        await client.ask("default", US, (BASIC,), before_send=refuse)
    await client.ask("default", US, (BASIC,), before_send=nothing)
    assert len(simulator.calls()) == before + 1


async def test_a_new_secret_is_used(account: Account) -> None:
    """A secret that changed is in the next call, on the same connections."""
    secrets = ["wrong", account.secret()]
    client = TwilioClient({"default": replace(account, secret=lambda: secrets[0])})
    assert (await client.check("default")).outcome == Class.ACCOUNT_STOP
    del secrets[0]
    assert (await client.check("default")).outcome == "ok"
    await client.close()


async def test_check_costs_nothing(client: TwilioClient, simulator: TwilioSimulator) -> None:
    """The call that checks an account is a free one."""
    assert (await client.check("default")).billed == {BASIC: "no"}
    assert simulator.calls()[-1].cost == 0


async def test_unknown_codes_are_loud(client: TwilioClient, simulator: TwilioSimulator) -> None:
    """A code that the table lacks is counted where people see it."""
    counter = TWILIO_UNKNOWN_CODES.labels(place="http", status="418")
    before = counter._value.get()
    simulator.control.set_faults(Fault(name="odd", kind="http_error", status=418, code=29999))
    await client.ask("default", US, (BASIC,), before_send=nothing)
    assert counter._value.get() == before + 1


async def test_many_at_once(client: TwilioClient, simulator: TwilioSimulator) -> None:
    """Many calls share the account's connections; each gets its own number's answer."""
    numbers = [f"+1415992{number:04}" for number in range(9900, 9960)]
    readings = await asyncio.gather(
        *(client.ask("default", phone, (BASIC,), before_send=nothing) for phone in numbers)
    )
    assert [reading.outcome for reading in readings] == ["ok"] * len(numbers)
    assert simulator.control.summary()["most_in_flight"]["default"] <= 4
