"""The control endpoint: what a test or the demo changes and reads while the simulator runs."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from pydantic import TypeAdapter, ValidationError

from services.local.twilio.config import Account, AccountChange, Latency
from services.local.twilio.faults import Fault, dump

if TYPE_CHECKING:
    from services.local.twilio.simulator import Simulator

PATH = "/_control/"
_LEDGER_BYTES = 1 << 22
_FAULTS = TypeAdapter(tuple[Fault, ...])


def control(simulator: Simulator, method: str, target: str, body: bytes) -> tuple[int, bytes]:
    """Perform a request to the control endpoint; return its HTTP status and JSON body.

    The ledger's calls come as JSON lines, as many as fit from a byte offset on.
    """
    path, _, query = target.removeprefix(PATH).partition("?")
    try:
        if (method, path) == ("GET", "ledger/calls"):
            offset = int(parse_qs(query).get("offset", ["0"])[0])
            return 200, simulator.ledger.read(max(0, offset), _LEDGER_BYTES)
        shown = None
        if method == "GET":
            shown = _show(simulator, path)
        elif method == "PUT":
            shown = _change(simulator, path, body)
    except ValidationError as error:
        return 422, _encode({"error": str(error)})
    except ValueError as error:
        return 400, _encode({"error": str(error)})
    if shown is None:
        return 404, _encode({"error": f"no {method} {path} here"})
    return 200, _encode(shown)


def _show(simulator: Simulator, path: str) -> Any:
    match path.split("/"):
        case ["health"]:
            return {"status": "ok", "pid": os.getpid()}
        case ["faults"]:
            return dump(simulator.faults)
        case ["latency"]:
            return simulator.latency.model_dump()
        case ["accounts"]:
            return {name: _show_account(account) for name, account in simulator.accounts.items()}
        case ["ledger", "summary"]:
            return {
                **simulator.ledger.summary(),
                "in_flight": simulator.in_flight,
                "most_in_flight": simulator.most_in_flight,
            }
    return None


def _change(simulator: Simulator, path: str, body: bytes) -> Any:
    match path.split("/"):
        case ["faults"]:
            simulator.faults = _FAULTS.validate_json(body)
        case ["latency"]:
            simulator.latency = Latency.model_validate_json(body)
        case ["accounts", name] if name in simulator.accounts:
            account = simulator.accounts[name]
            change = AccountChange.model_validate_json(body)
            account.state = change.state or account.state
            if change.concurrency is not None:
                account.concurrency = change.concurrency
            return _show_account(account)
        case _:
            return None
    return _show(simulator, path)


def _show_account(account: Account) -> dict[str, Any]:
    return account.model_dump(exclude={"secret"})


def _encode(value: Any) -> bytes:
    return json.dumps(value).encode()
