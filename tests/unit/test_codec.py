"""Bytes to records and back."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contracts.codec import NewerVersionError, UndecodableError, decode, encode
from services.contracts.messages import (
    ControlState,
    DeadLetter,
    LookupRequest,
    LookupResult,
    Message,
)
from services.contracts.packages import Package

PHONE = "+12015550123"
REQUEST = LookupRequest(
    request_id=UUID(int=1),
    job_id=UUID(int=2),
    source="crm",
    account="main",
    phone=PHONE,
    packages=(Package.BASIC,),
    accepted_at=datetime(2026, 9, 1, 8, tzinfo=UTC),
)


def altered(**fields: Any) -> bytes:
    return json.dumps(json.loads(encode(REQUEST)) | fields).encode()


def test_what_is_written() -> None:
    """Compact JSON with times as RFC 3339 in UTC and the kind in it."""
    value = encode(REQUEST)
    assert b'"kind":"lookup-request/1"' in value
    assert b'"accepted_at":"2026-09-01T08:00:00Z"' in value
    assert decode(value, LookupRequest) == REQUEST


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"null",
        b"[]",
        b"{}",
        b'"text"',
        b"\xff\xfe",
        b'{"kind": "lookup-request/1", "phone": "\xff"}',
        b'{"kind": "lookup-request/1"',
        b"\x00",
        b"[" * 10_000 + b"]" * 10_000,
        altered()[:-1] + b', "unknown": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        altered()[:-1],
        altered() + b"x",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        altered(answers={"basic": {"status": "ok"}}),
        altered(turn=10**400),
        altered(turn=1.5),
        altered(turn="one"),
        altered(phone="0201 555"),
        altered(phone="+0" + "1" * 9),
        altered(phone=PHONE + "\n"),
        altered(account="../main"),
        altered(packages=["no-such-package"]),
        altered(accepted_at="2026-09-01T08:00:00"),
        altered(accepted_at="yesterday"),
        altered(kind="lookup-request/0"),
        altered(kind="lookup-request/"),
        altered(kind="lookup-request"),
        altered(kind="lookup-request/two"),
        altered(kind="lookup-result/2"),
        altered(kind=2),
        altered(fresh_for={"basic": -1}),
    ],
)
def test_what_is_no_record_of_ours(value: bytes | None) -> None:
    """Whatever the bytes are, there is one error for it, and it repeats no value."""
    with pytest.raises(UndecodableError) as caught:
        decode(value, LookupRequest)
    assert "201" not in str(caught.value)
    assert len(str(caught.value)) < 500
    assert caught.value.__cause__ is None


def test_infinite_freshness_is_refused() -> None:
    """JSON has no such number: what is read could not be written again."""
    for number in (b"NaN", b"Infinity", b"1e999"):
        value = altered(fresh_for={"basic": 0}).replace(b'"basic": 0', b'"basic": ' + number)
        with pytest.raises(UndecodableError):
            decode(value, LookupRequest)


@pytest.mark.parametrize("kind", ["lookup-request/2", "lookup-request/10", "lookup-request/999"])
def test_a_newer_version_is_told_apart(kind: str) -> None:
    """It is no dead letter: the program is too old for it and must not go past it."""
    with pytest.raises(NewerVersionError, match=f"{kind}.*upgrade"):
        decode(altered(kind=kind, phone={"number": PHONE}), LookupRequest)
    with pytest.raises(NewerVersionError):
        decode(json.dumps({"kind": kind}).encode(), LookupRequest)


def test_records_are_not_mistaken_for_each_other() -> None:
    """The kind decides, whatever other fields there are."""
    for model in (LookupResult, DeadLetter, ControlState):
        with pytest.raises(UndecodableError):
            decode(encode(REQUEST), model)


@given(st.binary(max_size=200))
def test_any_bytes_are_carried_by_a_dead_letter(value: bytes) -> None:
    """The original comes back exactly as it was, with its key and headers."""
    now = datetime(2026, 9, 1, tzinfo=UTC)
    letter = DeadLetter(
        dead_letter_id=UUID(int=3),
        reason="undecodable",
        detail="",
        original_topic="contacts",
        original_partition=0,
        original_offset=0,
        original_key=value,
        original_value=value,
        original_headers=(("h", value), ("h", b"")),
        first_failed_at=now,
        last_failed_at=now,
    )
    assert decode(encode(letter), DeadLetter) == letter


@given(st.binary(max_size=100) | st.text(max_size=50).map(str.encode))
def test_no_bytes_escape_the_two_errors(value: bytes) -> None:
    """A reader needs to handle nothing else."""
    for model in (LookupRequest, LookupResult, DeadLetter, ControlState):
        with pytest.raises(UndecodableError):
            decode(value, model)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(sorted(LookupRequest.model_fields)), JSON))
def test_fields_of_any_value(fields: dict[str, Any]) -> None:
    """A record is read whole and can be written again, or refused by one of the two errors."""
    model: type[Message] = LookupRequest
    try:
        read = decode(altered(**fields), model)
    except (UndecodableError, NewerVersionError):
        return
    assert decode(encode(read), model) == read
