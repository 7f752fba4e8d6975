"""What a terminal's ctrl-C, SIGTERM and SIGHUP do to whoever holds a stack."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from services.local.stack import Stack

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """A signal asks for the end; nothing that handles errors may take it for one."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


@dataclass(slots=True)
class Interrupts:
    """The first signal raises `Interrupted`; one that comes while it stops kills what is left."""

    stack: Stack
    #: Whether the stack is being stopped.
    stopping: bool = False

    def __call__(self, number: int, _: FrameType | None) -> None:
        """Handle a signal."""
        if self.stopping:
            self.stack.kill()
            return
        self.stopping = True
        raise Interrupted(number)


@contextmanager
def interrupts(stack: Stack) -> Iterator[Interrupts]:
    """Handle signals while the context lasts, in the main thread."""
    handler = Interrupts(stack)
    before = {number: signal.signal(number, handler) for number in _SIGNALS}
    try:
        yield handler
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
