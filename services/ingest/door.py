"""Lets uploads in while Kafka and PostgreSQL take them, and turns them away otherwise."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from services.ingest.jobs import Jobs
from services.ingest.submissions import BusyError, Submissions
from services.runtime.database import UNAVAILABLE
from services.runtime.health import Condition, Readiness
from services.runtime.kafka import Publisher
from services.runtime.logs import get_logger
from services.runtime.problem_types import UNAVAILABLE as AWAY
from services.runtime.problems import RETRY_AFTER, Problem

log = get_logger(__name__)

#: Seconds in which Kafka must answer.
_WITHIN = 3.0


@dataclass(frozen=True, slots=True)
class Inside:
    """What is behind the door."""

    publisher: Publisher
    jobs: Jobs
    submissions: Submissions


class Door:
    """Closed until the program is connected, and again from its stop on."""

    def __init__(self, readiness: Readiness) -> None:
        self._readiness = readiness
        self._inside: Inside | None = None
        self._stopping = False

    def open(self, inside: Inside) -> None:
        """Let uploads in from now on."""
        self._inside = inside

    def close(self) -> None:
        """Turn all away from now on: the program is stopping."""
        self._stopping = True

    async def check(self) -> None:
        """Ask Kafka and PostgreSQL whether they answer; `readiness` tells what came of it."""
        if self._inside is None:
            return
        kafka, postgresql = await asyncio.gather(
            self._inside.publisher.trouble(_WITHIN),
            self._inside.jobs.check(),
            return_exceptions=True,
        )
        self._note("kafka", kafka)
        self._note("postgresql", postgresql)
        if isinstance(postgresql, BaseException) and not isinstance(postgresql, UNAVAILABLE):
            raise postgresql

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
        if self._inside is None or missing:
            raise away(f"The service waits for {' and '.join(sorted(missing)) or 'its start'}.")
        try:
            self._inside.submissions.check_room()
        except BusyError:
            raise away("Too many files are on their way.") from None
        return self._inside.submissions

    def _note(self, condition: Condition, why: object) -> None:
        away = condition in self._readiness.missing
        if why is None:
            self._readiness.met(condition)
            if away:
                log.info("a part answers", part=condition)
        else:
            name = type(why).__name__ if isinstance(why, BaseException) else str(why)
            self._readiness.unmet(condition, name)
            log.warning("a part does not answer", part=condition, reason=name)


def away(why: str) -> Problem:
    """A refusal for now: nothing is lost by sending the same again."""
    return Problem(
        AWAY,
        f"{why} Send the same again after a while; under the same Idempotency-Key, or without "
        "any and with the same content, it is one job however often it is sent.",
        retry_after=RETRY_AFTER,
    )
