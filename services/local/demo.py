"""`bulk-lookup demo`: the whole system at work on the sample, on real parts, and then gone.

Everything lives in a temporary directory and ends with this process. No setting of the
environment reaches the programs, so that it is the same everywhere and never spends money.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict
from json import dumps
from pathlib import Path
from typing import Any

import httpx
from pydantic import TypeAdapter
from rich.console import Console
from rich.text import Text

from services.local import sample
from services.local.api_client import ApiClient
from services.local.demo_summary import Expected, Facts, Summary, summarise
from services.local.demo_view import Progress, View, show_summary
from services.local.environment import own_database, own_kafka, own_twilio, without_settings
from services.local.interrupts import Interrupted, interrupts
from services.local.jars import JarError
from services.local.processes import ServerError
from services.local.programs import Program
from services.local.stack import Plan, Stack
from services.local.twilio.config import Latency, SimulatorConfig, load_prices
from services.local.twilio.faults import Fault
from services.local.twilio.process import TwilioSimulator
from services.runtime.logs import configure_logging
from services.runtime.program import FaultError

FAULTS = Path(__file__).with_name("demo_faults.json")
PACKAGES = "line_type_intelligence,caller_name"
#: Calls in flight over both workers.
_CONCURRENCY = 100
#: What the simulator takes of them: the rest is too many requests, until lookup has adapted.
_ALLOWED = 80
_LATENCY = Latency(median_seconds=0.1, spread=0.25)
_SETTINGS = {
    "RETRY_DELAYS": "500ms,1s,2s",
    # Shorter than the simulator's slowest answers, so that some never come in time.
    "TWILIO_READ_TIMEOUT": "2s",
    "TWILIO_CONCURRENCY": str(_CONCURRENCY),
}
_IN_FLIGHT = re.compile(r"^twilio_requests_in_flight\{[^}]*\} (\S+)$", re.MULTILINE)
_POLL_SECONDS = 0.25
#: Without any progress for so long, the demo gives up.
_STALL_SECONDS = 60.0
_ADDS_UP, _DOES_NOT = 0, 1
_PLAIN_WIDTH = 120
_CLOSING = (
    "Where to look next",
    "  make up                         the same, kept running; it prints URLs and the token",
    "  bulk-lookup submit FILE --wait  your own file through it; bulk-lookup --help for the rest",
    "  http://127.0.0.1:8001/docs      ingest's API, once it is up; results' is on port 8004",
    "  docs/architecture.md            how it works, and what it promises",
)


class _StalledError(Exception):
    """The job does not move any more."""


_FAILURES = (ServerError, JarError, FaultError, httpx.HTTPError, OSError, _StalledError)


def demo(rows: int | None = None, *, json: bool = False) -> int:
    """Run the demo; gives the exit code, 0 only if everything added up.

    Args:
        rows: How many rows of the sample to submit; all without it.
        json: Print the summary as JSON on standard output, and all else on standard error.
    """
    console = Console(stderr=json, highlight=False)
    if not console.is_terminal:
        console.width = _PLAIN_WIDTH
    configure_logging("demo", "error")
    directory = Path(tempfile.mkdtemp(prefix="bulk-lookup-demo-"))
    token = secrets.token_urlsafe(24)
    view = View(console)
    stack = Stack(directory, _plan(token), view.step)
    summary, code = None, _DOES_NOT
    with interrupts(stack) as signals:
        try:
            _greet(console)
            with view:
                summary = _run(stack, token, rows, view)
            code = _ADDS_UP if summary.adds_up else _DOES_NOT
        except Interrupted as interruption:
            console.print("Interrupted: stopping everything. Once more kills what still runs.")
            code = interruption.exit_code
        except _FAILURES as error:
            console.print(Text(f"The demo failed: {error}", "red"))
        finally:
            signals.stopping = True
            stack.stop()
            _clean(directory, console, keep_logs=code == _DOES_NOT)
    if summary is not None and json:
        sys.stdout.write(dumps(asdict(summary) | {"adds_up": summary.adds_up}) + "\n")
    elif summary is not None:
        show_summary(console, summary, _CLOSING)
    return code


def _plan(token: str) -> Plan:
    faults = TypeAdapter(tuple[Fault, ...]).validate_json(FAULTS.read_bytes())
    (account,) = SimulatorConfig().accounts
    return Plan(
        environ=without_settings(os.environ),
        settings={**_SETTINGS, "API_TOKENS": f"demo:{token}"},
        simulator=SimulatorConfig(
            accounts=(account.model_copy(update={"concurrency": _ALLOWED}),),
            latency=_LATENCY,
            faults=faults,
        ),
        durable=False,
    )


def _greet(console: Console) -> None:
    console.print(Text("Bulk Lookup", "bold"))
    console.print(
        "Apache Kafka, PostgreSQL and every program for real; Twilio is simulated, and fails "
        "now and then on purpose. Nothing leaves this machine, and nothing is paid."
    )
    console.print(
        f"Retries wait {_SETTINGS['RETRY_DELAYS'].replace(',', ', ')} here, not 15s, 1m, 5m as usual."
    )
    if own_twilio(os.environ):
        console.print("TWILIO_ settings are here: the demo does not use them.", style="yellow")
    if own_kafka(os.environ) or own_database(os.environ):
        console.print(
            "Settings of Kafka or PostgreSQL are here: the demo brings its own; "
            "`bulk-lookup up` would use yours.",
            style="yellow",
        )
    console.print()


def _run(stack: Stack, token: str, rows: int | None, view: View) -> Summary:
    stack.start()
    contacts = sample.rows()[:rows]
    with ApiClient(stack.programs["ingest"].url, stack.programs["results"].url, token) as api:
        view.step(f"Submitting {len(contacts):,} rows of {sample.PATH.name} to ingest")
        started = time.monotonic()
        submitted = api.submit(
            sample.to_csv(contacts),
            packages=PACKAGES,
            reference_column=sample.HEADINGS[0],
            file_name=sample.PATH.name,
        )
        view.step(
            f"Ingest took {submitted['accepted']:,} contacts and rejected {submitted['rejected']:,} rows"
        )
        job_id = str(submitted["job_id"])
        _watch(stack, api, job_id, view)
        seconds = time.monotonic() - started
        view.step("Every contact has its end")
        prices = load_prices()
        return summarise(
            Facts(
                rows=[Expected(row.customer_id, row.e164, row.wrong) for row in contacts],
                submitted=submitted,
                job=api.job(job_id),
                contacts=list(api.results(job_id)),
                rejected=list(api.rejected(job_id)),
                calls=_simulator(stack).calls(),
                faults=_simulator(stack).config.faults,
                prices=prices.per_call,
                currency=prices.currency,
                seconds=seconds,
            )
        )


def _watch(stack: Stack, api: ApiClient, job_id: str, view: View) -> None:
    """Show progress until every contact has its end and every rejected row is stored.

    Raises:
        ServerError: A program ended by itself.
        _StalledError: Nothing moved for too long.
    """
    moved_at, moved_from = time.monotonic(), -1
    while True:
        stack.check()
        job = api.job(job_id, breakdown=False)
        view.show(_progress(stack, job))
        if job["complete"] and job["rejected"] >= job["sealed"]["rejected"]:
            return
        if job["finished"] != moved_from:
            moved_at, moved_from = time.monotonic(), job["finished"]
        if time.monotonic() - moved_at > _STALL_SECONDS:
            raise _StalledError(
                f"no contact has ended for {_STALL_SECONDS:.0f} s; the states are {job['counts']}"
            )
        time.sleep(_POLL_SECONDS)


def _progress(stack: Stack, job: Mapping[str, Any]) -> Progress:
    lookups = [program for program in stack.programs.values() if program.kind == "lookup"]
    return Progress(
        total=job["sealed"]["accepted"],
        finished=job["finished"],
        states=job["counts"],
        rate=job["rate_per_second"],
        left=job["seconds_left"],
        in_flight=sum(map(_in_flight, lookups)),
        calls=_simulator(stack).control.summary()["calls"],
    )


def _in_flight(program: Program) -> int:
    _, metrics = program.get("/metrics")
    return int(sum(float(value) for value in _IN_FLIGHT.findall(metrics.decode())))


def _simulator(stack: Stack) -> TwilioSimulator:
    if stack.simulator is None:
        raise RuntimeError("the demo never asks the real Twilio")
    return stack.simulator


def _clean(directory: Path, console: Console, *, keep_logs: bool) -> None:
    if keep_logs:
        for server in ("kafka", "postgres"):
            shutil.rmtree(directory / server / "data", ignore_errors=True)
        console.print(f"Logs, and the simulator's ledger, are kept in {directory}")
    else:
        shutil.rmtree(directory, ignore_errors=True)
        console.print("Everything is stopped and removed.")
