"""Records as results reads them, made for tests."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from services.contracts.codec import encode
from services.contracts.messages import (
    DeadLetter,
    LookupRequest,
    LookupResult,
    Message,
    RejectedContact,
)
from services.contracts.packages import Answer, Package
from services.contracts.topics import topic_table
from services.results.records import Taken, readers
from services.results.rows import Place
from services.results.store import Move, Partition

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = AT + timedelta(minutes=5)
JOB = UUID(int=7)
READ = readers(topic_table())


def answer(**changes: object) -> Answer:
    """An answer that was paid for."""
    return Answer.model_validate({"status": "ok", "looked_up_at": AT, "billed": "yes"} | changes)


def request(number: int = 1, **changes: object) -> LookupRequest:
    """The request of this number, of one job."""
    return LookupRequest.model_validate(
        {
            "request_id": UUID(int=number),
            "job_id": JOB,
            "source": "tests",
            "account": "main",
            "phone": f"+1415555{number:04}",
            "packages": (Package.BASIC, Package.CALLER_NAME),
            "reference": f"client {number}",
            "row": number + 1,
            "column": "phone",
            "accepted_at": AT,
            "fresh_for": {Package.CALLER_NAME: 60.0},
        }
        | changes
    )


def result(number: int = 1, **changes: object) -> LookupResult:
    """A result of it."""
    known = request(number).model_dump(exclude={"kind", "waits_for"})
    answers = {Package.BASIC: answer()}
    return LookupResult.model_validate(
        known | {"state": "completed", "answers": answers, "completed_at": LATER} | changes
    )


def letter(number: int = 1, **changes: object) -> DeadLetter:
    """A dead letter of it."""
    return DeadLetter.model_validate(
        {
            "dead_letter_id": UUID(int=1000 + number),
            "reason": "attempts-exhausted",
            "detail": "20500",
            "original_topic": "contacts",
            "original_partition": 0,
            "original_offset": 3,
            "attempts": 4,
            "first_failed_at": AT,
            "last_failed_at": LATER,
            "request": request(number),
        }
        | changes
    )


def rejected(number: int = 1, **changes: object) -> RejectedContact:
    """A row that was refused."""
    return RejectedContact.model_validate(
        {
            "rejection_id": UUID(int=2000 + number),
            "job_id": JOB,
            "source": "tests",
            "row": number,
            "column": "phone",
            "reason": "too-short",
            "text": "12**",
            "rejected_at": AT,
        }
        | changes
    )


def taken(
    topic: str, *messages: Message | bytes, first: int = 0, partition: int = 0
) -> list[Taken]:
    """Records of one partition, one after another."""
    found = []
    for offset, message in enumerate(messages, first):
        value = encode(message) if isinstance(message, Message) else message
        said = READ[topic](value, AT)
        found.append(Taken(Place(topic, partition, offset, AT), said))
    return found


def moves(records: Sequence[Taken]) -> dict[Partition, Move]:
    """How far they go."""
    found: dict[Partition, Move] = {}
    for record in records:
        place = record.place
        key = (place.topic, place.partition)
        expected = found[key].expected if key in found else place.offset
        found[key] = Move(expected, place.offset + 1)
    return found
