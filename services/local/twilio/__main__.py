"""Run the simulator: `python -m services.local.twilio --directory DIR [--port N] [--config FILE]`."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path

import uvloop

from services.local.twilio.config import SimulatorConfig, load_prices
from services.local.twilio.ledger import Ledger
from services.local.twilio.server import Server
from services.local.twilio.simulator import Simulator

LEDGER = "ledger.jsonl"


def main() -> None:
    """Serve until SIGTERM or SIGINT; one JSON line on standard output says when and where."""
    parser = argparse.ArgumentParser(
        prog="python -m services.local.twilio",
        description="A simulator of Twilio Lookup v2 with faults on order and a ledger of calls.",
    )
    parser.add_argument("--directory", type=Path, required=True, help="where the ledger is kept")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 is any free one")
    parser.add_argument("--config", type=Path, help="JSON file: accounts, latency, faults, seed")
    arguments = parser.parse_args()
    config = (
        SimulatorConfig.model_validate_json(arguments.config.read_bytes())
        if arguments.config
        else SimulatorConfig()
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(config, arguments.directory, arguments.host, arguments.port))


async def _serve(config: SimulatorConfig, directory: Path, host: str, port: int) -> None:
    stop = asyncio.Event()
    for stopping in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(stopping, stop.set)
    directory.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 # before anything is served
    ledger = Ledger(directory / LEDGER)
    server = Server(Simulator(config, ledger, load_prices(), time.monotonic))
    await server.start(host, port)
    ready = {
        "ready": True,
        "port": server.port,
        "base_url": f"http://{host}:{server.port}",
        "ledger": str(directory / LEDGER),
        "pid": os.getpid(),
    }
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()
    await stop.wait()
    await server.close()
    ledger.close()


if __name__ == "__main__":
    main()
