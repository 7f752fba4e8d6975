"""Ids made once, here, from what they name: the same sent again is the same job and request.

An id is a UUIDv5 over a JSON array that begins with what kind of thing it names, so that no
two different lists of parts share a name, and no kind's ids meet another's. Pure.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: The project's own; a change of it, or of a name below, makes all that was sent before new.
NAMESPACE = UUID("5ad8ba1e-7d74-4c0e-9f43-2b6c3f0d8e91")


def job_id(source: str, key: str) -> UUID:
    """Name a job by who sent it and the key it was sent under (`content_key` without one)."""
    return _name("job", source, key)


def content_key(content_hash: str, options: Mapping[str, Any]) -> str:
    """Give the SHA-256, in hex, over a content's SHA-256 (hex) and the options it came with.

    `options` hold what JSON holds; the order of their keys makes no difference. Two sendings
    under one idempotency key are the same only if this is the same.
    """
    name = _encode(["content", content_hash, options])
    return hashlib.sha256(name.encode("ascii")).hexdigest()


def request_id(job: UUID, content: str, sheet: str, row: int, column: str) -> UUID:
    """Name a contact of a file by its place: job, `content_key`, sheet, row, phone column.

    `sheet` is empty for a CSV file; `row` counts from 1, the header's row.
    """
    return _name("request", str(job), content, sheet, row, column)


def rejection_id(job: UUID, content: str, sheet: str, row: int, column: str) -> UUID:
    """Name a rejected row by its place, as `request_id` names an accepted one."""
    return _name("rejection", str(job), content, sheet, row, column)


def inbound_job_id(source: str) -> UUID:
    """Name the standing job of a source of `contacts.inbound`."""
    return _name("inbound-job", source)


def inbound_request_id(source: str, caller_id: str, e164: str, packages: Iterable[str]) -> UUID:
    """Name an inbound contact by its sender's id for it, its number and what it asks.

    The order of `packages`, and one named twice, make no difference.
    """
    return _name("inbound-request", source, caller_id, e164, sorted(set(packages)))


def inbound_record_id(
    topic: str, partition: int, offset: int, timestamp_ms: int, value: bytes
) -> UUID:
    """Name an inbound contact without an id of its sender's by where it stands in Kafka.

    Timestamp and bytes are part of it, so that a topic made anew gives new ids.
    """
    digest = hashlib.sha256(value).hexdigest()
    return _name("inbound-record", topic, partition, offset, timestamp_ms, digest)


def _name(kind: str, *parts: str | int | list[str]) -> UUID:
    return uuid5(NAMESPACE, _encode([kind, *parts]))


def _encode(value: Any) -> str:
    return json.dumps(
        value, ensure_ascii=True, allow_nan=False, sort_keys=True, separators=(",", ":")
    )
