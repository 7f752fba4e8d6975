"""Turns a phone number as people write it into E.164, or says why it cannot.

Nothing is guessed: what a spreadsheet has destroyed, what could be two numbers and what
could belong to several countries is rejected with a reason. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Literal

import phonenumbers
from phonenumbers import NumberParseException, PhoneMetadata, ValidationResult, re_util

from services.ingest.countries import region_of
from services.ingest.phone_text import international, read

if TYPE_CHECKING:
    from services.contracts.reject_reasons import PhoneReason
    from services.ingest.phone_text import Written

# Numbers of many countries come mixed, and need more patterns than the re module keeps
# compiled. The patterns come from the library's own tables, so their count is bounded.
re_util.enable_pattern_cache()

#: E.164 allows 15 digits after the plus; fewer than 7 are in no numbering plan.
_MOST_DIGITS = 15
_FEWEST_DIGITS = 7
#: Short codes of all countries have at most this many digits.
_SHORT_CODE_DIGITS = 6
#: The region libphonenumber gives to numbers of no country (+800, +870, +883).
_NO_REGION = "001"

#: What is taken: numbers that their country's numbering plan has, or all those of a length
#: that it has, which may be assigned since the plan was last read.
Accept = Literal["valid", "possible"]


@dataclass(frozen=True, slots=True)
class Phone:
    """A number that is valid, or possible, in its country's numbering plan.

    `country` is the ISO 3166 region the number belongs to, `None` for the few that belong to
    none (+800 and its kin); `extension` is kept as digits and is no part of `e164`.
    """

    e164: str = field(repr=False)
    country: str | None
    extension: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a text is not taken as a number; `reasons.SENTENCES` says it to people."""

    reason: PhoneReason


def normalise(text: str, country: str | None, accept: Accept = "valid") -> Phone | Rejection:
    """Read a phone number as written, with the country it is from if that is known.

    `country` is read by `region_of` and matters only to numbers written nationally; one
    written with `+` or `00` carries its own country, also when `country` says another.

    With `accept="possible"`, a number that is valid in no reading is taken too if exactly one
    reading of its digits has a length that numbers of its country have.
    """
    written = read(text)
    if isinstance(written, str):
        return Rejection(written)
    region = region_of(country) if country else None
    readings = _readings(written, region)
    if not readings:
        return Rejection("unknown-country" if country and country.strip() else "no-country")
    outcome: Phone | Rejection = Rejection("not-valid")
    for digits, digits_region in readings:
        outcome = _check(digits, digits_region, written.extension)
        if isinstance(outcome, Phone):
            return _unless_ambiguous(outcome, digits, digits_region, bare=text.strip().isdecimal())
    if accept == "possible":
        possible = {
            _possible(digits, digits_region, written.extension)
            for digits, digits_region in readings
        }
        possible.discard(None)
        if len(possible) == 1:
            return possible.pop() or outcome
    return outcome


def _readings(written: Written, region: str | None) -> list[tuple[str, str | None]]:
    """List what the digits may mean, best first; of several the first valid one is taken."""
    readings: list[tuple[str, str | None]] = []
    for digits in written.digits:
        abroad = international(digits, plus=written.plus)
        if not written.plus and region is not None:
            # First by the country's own dialling rules, which may use 00 otherwise
            # or have another prefix for abroad (011 in North America).
            readings.append((digits, region))
        if abroad is not None:
            readings.append((abroad, None))
    return readings


def _unless_ambiguous(
    phone: Phone, digits: str, region: str | None, *, bare: bool
) -> Phone | Rejection:
    """Reject digits that are a national number and, with a plus, another one too.

    Spreadsheets drop the plus: 49 171 1234567 is a German mobile number that lost it, and
    also a German landline number without its 0. Where a country writes a 0 before its numbers,
    a cell of digits alone (`bare`) that has none may have lost either: 447911123456 is British
    with a plus, and German with a 0.
    """
    if region is None:
        return phone
    is_own = digits.startswith(str(phonenumbers.country_code_for_region(region)))
    if not is_own and not (bare and _writes_prefix(region)):
        return phone
    other = _check("+" + digits, None, None)
    if not isinstance(other, Phone) or other.e164 == phone.e164:
        return phone
    return Rejection("ambiguous") if is_own or _lacks_prefix(phone, digits) else phone


@cache
def _writes_prefix(region: str) -> bool:
    """Tell whether a country writes its prefix for calls within it before any of its numbers."""
    metadata = PhoneMetadata.metadata_for_region(region, None)
    if metadata is None or metadata.national_prefix is None:
        return False
    return any(
        metadata.national_prefix in (form.national_prefix_formatting_rule or "")
        for form in metadata.number_format
    )


def _lacks_prefix(phone: Phone, digits: str) -> bool:
    """Tell whether a national number is written otherwise in its country, with more digits."""
    national = phonenumbers.format_number(
        phonenumbers.parse(phone.e164), phonenumbers.PhoneNumberFormat.NATIONAL
    )
    return "".join(filter(str.isdecimal, national)) != digits


def _check(digits: str, region: str | None, extension: str | None) -> Phone | Rejection:
    try:
        number = phonenumbers.parse(digits, region)
    except NumberParseException as error:
        return Rejection(_UNPARSED.get(error.error_type, "not-a-number"))
    home = phonenumbers.region_code_for_number(number)
    if home is None or not (
        _is_found_by_validity(home) or phonenumbers.is_valid_number_for_region(number, home)
    ):
        return Rejection(_why_not(number))
    return _phone(number, home, extension)


@cache
def _is_found_by_validity(region: str) -> bool:
    """Tell whether a number is found to be of the region by its being valid there, and only so.

    So it is where countries share a calling code, but for those that are told by their
    numbers' first digits. It saves checking the number against the whole plan twice.
    """
    metadata = PhoneMetadata.metadata_for_region(region, None)
    shared = phonenumbers.region_codes_for_country_code(
        phonenumbers.country_code_for_region(region)
    )
    return metadata is not None and metadata.leading_digits is None and len(shared) > 1


def _possible(digits: str, region: str | None, extension: str | None) -> Phone | None:
    try:
        number = phonenumbers.parse(digits, region)
    except NumberParseException:
        return None
    if _why_not(number) != "not-valid":
        return None
    phone = _phone(number, phonenumbers.region_code_for_number(number), extension)
    return phone if isinstance(phone, Phone) else None


def _phone(
    number: phonenumbers.PhoneNumber, home: str | None, extension: str | None
) -> Phone | Rejection:
    # E.164 is no more than these; `format_number` finds it at twice the cost.
    e164 = f"+{number.country_code}{phonenumbers.national_significant_number(number)}"
    if len(e164) - 1 > _MOST_DIGITS:
        return Rejection("too-long")
    if len(e164) - 1 < _FEWEST_DIGITS:
        return Rejection("too-short")
    return Phone(e164, None if home == _NO_REGION else home, extension)


_UNPARSED: dict[int, PhoneReason] = {
    NumberParseException.INVALID_COUNTRY_CODE: "unknown-calling-code",
    NumberParseException.NOT_A_NUMBER: "too-short",  # a digit or two: the rest was read before
    NumberParseException.TOO_SHORT_AFTER_IDD: "too-short",
    NumberParseException.TOO_SHORT_NSN: "too-short",
    NumberParseException.TOO_LONG: "too-long",
}

_IMPOSSIBLE: dict[int, PhoneReason] = {
    ValidationResult.TOO_SHORT: "too-short",
    # Can be dialled within its town only: the area code is missing.
    ValidationResult.IS_POSSIBLE_LOCAL_ONLY: "too-short",
    ValidationResult.TOO_LONG: "too-long",
    ValidationResult.INVALID_LENGTH: "wrong-length",
}


def _why_not(number: phonenumbers.PhoneNumber) -> PhoneReason:
    national = phonenumbers.national_significant_number(number)
    if len(national) <= _SHORT_CODE_DIGITS and phonenumbers.is_valid_short_number(number):
        return "emergency" if _is_emergency(national, number.country_code) else "short-code"
    return _IMPOSSIBLE.get(phonenumbers.is_possible_number_with_reason(number), "not-valid")


def _is_emergency(national: str, calling_code: int | None) -> bool:
    regions = phonenumbers.region_codes_for_country_code(calling_code or 0)
    return any(phonenumbers.is_emergency_number(national, region) for region in regions)
