"""The process behind `bulk-lookup up`: starts the stack, watches it, stops it when told to.

Run by `services.local.up`; what it prints is its log, which `up` and `down` show.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

from services.local.environment import own_twilio
from services.local.home import Home
from services.local.interrupts import Interrupted, interrupts
from services.local.jars import JarError
from services.local.processes import LocalServer, ServerError
from services.local.programs import Program
from services.local.prometheus import (
    INSTALL,
    PrometheusServer,
    installed,
    shipped_rules,
    targets,
)
from services.local.stack import Plan, Stack
from services.runtime.logs import configure_logging
from services.runtime.program import FaultError
from services.runtime.settings import SettingsError

_LOOK_SECONDS = 1.0
#: Between two starts of a part that ends by itself.
_AGAIN_SECONDS = 5.0
_TAKEN = 75


def main() -> int:
    """Run until a signal; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m services.local.supervisor")
    parser.add_argument("home", type=Path)
    parser.add_argument("--real-twilio", action="store_true")
    arguments = parser.parse_args()
    configure_logging("supervisor", "error")
    home = Home(arguments.home)
    if not home.hold():
        _say("Another process holds the directory")
        return _TAKEN
    return _supervise(home, real_twilio=arguments.real_twilio)


def _supervise(home: Home, *, real_twilio: bool) -> int:
    stack = Stack(home.directory, _plan(home, real_twilio=real_twilio), _say)
    prometheus: PrometheusServer | None = None
    with interrupts(stack) as signals:
        try:
            stack.start()
            prometheus = _prometheus(stack)
            home.set_running(_described(stack, home, prometheus))
            _watch(stack, prometheus)
        except Interrupted:
            pass
        except (ServerError, JarError, FaultError, SettingsError, OSError) as error:
            _say(str(error))
            return 1
        finally:
            signals.stopping = True
            if prometheus is not None:
                prometheus.stop()
            stack.stop()
    return 0


def _plan(home: Home, *, real_twilio: bool) -> Plan:
    ports = home.choose_ports()
    settings = {"RESULTS_URL": f"http://127.0.0.1:{ports['results']}"}
    if not _own_tokens():
        home.make_token()
        settings["API_TOKENS_FILE"] = str(home.token_file)
    if own_twilio(os.environ) and not real_twilio:
        _say(
            "TWILIO_ settings are here, but the simulator is used: --real-twilio asks the real one"
        )
    return Plan(settings=settings, ports=ports, real_twilio=real_twilio)


def _own_tokens() -> bool:
    return bool(os.environ.get("API_TOKENS") or os.environ.get("API_TOKENS_FILE"))


def _prometheus(stack: Stack) -> PrometheusServer | None:
    """Start Prometheus beside the stack; None, having said why, where there is none to start.

    The stack works without it, so nothing of it is an error.
    """
    if installed() is None:
        _say(f"Nothing watches the stack: {INSTALL}")
        return None
    rules = shipped_rules()
    if not rules:
        _say("No alert rules: they are in deploy/prometheus of the project's folder")
    server = PrometheusServer(
        stack.directory / "prometheus",
        stack.plan.ports["prometheus"],
        scraped=targets(stack.programs.values()),
        rules=rules,
    )
    _say(f"Starting {server.name}")
    try:
        server.start()
    except ServerError as error:
        _say(str(error))
        return None
    return server


def _described(stack: Stack, home: Home, prometheus: PrometheusServer | None) -> dict[str, Any]:
    """What runs and where, without secrets; None for what is not the stack's own."""
    return {
        "pid": os.getpid(),
        "ingest": stack.programs["ingest"].url,
        "results": stack.programs["results"].url,
        "kafka": stack.kafka.bootstrap_servers if stack.kafka else None,
        "postgres": stack.postgres.url("bulk_lookup") if stack.postgres else None,
        "twilio": stack.simulator.base_url if stack.simulator else None,
        "prometheus": prometheus.url if prometheus else None,
        "alerts": prometheus.alerts_page() if prometheus else None,
        "token_file": None if _own_tokens() else str(home.token_file),
        "logs": str(stack.logs),
    }


def _watch(stack: Stack, prometheus: PrometheusServer | None) -> None:
    """Start again what ends by itself, not too often; ends by a signal only."""
    last: dict[str, float] = {}
    while True:
        time.sleep(_LOOK_SECONDS)
        parts: dict[str, Program | LocalServer] = {**stack.servers, **stack.programs}
        if prometheus is not None:
            parts["prometheus"] = prometheus
        for name, part in parts.items():
            if part.running or time.monotonic() - last.get(name, 0.0) < _AGAIN_SECONDS:
                continue
            last[name] = time.monotonic()
            _say(f"{name} ended by itself; starting it again. Its log is below {stack.directory}")
            try:
                part.stop()
                part.start()
            except ServerError as error:
                _say(str(error))


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
