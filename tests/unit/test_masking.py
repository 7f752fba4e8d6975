"""No phone number survives masking."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contracts.masking import MAX_SHOWN, mask_phone, mask_text


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("+14155550123 is busy", "+14***23 is busy"),
        ("GET /v2/PhoneNumbers/%2B14155550123?x=1", "GET /v2/PhoneNumbers/%2B14***23?x=1"),
        ("to +44 (0)20 7946-0958.", "to +44***58."),
        ("call (415) 555.0123", "call (41***23"),
        ("+44\u00a020\u202f7946\u20110958", "+44***58"),
        (r"'+44\xa020\u202f7946\u20110958'", "'+44***58'"),
        ("\uff14\uff14\uff12\uff10\uff17\uff19", "***\uff17\uff19"),  # full-width
        ("०२० ७९४६ ०९५८", "०२***५८"),
        ("number 12345", "number ***45"),  # short: no more than the last two digits
        ("code 1234", "code 1234"),
        ("20404 and 60616", "***04 and ***16"),
        ("no digits", "no digits"),
        ("2026-09-01T12:34:56.123456Z started", "2026-09-01T12:34:56.123456Z started"),
        ("127.0.0.1:9092 is gone", "127.0.0.1:9092 is gone"),
        (
            "job 550e8400-e29b-41d4-a716-446655440000 done",
            "job 550e8400-e29b-41d4-a716-446655440000 done",
        ),
    ],
)
def test_masks_runs_of_digits_in_any_text(text: str, masked: str) -> None:
    """Of five digits or more at most the first two and the last two are left."""
    assert mask_text(text) == masked


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("+14155550123", "+14*******23"),
        ("(415) 555-0123", "(41*) ***-**23"),
        ("1-800-FLOWERS", "*-***-*******"),
        ("Ask Jane Doe", "*** **** ***"),
        ("4.41782E+11", "*.******+11"),
        ("0123", "****"),
        ("+44\u00a020\n7946\u202c0958", "+44 ** **** **58"),
        ("①②③", "***"),
        ("", ""),
    ],
)
def test_masks_a_phone_cell(text: str, masked: str) -> None:
    """The shape of what was written stays, without letters, and with few digits."""
    assert mask_phone(text) == masked


@given(st.text(max_size=200))
def test_any_text_is_masked(text: str) -> None:
    """Whatever stands in a cell, at most four of its characters and no control is shown."""
    masked = mask_phone(text)
    assert sum(char.isalnum() for char in masked) <= 4
    assert masked.isprintable()
    assert len(masked) <= MAX_SHOWN + 1


@given(st.text(alphabet="0123456789 +-()\u00a0ab\n", max_size=60))
def test_masking_twice_changes_nothing(text: str) -> None:
    """Text that went through several handlers is masked as if through one."""
    assert mask_text(mask_text(text)) == mask_text(text)


@given(st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True), st.text(max_size=20))
def test_no_number_survives(number: str, around: str) -> None:
    """A number in a text is gone from it."""
    assert number not in mask_text(f"{around}{number}{around}")
