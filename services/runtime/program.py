"""How a program starts, hears signals and ends.

The first SIGTERM or SIGINT asks for a stop that drains; a second one ends the process at
once, which is safe: what was not acknowledged comes again. A stop that takes too long ends the
process in the same way, whatever still runs in it: a task, a thread, a call into a library.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import uvloop

from services.runtime.logs import configure_logging, get_logger
from services.runtime.settings import ProgramSettings, SettingsError, load_settings

S = TypeVar("S", bound=ProgramSettings)
log = get_logger(__name__)

#: Exit codes of sysexits.h, so that scripts and people can tell them apart.
EXIT_OK = 0
EXIT_FAULT = 70
EXIT_SETTINGS = 78
EXIT_KILLED_BY_SECOND_SIGNAL = 130
#: Of DRAIN_LIMIT: how long a stop may take. After a drain that took all of it, the rest is for
#: commits, leaving the group, closing.
WHOLE_STOP = 1.2


class FaultError(Exception):
    """A fault that the program cannot go on from; the message says the way out."""


class Stop:
    """Asked for by a signal, or by a fault of the program's own."""

    def __init__(self, limit: float | None = None) -> None:
        """From its first moment on the process has `limit` seconds to end; None: it has all time."""
        self._limit = limit
        self._event = asyncio.Event()
        self.fault: BaseException | None = None

    def ask(self) -> None:
        """Ask for a stop; asked again, the process ends at once."""
        if self._event.is_set():
            os._exit(EXIT_KILLED_BY_SECOND_SIGNAL)
        self._begin()

    def fail(self, fault: BaseException) -> None:
        """Ask for a stop because of a fault; the first one counts."""
        self.fault = self.fault or fault
        self._begin()

    def _begin(self) -> None:
        if self._limit is not None and not self._event.is_set():
            # A thread, since what takes too long may be the event loop's own end; a daemon,
            # since it must not be what keeps the process.
            guard = threading.Timer(self._limit, _end_late, [self._limit])
            guard.daemon = True
            guard.start()
        self._event.set()

    @property
    def asked(self) -> bool:
        """Whether a stop was asked for."""
        return self._event.is_set()

    async def wait(self) -> None:
        """Wait until a stop is asked for."""
        await self._event.wait()

    async def pause(self, seconds: float) -> None:
        """Wait before another try.

        Raises:
            asyncio.CancelledError: A stop was asked for meanwhile.
        """
        try:
            async with asyncio.timeout(seconds):
                await self.wait()
        except TimeoutError:
            return
        raise asyncio.CancelledError

    def watch(self, task: asyncio.Task[None]) -> asyncio.Task[None]:
        """Fail when the task does; tasks of a program only end when they are told to."""

        def ended(done: asyncio.Task[None]) -> None:
            if not done.cancelled() and (error := done.exception()) is not None:
                self.fail(error)

        task.add_done_callback(ended)
        return task


def _end_late(limit: float) -> None:
    running = sorted(thread.name for thread in threading.enumerate() if not thread.daemon)
    log.error("stop over its limit, ended as if killed", limit=limit, threads=running)
    os._exit(EXIT_FAULT)


async def first_of(*waits: Coroutine[Any, Any, Any]) -> None:
    """Wait until one of them ends; the others are cancelled."""
    tasks = {asyncio.ensure_future(wait) for wait in waits}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


def run_program(service: str, model: type[S], serve: Callable[[S, Stop], Awaitable[None]]) -> int:
    """Run a program until it is told to stop; returns its exit code.

    `serve` starts everything, waits for `stop.wait()`, and drains before it returns.
    """
    try:
        settings = load_settings(model)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_SETTINGS
    configure_logging(service, settings.log_level)

    async def body() -> int:
        stop = Stop(WHOLE_STOP * settings.drain_limit.total_seconds())
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, stop.ask)
        log.info("starting", pid=os.getpid())
        try:
            await serve(settings, stop)
        except SettingsError as error:
            sys.stderr.write(f"{error}\n")
            return EXIT_SETTINGS
        except asyncio.CancelledError:
            # A wait that the stop cut short; anything else that cancels is a fault.
            if not stop.asked:
                raise
        except Exception as error:  # noqa: BLE001 - the last resort: said, and exit 70
            stop.fail(error)
        if stop.fault is None:
            log.info("stopped")
            return EXIT_OK
        if isinstance(stop.fault, FaultError):
            log.error("stopped by a fault", reason=str(stop.fault))
        else:
            log.error("stopped by a fault", exc_info=stop.fault)
        return EXIT_FAULT

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(body())
