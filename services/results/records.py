"""Reads a record of Kafka by the topic it stands on. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from services.contracts.codec import UndecodableError, decode
from services.contracts.messages import (
    Contact,
    DeadLetter,
    LookupRequest,
    LookupResult,
    RejectedContact,
)
from services.contracts.topics import Topics
from services.results import rows
from services.results.rows import Place, Sighting

#: A JSON escape of U+0000, which PostgreSQL keeps in no text; not one of a backslash.
_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")


@dataclass(frozen=True, slots=True)
class Letter:
    """A record of `lookup.dead-letters`: its bytes, and what they say if they can be read."""

    value: bytes | None
    letter: DeadLetter | None
    detail: str = ""

    def lesser(self, detail: str) -> tuple[Letter, ...]:
        """What is stored in its place if it cannot be: each says less of it than the one before.

        Its bytes stay whole in all of them.

        Args:
            detail: Why nothing of it is stored but its bytes, in the last.
        """
        forms = []
        if self.letter is not None and (request := self.letter.request) is not None:
            if request.answers:
                unanswered = request.model_copy(update={"answers": {}})
                forms.append(self._with_request(unanswered))
            forms.append(self._with_request(None))
        return (*forms, Letter(self.value, None, detail))

    def _with_request(self, request: LookupRequest | None) -> Letter:
        if self.letter is None:
            return self
        return replace(self, letter=self.letter.model_copy(update={"request": request}))


#: What a record says; None if nothing of it is kept but that it was read.
Said = Sighting | RejectedContact | Letter | None


@dataclass(frozen=True, slots=True)
class Taken:
    """A record as the store takes it."""

    place: Place
    said: Said

    @property
    def sighting(self) -> Sighting | None:
        """What it says of a request, if it does."""
        if isinstance(self.said, Sighting):
            return self.said
        if isinstance(self.said, Letter) and self.said.letter is not None:
            return rows.died(self.said.letter)
        return None

    @property
    def request(self) -> LookupRequest | None:
        """The request it concerns, at the turn it put or ended, with what was paid so far."""
        seen = self.sighting
        if seen is None:
            return None
        contact = {name: getattr(seen.contact, name) for name in Contact.model_fields}
        return LookupRequest(
            **contact,
            generation=seen.record.generation,
            # A retry names the turn after the one that ended.
            turn=max(0, seen.record.turn),
            attempts=seen.attempts,
            failing_since=seen.failing_since,
            last_error=seen.last_error,
            answers=dict(seen.record.answers),
        )


Reader = Callable[[bytes | None, datetime], Said]


def readers(topics: Topics) -> Mapping[str, Reader]:
    """How the records of each topic that results stores are read.

    A reader takes a record's value and timestamp.

    A reader raises:
        UndecodableError: The value is no record of its topic's.
        NewerVersionError: It is one in a version that only a later release reads.
    """
    return {
        topics.contacts.name: _put,
        topics.due.name: _put,
        **{topic.name: partial(_retried, delay=delay) for delay, topic in topics.retries},
        topics.parked.name: _parked,
        topics.results.name: _result,
        topics.rejected.name: _rejected,
        topics.dead_letters.name: _letter,
    }


def left_to_others(topics: Topics) -> frozenset[str]:
    """Topics whose unreadable records are the dead letters of lookup, which reads them too.

    A retry reaches it as it is, by way of `lookup.due`.
    """
    retries = [topic.name for _, topic in topics.retries]
    return frozenset({topics.contacts.name, topics.due.name, *retries})


def _put(value: bytes | None, _at: datetime) -> Said:
    return rows.put(decode(_storable(value), LookupRequest))


def _retried(value: bytes | None, at: datetime, *, delay: timedelta) -> Said:
    return rows.retried(decode(_storable(value), LookupRequest), at, delay)


def _parked(value: bytes | None, at: datetime) -> Said:
    return rows.parked(decode(_storable(value), LookupRequest), at)


def _result(value: bytes | None, _at: datetime) -> Said:
    return rows.ended(decode(_storable(value), LookupResult))


def _rejected(value: bytes | None, _at: datetime) -> Said:
    return decode(_storable(value), RejectedContact)


def _letter(value: bytes | None, _at: datetime) -> Said:
    """A dead letter is never dead-lettered: what cannot be read is kept as it is."""
    try:
        return Letter(value, decode(_storable(value), DeadLetter))
    except UndecodableError as error:
        return Letter(value, None, str(error))


def _storable(value: bytes | None) -> bytes | None:
    """Without U+0000, in whose place U+FFFD stands."""
    if value is None or rb"\u0000" not in value:
        return value
    return _NUL.sub(rb"\1\\ufffd", value)
