"""What becomes of the bytes of a record on `contacts.inbound`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from aiokafka.structs import ConsumerRecord
from hypothesis import given
from hypothesis import strategies as st

from services.contracts.codec import decode, encode
from services.contracts.messages import DeadLetter, LookupRequest
from services.contracts.packages import Package
from services.ingest.inbound_contact import Defaults, judge

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DEFAULTS = Defaults("main", frozenset({"main"}), (Package.BASIC,), 60.0)
SEND = 'Send an object in UTF-8, such as {"phone": "+..."}.'


def judged(value: bytes | None) -> LookupRequest | DeadLetter:
    size = len(value or b"")
    record = ConsumerRecord("contacts.inbound", 0, 0, 0, 0, None, value, None, 0, size, ())
    return judge(record, DEFAULTS, NOW)


def nested(levels: int) -> bytes:
    return b'{"phone": "+12025550123", "x": ' + b"[" * levels + b"]" * levels + b"}"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "The record has no value"),
        (b"", "The record has no value"),
        (b" ", "Invalid JSON: EOF while parsing a value at line 1 column 1"),
        (b"garbage", "Invalid JSON: expected value at line 1 column 1"),
        (b"\x00\x00\x00\x00\x07{}", "Invalid JSON: expected value at line 1 column 1"),
        (b'{"phone": "\xff"}', "Invalid JSON: invalid unicode code point at line 1 column 12"),
        (b'{"phone": "\\ud800"}', "Invalid JSON: unexpected end of hex escape at line 1 column 18"),
        (b'{"phone": "+1202', "Invalid JSON: EOF while parsing a string at line 1 column 16"),
        (b'{"phone": 00}', "Invalid JSON: invalid number at line 1 column 12"),
        (b"[" * 10_000, "Invalid JSON: recursion limit exceeded at line 1 column 202"),
        (nested(10_000), "Invalid JSON: recursion limit exceeded at line 1 column 232"),
        (
            b'{"phone": ' + b"1" * 10_000 + b"}",
            "Invalid JSON: number out of range at line 1 column 4312",
        ),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_bytes_that_cannot_be_read_are_undecodable(value: bytes | None, said: str) -> None:
    """The dead letter says what is wrong and at which byte, and has the bytes as they came."""
    letter = judged(value)
    assert isinstance(letter, DeadLetter)
    assert (letter.reason, letter.detail) == ("undecodable", f"{said}. {SEND}")
    assert (letter.original_value, letter.truncated) == (value, False)


@pytest.mark.parametrize(
    "value",
    [
        nested(150),
        b'{"kind": "inbound-contact/2", "phone": "+12025550123"}',
        b'{"phone": "+12025550123", "phone_number": {"e164": null}, "packages": null}',
        b'\r\n\t {"phone": "+12025550123"}\n',
    ],
    ids=["nested", "a kind and a version", "unknown fields", "space around"],
)
def test_what_is_not_known_is_passed_over(value: bytes) -> None:
    """Records here have no version: whatever an upstream system writes besides, a contact is one."""
    request = judged(value)
    assert isinstance(request, LookupRequest)
    assert request.phone == "+12025550123"


@pytest.mark.parametrize(
    ("number", "phone"),
    [
        ("2025550123", "+12025550123"),
        ("12025550123", "+12025550123"),
        ("2025550123.0", None),
        ("2.025550123e9", None),
        ("4.41782E+11", None),
    ],
)
def test_a_number_that_went_through_decimals_is_no_phone(number: str, phone: str | None) -> None:
    """Its last digits may be gone, as in a file: it is refused, and never taken for another's."""
    outcome = judged(b'{"country": "US", "phone": ' + number.encode() + b"}")
    if phone is None:
        assert isinstance(outcome, DeadLetter)
        assert outcome.reason == "not-a-number"
        assert "spreadsheet-damaged" in outcome.detail
    else:
        assert isinstance(outcome, LookupRequest)
        assert outcome.phone == phone


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
_FIELDS = st.sampled_from(
    ["phone", "country", "id", "source", "account", "packages", "reference", "extra"]
)
_CONTACTS = st.dictionaries(_FIELDS, _JSON).map(
    lambda fields: json.dumps({"phone": "+12025550123"} | fields).encode()
)


@given(st.one_of(_CONTACTS, _JSON.map(lambda made: json.dumps(made).encode()), st.binary()))
def test_whatever_comes_is_a_request_or_a_dead_letter(value: bytes) -> None:
    """No bytes make our code fail, and what becomes of them can be written and read again."""
    outcome: Any = judged(value)
    assert decode(encode(outcome), type(outcome)) == outcome
    if isinstance(outcome, DeadLetter):
        assert outcome.original_value == value
