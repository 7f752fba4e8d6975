"""The simulator as it runs: a process, asked over HTTP, reconciled by its ledger."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import subprocess
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from services.local.processes import ServerError
from services.local.twilio.config import Account, Latency, SimulatorConfig
from services.local.twilio.faults import Fault
from services.local.twilio.ledger import Call, repeats
from services.local.twilio.process import ControlError, TwilioSimulator
from services.lookup.transport import HttptoolsTransport, RequestTemplate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

MAIN = Account(name="main", sid="SK" + "1" * 32, secret="one")
OTHER = Account(name="other", sid="SK" + "2" * 32, secret="two", concurrency=3)
NUMBER = "+12015550123"
AT_ONCE = Latency(median_seconds=0)
FOR_EVER = Latency(median_seconds=3600)


class Caller:
    """Asks the simulator with one account's credentials."""

    def __init__(self, base_url: str, account: Account) -> None:
        token = base64.b64encode(f"{account.sid}:{account.secret}".encode()).decode()
        self._template = RequestTemplate(base_url, {"Authorization": f"Basic {token}"})
        self._transport = HttptoolsTransport(
            base_url, connections=50, connect_seconds=30, read_seconds=30
        )

    async def ask(self, number: str, fields: str = "") -> httpx.Response:
        """Look a number up."""
        target = f"/v2/PhoneNumbers/{number.replace('+', '%2B')}?Fields={fields}"
        return await self._transport.handle_async_request(self._template.get(target))

    async def close(self) -> None:
        """Close its connections."""
        await self._transport.aclose()


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[TwilioSimulator]:
    config = SimulatorConfig(accounts=(MAIN, OTHER), latency=AT_ONCE)
    with TwilioSimulator(tmp_path, config) as running:
        yield running


@pytest.fixture
async def main(simulator: TwilioSimulator) -> AsyncIterator[Caller]:
    caller = Caller(simulator.base_url, MAIN)
    yield caller
    await caller.close()


@pytest.fixture
async def other(simulator: TwilioSimulator) -> AsyncIterator[Caller]:
    caller = Caller(simulator.base_url, OTHER)
    yield caller
    await caller.close()


def only_call(simulator: TwilioSimulator) -> Call:
    (call,) = simulator.calls()
    return call


async def until(simulator: TwilioSimulator, what: str, expected: Any) -> dict[str, Any]:
    """Ask for the summary until the simulator's own state is as expected."""
    while (summary := simulator.control.summary())[what] != expected:  # noqa: ASYNC110 # another process
        await asyncio.sleep(0.001)
    return summary


async def test_an_answer_is_in_the_ledger_before_it_is_read(
    simulator: TwilioSimulator, main: Caller
) -> None:
    """Who has the answer finds its call, with what it cost, in the file and over HTTP."""
    fields = "validation,caller_name,line_type_intelligence"
    for count in range(1, 51):
        response = await main.ask(NUMBER, fields)
        assert response.status_code == 200
        assert len(simulator.calls()) == count
    body = response.json()
    assert (body["phone_number"], body["valid"]) == (NUMBER, True)
    assert body["line_type_intelligence"]["type"]
    call = simulator.calls()[-1]
    asked = ("caller_name", "line_type_intelligence")
    assert (call.account, call.number, call.packages) == ("main", NUMBER, asked)
    assert (call.outcome, call.status, call.answered) == ("answered", 200, asked)
    assert call.billed == {"caller_name": "0.01", "line_type_intelligence": "0.008"}
    assert datetime.fromisoformat(call.started) <= datetime.fromisoformat(call.ended)
    assert simulator.control.calls() == simulator.calls()
    summary = simulator.control.summary()
    assert (summary["calls"], summary["cost"]) == (50, "0.900")
    assert summary["in_flight"] == {"main": 0}
    assert summary["most_in_flight"] == {"main": 1}
    assert repeats(simulator.calls()) == {("main", NUMBER, package): 49 for package in asked}


@pytest.mark.parametrize(
    ("target", "status", "code"),
    [
        ("/v2/PhoneNumbers/%2B12015550123?Fields=astrology", 400, 20001),
        ("/v2/PhoneNumbers/", 404, 20404),
        ("/v1/PhoneNumbers/%2B12015550123", 404, 20404),
    ],
)
async def test_a_wrong_request_is_an_error(
    simulator: TwilioSimulator, target: str, status: int, code: int
) -> None:
    """Unknown fields and paths are answered as Twilio does, and entered."""
    async with httpx.AsyncClient(auth=(MAIN.sid, MAIN.secret)) as client:
        response = await client.get(simulator.base_url + target)
    assert (response.status_code, response.json()["code"]) == (status, code)
    call = only_call(simulator)
    assert (call.outcome, call.status, call.code) == ("failed", status, code)


async def test_a_national_number_is_read_by_its_country(simulator: TwilioSimulator) -> None:
    """CountryCode says how to read a number without `+`."""
    async with httpx.AsyncClient(auth=(MAIN.sid, MAIN.secret)) as client:
        url = f"{simulator.base_url}/v2/PhoneNumbers/07400%20123456"
        response = await client.get(url, params={"CountryCode": "GB"})
    assert response.json()["phone_number"] == only_call(simulator).number == "+447400123456"


async def test_credentials_and_account_states_are_checked(
    simulator: TwilioSimulator, main: Caller, other: Caller
) -> None:
    """A stranger, a refused and a suspended account get their codes; the others go on."""
    stranger = Caller(simulator.base_url, MAIN.model_copy(update={"secret": "wrong"}))
    simulator.control.set_account("other", state="suspended")
    answers = [await caller.ask(NUMBER) for caller in (stranger, other, main)]
    simulator.control.set_account("main", state="refused")
    simulator.control.set_account("other", state="ok")
    answers += [await caller.ask(NUMBER) for caller in (stranger, other, main)]
    await stranger.close()
    codes = [(answer.status_code, answer.json().get("code")) for answer in answers]
    no, suspended, yes = (401, 20003), (403, 20005), (200, None)
    assert codes == [no, suspended, yes, no, yes, no]
    assert [call.account for call in simulator.calls()] == [None, "other", "main"] * 2


async def test_calls_over_the_limit_get_429(
    simulator: TwilioSimulator, main: Caller, other: Caller
) -> None:
    """Exactly as many as allowed are under way at once, per account, and each frees its place."""
    simulator.control.set_latency(FOR_EVER)
    waiting = [asyncio.ensure_future(other.ask(NUMBER)) for _ in range(3)]
    await until(simulator, "in_flight", {"other": 3})
    refused = await other.ask(NUMBER)
    assert (refused.status_code, refused.json()["code"]) == (429, 20429)
    simulator.control.set_latency(AT_ONCE)
    assert (await main.ask(NUMBER)).status_code == 200
    waiting.pop().cancel()
    await until(simulator, "in_flight", {"other": 2, "main": 0})
    assert (await other.ask(NUMBER)).status_code == 200
    simulator.control.set_account("other", concurrency=2)
    assert (await other.ask(NUMBER)).status_code == 429
    for call in waiting:
        call.cancel()
    summary = await until(simulator, "in_flight", {"other": 0, "main": 0})
    assert summary["most_in_flight"] == {"other": 3, "main": 1}
    assert summary["outcomes"] == {"answered": 2, "failed": 2, "abandoned": 3}


@pytest.mark.parametrize(
    ("fault", "error", "outcome"),
    [
        (Fault(name="f", kind="cut"), httpx.RemoteProtocolError, "cut"),
        (Fault(name="f", kind="reset"), httpx.ReadError, "cut"),
        (Fault(name="f", kind="http_500"), None, "failed"),
        (Fault(name="f", kind="rate_limited", retry_after=2), None, "failed"),
        (Fault(name="f", kind="http_error", status=403, code=70051), None, "failed"),
        (Fault(name="f", kind="wrong_json"), None, "failed"),
        (Fault(name="f", kind="wrong_number"), None, "failed"),
        (Fault(name="f", kind="slow", seconds=0.01), None, "answered"),
        (Fault(name="f", kind="slow_body", seconds=0.01), None, "answered"),
        (
            Fault(name="f", kind="package_error", package="caller_name", code=60608),
            None,
            "answered",
        ),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else None,
)
async def test_a_fault_strikes_and_a_number_recovers(
    simulator: TwilioSimulator,
    main: Caller,
    fault: Fault,
    error: type[Exception] | None,
    outcome: str,
) -> None:
    """The caller and the ledger see the fault as often as ordered, and then the whole answer."""
    simulator.control.set_faults(fault.model_copy(update={"times_per_number": 1}))
    with pytest.raises(error) if error else contextlib.nullcontext():
        response = await main.ask(NUMBER, "caller_name")
        assert response.headers.get("retry-after") == ("2" if fault.retry_after else None)
    call = only_call(simulator)
    assert (call.outcome, call.faults) == (outcome, ("f",))
    assert (call.status is None) == (outcome == "cut")
    assert bool(call.billed) == (fault.kind in {"slow", "slow_body"})
    whole = await main.ask(NUMBER, "caller_name")
    assert whole.json()["caller_name"]["error_code"] is None
    assert simulator.calls()[-1].outcome == "answered"
    assert simulator.control.summary()["in_flight"] == {"main": 0}


@pytest.mark.parametrize("kind", ["slow", "slow_body"])
async def test_an_answer_nobody_waits_for_is_abandoned(
    simulator: TwilioSimulator, main: Caller, kind: str
) -> None:
    """A client that leaves before the end, or in the middle, was not answered and is not billed."""
    simulator.control.set_faults(Fault.model_validate({"name": "f", "kind": kind, "seconds": 3600}))
    call = asyncio.ensure_future(main.ask(NUMBER, "caller_name"))
    await until(simulator, "in_flight", {"main": 1})
    call.cancel()
    await until(simulator, "in_flight", {"main": 0})
    entered = only_call(simulator)
    assert (entered.outcome, entered.packages) == ("abandoned", ("caller_name",))
    assert entered.billed is None


async def test_a_killed_client_is_not_taken_for_an_answered_one(
    simulator: TwilioSimulator,
) -> None:
    """After a kill -9 of the client its calls under way are entered as abandoned."""
    simulator.control.set_latency(FOR_EVER)
    script = (
        "import sys, urllib.request as u\n"
        "p = u.HTTPPasswordMgrWithPriorAuth()\n"
        "p.add_password(None, sys.argv[1], *sys.argv[2:], is_authenticated=True)\n"
        "u.build_opener(u.HTTPBasicAuthHandler(p)).open(sys.argv[1])\n"
    )
    url = f"{simulator.base_url}/v2/PhoneNumbers/%2B12015550123"
    client = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, url, MAIN.sid, MAIN.secret
    )
    await until(simulator, "in_flight", {"main": 1})
    client.kill()
    await client.wait()
    await until(simulator, "in_flight", {"main": 0})
    assert only_call(simulator).outcome == "abandoned"


async def test_the_ledger_outlives_the_simulator(tmp_path: Path) -> None:
    """A kill loses no answered call; a stop cuts what is under way; faults go on counting."""
    fault = Fault(name="once", kind="http_503", times_per_number=1)
    config = SimulatorConfig(accounts=(MAIN,), latency=AT_ONCE, faults=(fault,))
    simulator = TwilioSimulator(tmp_path, config)
    simulator.start()
    caller = Caller(simulator.base_url, MAIN)
    assert (await caller.ask(NUMBER)).status_code == 503
    simulator.kill()
    with simulator:
        assert (await caller.ask(NUMBER)).status_code == 200
        simulator.control.set_latency(FOR_EVER)
        call = asyncio.ensure_future(caller.ask(NUMBER))
        await until(simulator, "in_flight", {"main": 1})
        simulator.stop()
    with pytest.raises(httpx.TransportError):
        await call
    await caller.close()
    assert [call.outcome for call in simulator.calls()] == ["failed", "answered", "cut"]


async def test_garbage_and_pipelining_close_the_connection(simulator: TwilioSimulator) -> None:
    """What is no request, and a second one before the answer, end the connection."""
    simulator.control.set_latency(FOR_EVER)
    request = b"GET /v2/PhoneNumbers/%2B12015550123 HTTP/1.1\r\nHost: x\r\n\r\n"
    authorized = request.replace(b"Host", b"Authorization: %b\r\nHost" % MAIN.authorization)
    for data in (b"SSH-2.0-x\r\n", authorized * 2):
        reader, writer = await asyncio.open_connection("127.0.0.1", simulator.port)
        writer.write(data)
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
    assert only_call(simulator).outcome == "cut"


def test_the_control_endpoint_says_what_it_does_not_take(simulator: TwilioSimulator) -> None:
    """A mistake in a script is an error there, with the field's name, and changes nothing."""
    control = simulator.control
    control.set_faults(Fault(name="f", kind="cut"))
    for method, path, body, complaint in (
        ("PUT", "faults", [{"name": "g", "kind": "earthquake"}], "kind"),
        ("PUT", "latency", {"mean": 1}, "mean"),
        ("PUT", "accounts/main", {"secret": "x"}, "secret"),
        ("PUT", "accounts/nobody", {}, "accounts/nobody"),
        ("POST", "faults", [], "POST"),
        ("GET", "nothing", None, "nothing"),
        ("GET", "ledger/calls?offset=x", None, "invalid literal"),
    ):
        with pytest.raises(ControlError, match=complaint):
            control._request(method, path, body)
    assert control.faults() == [{"name": "f", "kind": "cut"}]
    assert "secret" not in json.dumps(control.accounts())


def test_a_simulator_that_cannot_start_says_why(tmp_path: Path) -> None:
    """The end of its log is in the error, and nothing is left running."""
    (tmp_path / "ledger.jsonl").mkdir()
    simulator = TwilioSimulator(tmp_path)
    with pytest.raises(ServerError, match="ledger"):
        simulator.start()


def test_it_runs_from_the_command_line(tmp_path: Path) -> None:
    """One JSON line says where it listens; SIGTERM ends it with success."""
    command = [sys.executable, "-m", "services.local.twilio", "--directory", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert httpx.get(f"{ready['base_url']}/_control/health").json()["pid"] == process.pid
        process.terminate()
        assert process.wait() == 0
