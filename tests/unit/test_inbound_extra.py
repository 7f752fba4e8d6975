"""What an upstream system sends along with a contact, to come back with its result."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from aiokafka.structs import ConsumerRecord

from services.contracts.messages import (
    MAX_EXTRA,
    MAX_EXTRA_CHARS,
    MAX_EXTRA_NAME,
    DeadLetter,
    LookupRequest,
)
from services.contracts.packages import Package
from services.ingest.inbound_contact import Defaults, judge

DEFAULTS = Defaults("main", frozenset({"main"}), (Package.BASIC,), 60.0)


def judged(extra: Any) -> LookupRequest | DeadLetter:
    value = json.dumps({"phone": "+12025550123", "extra": extra}).encode()
    record = ConsumerRecord("contacts.inbound", 0, 0, 0, 0, None, value, None, 0, len(value), ())
    return judge(record, DEFAULTS, datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (None, {}),
        ({}, {}),
        ({"b": "=1+1", "a": " Zoë\n"}, {"b": "=1+1", "a": " Zoë\n"}),
        ({"seats": 12, "share": 0.5}, {"seats": "12", "share": "0.5"}),
        ({"tier": None, "a": ""}, {"a": ""}),
        ({"n" * MAX_EXTRA_NAME: "x"}, {"n" * MAX_EXTRA_NAME: "x"}),
        ({"n": "x" * (MAX_EXTRA_CHARS - 1)}, {"n": "x" * (MAX_EXTRA_CHARS - 1)}),
        (dict.fromkeys(map(str, range(MAX_EXTRA)), "x"),) * 2,
    ],
)
def test_texts_by_name_ride_along(sent: Any, kept: dict[str, str]) -> None:
    """Texts and numbers are kept as texts, in their order; null is as if it were not there."""
    request = judged(sent)
    assert isinstance(request, LookupRequest)
    assert list(request.extra.items()) == list(kept.items())


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ("x", "extra: Input should be an object"),
        ({"a": True}, "extra.a: Input should be a valid string"),
        ({"a": ["x"]}, "extra.a: Input should be a valid string"),
        ({"n": "x" * MAX_EXTRA_CHARS}, f"extra: Value error, has over {MAX_EXTRA_CHARS} char"),
        (dict.fromkeys(map(str, range(MAX_EXTRA + 1)), "x"), f"at most {MAX_EXTRA} items"),
        ({"n" * (MAX_EXTRA_NAME + 1): "x"}, f"at most {MAX_EXTRA_NAME} characters"),
        ({"a": "\0"}, "extra: has a NUL character"),
        ({"\0": "a"}, "extra: has a NUL character"),
        ({"+12025550199": True}, "extra.+12***99: Input should be a valid string"),
    ],
)
def test_what_cannot_ride_along_is_a_dead_letter(sent: Any, said: str) -> None:
    """It names the field, and what is wrong with it; a number in a name is masked."""
    letter = judged(sent)
    assert isinstance(letter, DeadLetter)
    assert letter.reason == "bad-inbound"
    assert said in letter.detail
