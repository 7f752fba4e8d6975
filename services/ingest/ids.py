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
    from collections.abc import Callable, Iterable, Mapping

#: The project's own; a change of it, or of a name below, makes all that was sent before new.
NAMESPACE = UUID("5ad8ba1e-7d74-4c0e-9f43-2b6c3f0d8e91")
#: The variant of RFC 9562 in a UUID's 17th digit: its two highest bits are 10.
_VARIANTS = {f"{digit:x}": f"{digit & 3 | 8:x}" for digit in range(16)}


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


def request_ids(job: UUID, content: str, sheet: str, column: str) -> Callable[[int], str]:
    """Give what names a contact of a file by its row; job, `content_key`, sheet, phone column hold.

    `sheet` is empty for a file that has none; `row` counts as the program does that wrote the
    file.
    """
    # A name for each row of a large file: what is the same in all of them is hashed once.
    name = _encode(["request", str(job), content, sheet, 0, column])
    after = f",{_encode(column)}]"
    before = name.removesuffix(f"0{after}")
    begun = hashlib.sha1(NAMESPACE.bytes + before.encode("ascii"), usedforsecurity=False)

    def of_row(row: int) -> str:
        digest = begun.copy()
        digest.update(f"{row}{after}".encode("ascii"))
        text = digest.hexdigest()
        # As UUIDv5 wants it: RFC 9562, section 5.5.
        return f"{text[:8]}-{text[8:12]}-5{text[13:16]}-{_VARIANTS[text[16]]}{text[17:20]}-{text[20:32]}"

    return of_row


def rejection_id(job: UUID, content: str, sheet: str, row: int, column: str) -> UUID:
    """Name a rejected row by its place, as `request_ids` names an accepted one."""
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
