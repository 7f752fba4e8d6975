"""Pure arithmetic of what the API shows: places in a list, progress, rate, time left."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, Field, TypeAdapter, ValidationError

from services.contracts.turns import UNFINISHED, State

P = TypeVar("P", bound=tuple[Any, ...])

#: Over which the rate is taken.
RATE_WINDOW = timedelta(minutes=1)


def _utc(at: datetime) -> datetime:
    """The same in UTC, as PostgreSQL wants it.

    Raises:
        ValueError: It is before the first year there, or after the last.
    """
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError("no time that there is") from None


_Time = Annotated[AwareDatetime, AfterValidator(_utc)]
_BigInt = Annotated[int, Field(ge=-(2**63), lt=2**63)]
_Text = Annotated[str, Field(max_length=249, pattern=r"^[^\x00]*$")]


class CursorError(ValueError):
    """A cursor that is none of ours."""


class Cursor(Generic[P]):
    """Places in one kind of list, as opaque texts; `start` is the place before its first item."""

    def __init__(self, shape: Any, start: P) -> None:
        self._adapter: TypeAdapter[P] = TypeAdapter(shape)
        self._start = start

    def write(self, place: P) -> str:
        """The text for a place."""
        return base64.urlsafe_b64encode(self._adapter.dump_json(place)).decode().rstrip("=")

    def read(self, text: str | None) -> P:
        """The place that a text stands for; the start without one.

        Raises:
            CursorError: It stands for none.
        """
        if text is None:
            return self._start
        try:
            padded = text.encode("ascii") + b"=" * (-len(text) % 4)
            return self._adapter.validate_json(base64.b64decode(padded, b"-_", validate=True))
        except (ValidationError, binascii.Error, UnicodeError):
            raise CursorError("not a cursor of this list; take `next` of the page before") from None


_NEWEST = datetime.fromisoformat("9999-12-31T00:00:00Z")
#: Rows of a file, in its order: row and id.
ROWS: Cursor[tuple[int, UUID]] = Cursor(tuple[_BigInt, UUID], (-1, UUID(int=0)))
#: Jobs, newest first: creation and id.
JOBS: Cursor[tuple[datetime, UUID]] = Cursor(tuple[_Time, UUID], (_NEWEST, UUID(int=2**128 - 1)))
#: Dead letters, newest first: when recorded, and where they stand on Kafka.
DEAD_LETTERS: Cursor[tuple[datetime, str, int, int]] = Cursor(
    tuple[_Time, _Text, Annotated[int, Field(ge=0, lt=2**31)], _BigInt],
    (_NEWEST, "", 0, 0),
)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is."""

    #: Contacts that results has read: the sum over all states.
    known: int
    finished: int
    #: Of the sealed contacts, or of the known ones while none are sealed; 0 to 1.
    share: float | None
    #: Whether every contact of a sealed job has its end.
    complete: bool


def progress(counts: Mapping[State, int], accepted: int | None) -> Progress:
    """How far a job is.

    Args:
        counts: Contacts by state.
        accepted: Contacts of the sealed job; None before it is sealed, and for standing jobs.
    """
    known = sum(counts.values())
    finished = sum(n for state, n in counts.items() if state not in UNFINISHED)
    total = known if accepted is None else max(accepted, known)
    share = finished / total if total else (None if accepted is None else 1.0)
    return Progress(known, finished, share, accepted is not None and finished >= total)


def rate_per_second(ended: int, since_start: timedelta) -> float:
    """Contacts per second over the window, or over the job's life if that was shorter.

    Args:
        ended: Contacts that ended within `RATE_WINDOW`.
        since_start: The job's age.
    """
    span = min(RATE_WINDOW, max(since_start, timedelta(seconds=1)))
    return ended / span.total_seconds()


def seconds_left(counts: Mapping[State, int], accepted: int | None, rate: float) -> float | None:
    """Seconds until a job is complete at this rate, what is held left out.

    None if nobody can tell: it is not sealed, nothing moves, or all that is left is held.
    """
    if accepted is None:
        return None
    now = progress(counts, accepted)
    if now.complete:
        return 0.0
    moving = max(accepted, now.known) - now.finished - counts.get(State.PARKED, 0)
    if moving <= 0 or rate <= 0:
        return None
    return moving / rate
