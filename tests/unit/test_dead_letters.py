"""How large a dead letter can be, and what it is called."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from services.contracts.codec import encode
from services.contracts.dead_letters import MAX_VALUE_BYTES, make_dead_letter, tool_headers
from services.contracts.messages import DeadLetter, LookupRequest
from services.contracts.packages import Package
from services.runtime.kafka import MAX_RECORD_BYTES

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def letter(**fields: Any) -> DeadLetter:
    whole: dict[str, Any] = {
        "reason": "undecodable",
        "detail": "no JSON",
        "topic": "contacts",
        "partition": 3,
        "offset": 7,
        "timestamp": NOW,
        "key": b"key",
        "value": b"value",
        "headers": [("name", b"content")],
        "failed_at": NOW,
    }
    return make_dead_letter(**whole | fields)


@pytest.mark.parametrize("size", [MAX_VALUE_BYTES, MAX_VALUE_BYTES + 1, 5_000_000])
def test_a_dead_letter_fits_whatever_it_carries(size: int) -> None:
    """However large value, headers and detail are, Kafka takes the record, and it says what is cut."""
    made = letter(
        value=b"\xff" * size,
        headers=[(f"h{n}", b"x" * 1000) for n in range(1000)],
        detail="d" * size,
    )
    headers = sum(len(name) + len(content) for name, content in tool_headers(made))
    assert len(encode(made)) + headers < MAX_RECORD_BYTES
    assert made.truncated == (size > MAX_VALUE_BYTES)


def test_a_long_key_and_a_header_without_value_do_no_harm() -> None:
    """Both are legal in Kafka: the key is cut, the header is kept as empty."""
    made = letter(key=b"k" * 500_000, headers=[("nothing", None)])
    assert len(encode(made)) + len(made.original_key or b"") < MAX_RECORD_BYTES
    assert made.truncated
    assert made.original_headers == (("nothing", b""),)


@pytest.mark.parametrize(("size", "kept"), [(200_000, True), (900_000, False)])
def test_an_oversize_request_does_not_make_an_oversize_letter(size: int, *, kept: bool) -> None:
    """What somebody else wrote into a request is bounded too; its bytes are in the letter."""
    request = LookupRequest(
        request_id=UUID(int=1),
        job_id=UUID(int=2),
        source="x" * size,
        account="main",
        phone="+14155550100",
        packages=(Package.BASIC,),
        accepted_at=NOW,
    )
    made = letter(value=b"v" * MAX_VALUE_BYTES, request=request)
    assert len(encode(made)) < MAX_RECORD_BYTES
    assert (made.request is not None) is kept


def test_the_same_failure_twice_is_one_dead_letter() -> None:
    """Place and reason make the id: read again after a kill, it is stored once."""
    later = datetime(2026, 11, 25, tzinfo=UTC)
    assert letter().dead_letter_id == letter(failed_at=later).dead_letter_id
    others = [
        letter(offset=8),
        letter(partition=4),
        letter(topic="x"),
        letter(reason="bad-inbound"),
    ]
    assert len({made.dead_letter_id for made in [letter(), *others]}) == 5
