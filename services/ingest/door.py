"""Lets uploads in while Kafka and PostgreSQL take them, and turns them away otherwise."""

from __future__ import annotations

from services.ingest.submissions import BusyError, Submissions
from services.runtime.health import Readiness
from services.runtime.problem_types import UNAVAILABLE as AWAY
from services.runtime.problems import RETRY_AFTER, Problem


class Door:
    """Closed until the program is connected, and again from its stop on."""

    def __init__(self, readiness: Readiness) -> None:
        self._readiness = readiness
        self._submissions: Submissions | None = None
        self._stopping = False

    def open(self, submissions: Submissions) -> None:
        """Let uploads in from now on; somebody watches what is behind it meanwhile."""
        self._submissions = submissions

    def close(self) -> None:
        """Turn all away from now on: the program is stopping."""
        self._stopping = True

    def check_staying(self) -> None:
        """Return if the program goes on; what needs nothing behind the door needs no more.

        Raises:
            Problem: 503.
        """
        if self._stopping:
            raise away("The service is stopping.")

    def enter(self) -> Submissions:
        """Give a way in, if everything behind it answered when it was last checked.

        Asking again for each upload would cost more than a small one does. What has gone
        since is met on the way, and loses nothing either.

        Raises:
            Problem: 503.
        """
        self.check_staying()
        missing = self._readiness.missing
        if self._submissions is None or missing:
            raise away(f"The service waits for {' and '.join(sorted(missing)) or 'its start'}.")
        try:
            self._submissions.check_room()
        except BusyError:
            raise away("Too many files are on their way.") from None
        return self._submissions


def away(why: str) -> Problem:
    """A refusal for now: nothing is lost by sending the same again."""
    return Problem(
        AWAY,
        f"{why} Send the same again after a while; under the same Idempotency-Key, or without "
        "any and with the same content, it is one job however often it is sent.",
        retry_after=RETRY_AFTER,
    )
