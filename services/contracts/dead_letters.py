"""How a record becomes a dead letter: whole, bounded, and readable by Kafka's tools."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID, uuid5

from services.contracts.messages import DeadLetter, DeadReason, LookupRequest

#: Of the original's bytes: in base64, with all the rest, they fit the broker's 1 MB limit.
MAX_VALUE_BYTES = 450_000
#: Of the request as read; ours are far smaller, and a larger one is in the bytes anyway.
MAX_REQUEST_BYTES = 250_000
#: Of its headers, names and values together; what is beyond is left out.
MAX_HEADER_BYTES = 32_000
#: Of its key.
MAX_KEY_BYTES = 32_000
_NAMESPACE = UUID("2b1f0c3e-93f5-5d0e-8f41-0d6a4a3f7b11")


def make_dead_letter(
    *,
    reason: DeadReason,
    detail: str,
    topic: str,
    partition: int,
    offset: int,
    timestamp: datetime | None,
    key: bytes | None,
    value: bytes | None,
    headers: Iterable[tuple[str, bytes | None]],
    failed_at: datetime,
    request: LookupRequest | None = None,
) -> DeadLetter:
    """The dead letter of the record at this place.

    Its id follows from the place and the reason, so that the same failure twice is one.

    Args:
        reason: From the closed list.
        detail: For people; the caller has masked it.
        topic: Where the record was read.
        partition: Its partition.
        offset: Its offset.
        timestamp: The time Kafka kept with it.
        key: Its key's bytes.
        value: Its value's bytes.
        headers: Its headers.
        failed_at: When it failed (last).
        request: The request, if it could be read, with the answers already paid; left out
            if it is larger than any of ours.
    """
    if request is not None and len(request.model_dump_json()) > MAX_REQUEST_BYTES:
        request = None
    whole = len(value or b"") <= MAX_VALUE_BYTES and len(key or b"") <= MAX_KEY_BYTES
    place = f"{topic}/{partition}/{offset}/{timestamp}/{reason}"
    first = request.failing_since if request is not None else None
    return DeadLetter(
        dead_letter_id=uuid5(_NAMESPACE, place),
        reason=reason,
        detail=detail[:1000],
        original_topic=topic,
        original_partition=partition,
        original_offset=offset,
        original_timestamp=timestamp,
        original_key=key if key is None else key[:MAX_KEY_BYTES],
        original_value=value if value is None else value[:MAX_VALUE_BYTES],
        original_headers=_bounded(headers),
        truncated=not whole,
        attempts=request.attempts if request is not None else 0,
        first_failed_at=first or failed_at,
        last_failed_at=failed_at,
        request=request,
    )


def tool_headers(letter: DeadLetter) -> list[tuple[str, bytes]]:
    """Headers by the names that Kafka tools look for (Spring Kafka's), in its encodings."""
    headers = [
        ("kafka_dlt-original-topic", letter.original_topic.encode()),
        ("kafka_dlt-original-partition", letter.original_partition.to_bytes(4, "big")),
        ("kafka_dlt-original-offset", letter.original_offset.to_bytes(8, "big")),
        ("kafka_dlt-exception-fqcn", letter.reason.encode()),
        ("kafka_dlt-exception-message", letter.detail.encode()),
    ]
    if letter.original_timestamp is not None:
        milliseconds = int(letter.original_timestamp.timestamp() * 1000)
        headers.append(("kafka_dlt-original-timestamp", milliseconds.to_bytes(8, "big")))
    return headers


def _bounded(headers: Iterable[tuple[str, bytes | None]]) -> tuple[tuple[str, bytes], ...]:
    kept, size = [], 0
    for name, given in headers:
        content = given or b""  # Kafka allows a header without a value
        size += len(name.encode()) + len(content)
        if size > MAX_HEADER_BYTES:
            break
        kept.append((name, content))
    return tuple(kept)
