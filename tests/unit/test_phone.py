"""What is taken as a phone number, and what is not, case by case."""

from __future__ import annotations

import re
from typing import get_args

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contracts.reject_reasons import (
    SENTENCES,
    FaultReason,
    PhoneReason,
    RowReason,
)
from services.ingest.phone import Phone, Rejection, normalise
from services.ingest.phone_text import MAX_TEXT, Written, read

LONDON = "+442079460958"
AMERICAN = "+14155550123"


def full_width(text: str) -> str:
    return "".join(chr(ord(char) + 0xFEE0) if char in "+0123456789()-" else char for char in text)


@pytest.mark.parametrize(
    ("text", "country", "e164"),
    [
        ("+442079460958", None, LONDON),
        ("+44 20 7946 0958", None, LONDON),
        ("+44 20 7946 0958", "DE", LONDON),  # the number's own country wins
        ("+44 20 7946 0958", "nowhere", LONDON),
        ("020 7946 0958", "GB", LONDON),
        ("020 7946 0958", "gb ", LONDON),
        ("020 7946 0958", "UK", LONDON),
        ("020 7946 0958", "+44", LONDON),
        ("020 7946 0958", "England", LONDON),
        ("020 7946 0958", "Royaume-Uni", LONDON),
        ("20 7946 0958", "GB", LONDON),
        ("+44 (0)20 7946 0958", None, LONDON),
        ("+44 ( 0 ) 20 7946 0958", None, LONDON),
        ("(+44) 20 7946 0958", None, LONDON),
        ("(+44)(0)20 7946-0958", None, LONDON),
        ("44 20 7946 0958", "GB", LONDON),
        ("0044 20 7946 0958", None, LONDON),
        ("0044 (0)20 7946 0958", "DE", LONDON),
        ("0044 20 7946 0958", "US", LONDON),  # 011 is the prefix there, 00 nothing else
        ("011 44 20 7946 0958", "US", LONDON),
        ("011 44 20 7946 0958", "CA", LONDON),
        ("0011 44 20 7946 0958", "AU", LONDON),
        ("+0044 20 7946 0958", None, LONDON),
        (full_width("+44 (0)20-7946-0958"), None, LONDON),
        ("٠٢٠ ٧٩٤٦ ٠٩٥٨", "GB", LONDON),  # Arabic-Indic digits
        ("०२० ७९४६ ०९५८", "GB", LONDON),  # Devanagari digits
        ("+44\u00a020\u202f7946\u30000958", None, LONDON),
        ("\u202a+44 20\u200b 7946\u2060 0958\u202c\ufeff", None, LONDON),
        ("+44\u201020\u20137946\u20140958", None, LONDON),
        ("+44\u201120\u22127946\u30fc0958", None, LONDON),
        ("+44\u201520\ufe587946\uff0d0958", None, LONDON),
        ("+44\u02d720\u20437946\u301c0958", None, LONDON),
        ("\u200e+44 20 7946 0958\u200f", None, LONDON),
        ("\u2066+44 20 7946 0958\u2069", None, LONDON),
        ("+44\u00ad20\u200d7946\ufeff0958", None, LONDON),
        (
            "+\u0664\u0664 \u0662\u0660 \u0667\u0669\u0664\u0666 \u0660\u0669\u0665\u0668",
            None,
            LONDON,
        ),
        ("۰۲۰ ۷۹۴۶ ۰۹۵۸", "GB", LONDON),  # Persian digits
        ("+44.20.7946.0958", None, LONDON),
        ("+44 [20] 7946 0958", None, LONDON),
        ("020/79460958", "GB", LONDON),
        ("+44 20\n7946 0958", None, LONDON),
        ("'+442079460958", None, LONDON),
        ("\u2019020 7946 0958", "GB", LONDON),
        ('="+442079460958"', None, LONDON),
        ('="02079460958"', "GB", LONDON),
        ('"=""02079460958"""', "GB", LONDON),  # quoted twice over
        ("`020 7946 0958`", "GB", LONDON),
        ("=+442079460958", None, LONDON),
        ("tel:+44-20-7946-0958", None, LONDON),
        ("TEL:%2B44%2020%207946%200958", None, LONDON),
        ("tel:7946-0958;phone-context=+4420", None, LONDON),
        ("callto://+442079460958", None, LONDON),
        ("Tel.: +44 20 7946 0958", None, LONDON),
        ("(415) 555-0123", "US", AMERICAN),
        ("1-415-555-0123", "US", AMERICAN),
        ("415.555.0123", "CA", AMERICAN),  # one numbering plan: valid in the United States
        ("+39 06 698 12345", None, "+390669812345"),  # the 0 belongs to the number
        ("+39 (0)6 698 12345", None, "+390669812345"),
        ("0171 1234567", "DE", "+491711234567"),
        ("015123456789", "DE", "+4915123456789"),
        ("1512 3456789", "DE", "+4915123456789"),  # no spreadsheet groups what lost its plus
        ("1712345678", "DE", "+491712345678"),  # lost its 0, and is no number with a plus
        ("- 415 555 0123", "US", AMERICAN),
        ("2024-0501", "DE", "+4920240501"),
        ("13312345678", "CN", "+8613312345678"),  # is written without 0
        ("2025550123", "US", "+12025550123"),  # is written without 1
        ("11 15-2345-6789", "AR", "+5491123456789"),  # mobile numbers change their form abroad
    ],
)
def test_takes_numbers_as_people_write_them(text: str, country: str | None, e164: str) -> None:
    """A valid number is read whatever its digits, ornaments and prefixes look like."""
    phone = normalise(text, country)
    assert isinstance(phone, Phone)
    assert phone.e164 == e164


@pytest.mark.parametrize(
    ("text", "extension"),
    [
        ("+1 415 555 0123", None),
        ("+1 415 555 0123 ext. 12", "12"),
        ("+1 415 555 0123 EXT 007", "007"),
        ("+1 415 555 0123x12", "12"),
        ("+1 415 555 0123ext12", "12"),
        ("+1 415 555 0123, extension: 12", "12"),
        ("+1 415 555 0123;ext=12", "12"),
        ("tel:+1-415-555-0123;ext=12", "12"),
        ("+1 415 555 0123 #12", "12"),
        ("+1 415 555 0123 (ext 12)", "12"),
        ("+14155550123,,12#", "12"),
        ("+1 415 555 0123 доб. 12", "12"),
        (full_width("+1 415 555 0123") + " \uff5812", "12"),
    ],
)
def test_extension_is_kept_apart(text: str, extension: str | None) -> None:
    """An extension is no part of the number, and is kept as written."""
    assert normalise(text, None) == Phone(AMERICAN, "US", extension)


@pytest.mark.parametrize(
    ("text", "country", "reason"),
    [
        ("", None, "empty"),
        (" \u00a0\u200b\t", "GB", "empty"),
        ("-", "GB", "empty"),
        ("+", None, "empty"),
        ("n/a", "GB", "letters"),
        ("1-800-FLOWERS", "US", "vanity"),
        ("+1 800 LOOK IT UP", None, "vanity"),
        ("0800 call-now", "GB", "vanity"),
        ("call me", "GB", "letters"),
        ("Ben 4", "GB", "letters"),
        ("+44 20 7946 O958", None, "letters"),  # an O for a 0
        ("+44 20 7946 0958 mobile", None, "letters"),
        ("tel:+442079460958;fax +442079460959", None, "letters"),
        ("4.41782E+11", "GB", "spreadsheet-damaged"),
        ("4,41782e+11", "GB", "spreadsheet-damaged"),
        ("4E+11", "GB", "spreadsheet-damaged"),
        ("'4.41782E+11", "GB", "spreadsheet-damaged"),
        ("441782123456.0", "GB", "spreadsheet-damaged"),
        ("441782123456,00", "GB", "spreadsheet-damaged"),
        ("4.41782E11", "GB", "spreadsheet-damaged"),
        ("4.41782 E+11", "GB", "spreadsheet-damaged"),
        ("+4.41782E+11", None, "spreadsheet-damaged"),
        ("20794609.58", "GB", "spreadsheet-damaged"),  # its digits are a valid number
        ("2079460958.0", "GB", "spreadsheet-damaged"),  # and so are these
        ("441,782,123,456", "GB", "spreadsheet-damaged"),
        ("2,079,460,958.00", "GB", "spreadsheet-damaged"),
        ("-4155550101", "US", "spreadsheet-damaged"),  # what 1-4155550102 comes to
        (" -4155550101 ", "US", "spreadsheet-damaged"),
        ("\u22124155550101", "US", "spreadsheet-damaged"),
        ("-1069", "US", "spreadsheet-damaged"),  # and 1-415-555-100
        ("2024-05-01", "DE", "spreadsheet-damaged"),  # a valid number there
        ("'2024-05-01", "DE", "spreadsheet-damaged"),
        ("20-12-2011", "DK", "spreadsheet-damaged"),
        ("01.05.2024", "DK", "spreadsheet-damaged"),
        ("5/31/2024", "NO", "spreadsheet-damaged"),
        ("########", "GB", "spreadsheet-damaged"),
        ("#N/A", "GB", "spreadsheet-damaged"),
        ("#VALUE!", "GB", "spreadsheet-damaged"),
        ("+442079460958 / +442079460959", None, "several-numbers"),
        ("+442079460958+442079460959", None, "several-numbers"),
        ("020 7946 0958, 020 7946 0959", "GB", "several-numbers"),
        ("020 7946 0958\n020 7946 0959", "GB", "several-numbers"),
        ("+49 30 1234567/8", None, "several-numbers"),
        ("+44 20 7946 0958?", None, "not-a-number"),
        ("44+20 7946 0958", None, "not-a-number"),
        ("*100#", "GB", "not-a-number"),
        ("+44 20 7946 095²", None, "not-a-number"),  # a footnote mark is no digit
        ("+44 20 7946 0958" + " " * 250, None, "not-a-number"),
        ("020 7946 0958", None, "no-country"),
        ("020 7946 0958", " ", "no-country"),
        ("442079460958", None, "no-country"),  # may have lost its plus, or be national somewhere
        ("020 7946 0958", "XX", "unknown-country"),
        ("020 7946 0958", "Nowhere", "unknown-country"),
        ("020 7946 0958", "Kongo", "unknown-country"),  # which of the two?
        ("020 7946 0958", "999", "unknown-country"),
        ("+999 20 7946 0958", None, "unknown-calling-code"),
        ("+0 20 7946 0958", None, "unknown-calling-code"),
        ("491711234567", "DE", "ambiguous"),
        ("49 171 1234567", "DE", "ambiguous"),
        (
            "447911123456",
            "DE",
            "ambiguous",
        ),  # a British number without +, or a German one without 0
        ("15123456789", "DE", "ambiguous"),
        ("12025550123", "AT", "ambiguous"),
        ("+44 20 7946", None, "too-short"),
        ("+44 20 7946 095", None, "not-valid"),  # without its last digit
        ("020 7946 095", "GB", "not-valid"),
        ("+44", None, "too-short"),
        ("7", "GB", "too-short"),
        ("555-0123", "US", "too-short"),  # no area code
        ("+1 415 555 01234", None, "too-long"),
        ("0" * 40, "GB", "too-long"),
        ("+49 1234567890123456", None, "too-long"),
        ("+65 800 1234 56", None, "wrong-length"),
        ("911", "US", "emergency"),
        ("112", "DE", "emergency"),
        ("999", "UK", "emergency"),
        ("+49 110", None, "emergency"),
        ("411", "US", "short-code"),
        ("118 500", "GB", "short-code"),
        ("+1 999 999 9999", None, "not-valid"),
        ("000-000-0000", "US", "not-valid"),
        ("+44 1000 000000", None, "not-valid"),
    ],
)
def test_says_why_it_is_no_number(text: str, country: str | None, reason: PhoneReason) -> None:
    """What is not surely one valid number is rejected with its reason, never guessed."""
    assert normalise(text, country) == Rejection(reason)


@pytest.mark.parametrize(
    ("text", "country", "outcome"),
    [
        ("+44 1000 000000", None, Phone("+441000000000", None)),
        ("01000 000000", "GB", Phone("+441000000000", None)),
        ("+33 9 99 99 99 999", None, Rejection("too-long")),
        ("+45 11 11 11 11", None, Phone("+4511111111", "DK")),
        ("+44 20 7946 0958", None, Phone(LONDON, "GB")),
        ("+44 (0)1000 000000", None, Phone("+441000000000", None)),
        (
            "555-0123",
            "US",
            Rejection("too-short"),
        ),  # without area code it is no number of the world
        ("911", "US", Rejection("emergency")),
        ("+999 20 7946 0958", None, Rejection("unknown-calling-code")),
        ("01000 000000", None, Rejection("no-country")),
        ("491711234567", "DE", Rejection("ambiguous")),
    ],
)
def test_possible_numbers_are_taken_if_asked_for(
    text: str, country: str | None, outcome: Phone | Rejection
) -> None:
    """With accept=possible the length decides where no reading is valid; nothing else changes."""
    assert normalise(text, country, "possible") == outcome


def test_number_of_no_country() -> None:
    """International freephone numbers are valid and belong to no country."""
    assert normalise("+800 1234 5678", None) == Phone("+80012345678", None)


@pytest.mark.parametrize(
    "region",
    sorted(phonenumbers.SUPPORTED_REGIONS),
)
def test_example_number_of_every_region(region: str) -> None:
    """The example number of every region is read, written abroad or at home."""
    number = phonenumbers.example_number(region)
    assert number is not None
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    abroad = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
    home = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL)
    for text, country in ((abroad, None), (home, region)):
        phone = normalise(text, country)
        assert isinstance(phone, Phone)
        assert phone.e164 == e164


@given(
    st.text(max_size=40)
    | st.text(alphabet="+0123456789 ()-./,;x#*=eE'\"\u00a0\u2013\uff10\u0663", max_size=40),
    st.none() | st.sampled_from(["GB", "US", "DE", "IT", "AU", "JP", "xx", "44"]),
)
def test_any_text_has_one_outcome(text: str, country: str | None) -> None:
    """Any text gives a number in E.164 or a reason; a number read again is itself."""
    outcome = normalise(text, country)
    if isinstance(outcome, Rejection):
        assert outcome.reason in get_args(PhoneReason)
        return
    assert re.fullmatch(r"\+[1-9][0-9]{6,14}", outcome.e164)
    assert normalise(outcome.e164, None) == Phone(outcome.e164, outcome.country)


@given(
    st.text(alphabet="+0123456789 ()-", max_size=30)
    | st.text(alphabet="+0123456789 ()-.,/x#", max_size=30)
)
def test_the_short_way_reads_as_the_long_one(text: str) -> None:
    """What most numbers skip would change nothing: a mark that means nothing sends them through."""
    long = read("\u200b" + text)
    assert read(text) == long


@given(
    st.sampled_from([1, 7, 39, 44, 47, 61, 212, 262, 290, 358, 590, 599, 49, 800]),
    st.integers(1_000_000, 99_999_999_999),
)
def test_taken_are_the_librarys_valid_numbers(calling_code: int, national: int) -> None:
    """Where countries share a calling code, the one check made is as good as the library's two."""
    text = f"+{calling_code}{national}"
    try:
        number = phonenumbers.parse(text)
    except phonenumbers.NumberParseException:
        number = None
    valid = number is not None and phonenumbers.is_valid_number(number)
    assert isinstance(normalise(text, None), Phone) == valid


def test_number_stays_out_of_its_representation() -> None:
    """A number that is logged by mistake as a value shows no digit."""
    assert not re.search(r"\d", repr(normalise(LONDON, None)))


def test_every_reason_has_a_sentence() -> None:
    """Each reason of the closed list is said to people, and no other."""
    assert set(SENTENCES) == {
        *get_args(PhoneReason),
        *get_args(RowReason),
        *get_args(FaultReason),
    }
    assert all(sentence.endswith(".") for sentence in SENTENCES.values())


@pytest.mark.parametrize(
    ("text", "digits"),
    [("1" * MAX_TEXT, 1), ("1" * (MAX_TEXT + 1), 0), ("(0)" * 40, 2)],
)
def test_a_cell_is_bounded(text: str, digits: int) -> None:
    """What is longer than any number is not read; up to there it is, in one or two ways."""
    written = read(text)
    assert (len(written.digits) if isinstance(written, Written) else 0) == digits
