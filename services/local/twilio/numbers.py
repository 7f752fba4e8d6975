"""What is known about a number without asking anybody: its form, country and kind of line."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat, PhoneNumberType, ValidationResult

_KINDS = {
    PhoneNumberType.MOBILE: "mobile",
    PhoneNumberType.FIXED_LINE: "landline",
    PhoneNumberType.TOLL_FREE: "tollFree",
    PhoneNumberType.PREMIUM_RATE: "premium",
    PhoneNumberType.SHARED_COST: "sharedCost",
    PhoneNumberType.VOIP: "fixedVoip",
    PhoneNumberType.PERSONAL_NUMBER: "personal",
    PhoneNumberType.PAGER: "pager",
    PhoneNumberType.UAN: "uan",
    PhoneNumberType.VOICEMAIL: "voicemail",
}
_POSSIBILITY = {
    ValidationResult.TOO_SHORT: "TOO_SHORT",
    ValidationResult.TOO_LONG: "TOO_LONG",
    ValidationResult.INVALID_COUNTRY_CODE: "INVALID_COUNTRY_CODE",
    ValidationResult.INVALID_LENGTH: "INVALID_LENGTH",
    ValidationResult.IS_POSSIBLE_LOCAL_ONLY: "TOO_SHORT",
}
_UNREADABLE = {
    NumberParseException.INVALID_COUNTRY_CODE: "INVALID_COUNTRY_CODE",
    NumberParseException.TOO_SHORT_AFTER_IDD: "TOO_SHORT",
    NumberParseException.TOO_SHORT_NSN: "TOO_SHORT",
    NumberParseException.TOO_LONG: "TOO_LONG",
}


@dataclass(frozen=True, slots=True)
class Number:
    """A number as asked for; what is None or empty is not known of an invalid one.

    `kind` is a type of line_type_intelligence, or None where numbering plans do not tell a mobile
    from a landline.
    """

    e164: str
    country: str | None = None
    calling_code: str | None = None
    national: str | None = None
    kind: str | None = None
    errors: tuple[str, ...] = ()

    @property
    def valid(self) -> bool:
        """Whether it is a number that can exist."""
        return not self.errors


@lru_cache(maxsize=1 << 16)
def examine(text: str, country: str) -> Number:
    """Return what numbering plans say of `text`, E.164 or in the national form of `country`."""
    try:
        parsed = phonenumbers.parse(text, country)
    except NumberParseException as error:
        return Number(text, errors=(_UNREADABLE.get(error.error_type, "NOT_A_NUMBER"),))
    e164 = phonenumbers.format_number(parsed, PhoneNumberFormat.E164)
    kind = phonenumbers.number_type(parsed)
    if kind == PhoneNumberType.UNKNOWN:
        possible = phonenumbers.is_possible_number_with_reason(parsed)
        return Number(e164, errors=(_POSSIBILITY.get(possible, "INVALID_BUT_POSSIBLE"),))
    return Number(
        e164,
        country=phonenumbers.region_code_for_number(parsed),
        calling_code=str(parsed.country_code),
        national=phonenumbers.format_number(parsed, PhoneNumberFormat.NATIONAL),
        kind=_KINDS.get(kind),
    )
