"""What goes on beside a test, in a thread of its own, while a context lasts."""

from __future__ import annotations

import asyncio
import threading
from types import TracebackType
from typing import Self


class Background:
    """A thread that begins with the context and is waited for at its end.

    Whoever derives from it writes `_run`, or `_work` for what is not asynchronous, and has it
    return soon after `_ended` is set. What it fails by is raised by `stop`, once.
    """

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._guarded)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self.stop()
            return
        # What the context fails by comes first; it may be a consequence of this.
        self.end()
        if (own := self._taken_error()) is not None:
            error.add_note(f"{type(self).__name__} had failed by {own!r}")

    def stop(self) -> None:
        """End the thread, and raise what it failed by, if it did and nobody was told."""
        self.end()
        if (own := self._taken_error()) is not None:
            raise own

    def end(self) -> None:
        """Have the thread end, and wait for it; what it failed by is kept for later."""
        self._ended.set()
        self._thread.join()

    def _taken_error(self) -> BaseException | None:
        """What the thread failed by; given to the first who asks."""
        taken, self._error = self._error, None
        return taken

    def _guarded(self) -> None:
        """The thread: nobody sees an error there, so it is kept."""
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - raised again by whoever ends it
            self._error = error

    def _work(self) -> None:
        """What the thread does."""
        asyncio.run(self._run())

    async def _run(self) -> None:
        """The same, for what is asynchronous."""
        raise NotImplementedError
