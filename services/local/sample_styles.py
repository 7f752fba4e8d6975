"""The ways people, phones and spreadsheets write a number, for the sample file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import phonenumbers
from phonenumbers import PhoneNumberFormat

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from services.contracts.reject_reasons import PhoneReason

_FULL_WIDTH = {ord(char): ord(char) + 0xFEE0 for char in "+0123456789()-"}
_HYPHENS = ("-", "\u2010", "\u2011", "\u2013", "\u2014", "\u2212", ".", " - ", "/")
_BLANKS = ("\u00a0", "\u202f", "\u2009", "\u3000", "\u00a0\u200b")
_EXTENSIONS = (" ext. {}", " x{}", ";ext={}", " #{}", ", ext {}", "x{}")


def write(number: phonenumbers.PhoneNumber, region: str, random: Random) -> tuple[str, str]:
    """Write a number some way; gives the texts of the phone and country cells."""
    point = random.random()
    choice = random.random()
    for share, style in _STYLES:
        if point < share:
            text, country_needed = style(number, region, choice)
            break
        point -= share
    else:
        text, country_needed = _international(number), False
    if country_needed or random.random() < _COUNTRY_FILLED_IN:
        return text, region if random.random() < _UPPER_CASE else region.lower()
    return text, ""


def write_wrong(
    index: int, number: phonenumbers.PhoneNumber, other: phonenumbers.PhoneNumber
) -> tuple[str, str, PhoneReason]:
    """Write a row that is no number, the kinds by turns, from numbers of the United States.

    Gives the texts of the phone and country cells, and what is wrong.
    """
    e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    national = phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)
    kinds: tuple[tuple[str, str, PhoneReason], ...] = (
        ("", "US", "empty"),
        (" \u00a0", "", "empty"),
        ("n/a", "DE", "letters"),
        ("ask at the front desk", "", "letters"),
        ("1-800-LOOK-IT-UP", "US", "vanity"),
        (f"{int(e164[1:]):.5E}", "US", "spreadsheet-damaged"),
        (f"{e164[1:]}.0", "US", "spreadsheet-damaged"),
        ("#VALUE!", "GB", "spreadsheet-damaged"),
        (f"{e164} / {_international(other)}", "US", "several-numbers"),
        (national, "", "no-country"),
        (national, "Z9", "unknown-country"),
        (f"+999 {e164[2:]}", "", "unknown-calling-code"),
        (e164[:-3], "US", "too-short"),
        (national[-8:], "US", "too-short"),
        (e164 + "00", "", "too-long"),
        ("112", "GB", "emergency"),
        ("+1 000 " + national[-8:], "", "not-valid"),
        (f"{e164}?", "US", "not-a-number"),
    )
    return kinds[index % len(kinds)]


_COUNTRY_FILLED_IN = 0.7
_UPPER_CASE = 0.85


def _pick(choices: tuple[str, ...], choice: float) -> str:
    return choices[int(choice * len(choices))]


def _international(number: phonenumbers.PhoneNumber) -> str:
    return phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL)


def _plain(number: phonenumbers.PhoneNumber, _region: str, _choice: float) -> tuple[str, bool]:
    return phonenumbers.format_number(number, PhoneNumberFormat.E164), False


def _national(number: phonenumbers.PhoneNumber, region: str, _choice: float) -> tuple[str, bool]:
    text = phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)
    digits = phonenumbers.normalize_digits_only(text)
    if digits.startswith(str(number.country_code)) or phonenumbers.parse(text, region) != number:
        # Cannot be told from a number that lost its plus, or cannot be dialled like this.
        return _international(number), False
    return text, True


def _hyphens(number: phonenumbers.PhoneNumber, region: str, choice: float) -> tuple[str, bool]:
    text, country_needed = _national(number, region, choice)
    parts = text.replace("-", " ").split()
    if len(parts) < 2 or text.startswith("+"):  # noqa: PLR2004 - nothing to put a hyphen between
        return "-".join(parts), country_needed
    hyphen = _pick(_HYPHENS, choice)
    # A slash stands only after the area code, where it is not a choice of endings.
    rest = "" if hyphen == "/" else hyphen
    return parts[0] + hyphen + rest.join(parts[1:]), country_needed


def _brackets(number: phonenumbers.PhoneNumber, _region: str, _choice: float) -> tuple[str, bool]:
    code, _, rest = _international(number).partition(" ")
    prefix = phonenumbers.ndd_prefix_for_region(
        phonenumbers.region_code_for_number(number) or "", True
    )
    if prefix == "0" and not number.italian_leading_zero:
        return f"{code} (0){rest}", False
    return f"({code}) {rest}", False


def _zeros(number: phonenumbers.PhoneNumber, _region: str, _choice: float) -> tuple[str, bool]:
    return "00" + _international(number).removeprefix("+").replace("-", " "), False


def _blanks(number: phonenumbers.PhoneNumber, _region: str, choice: float) -> tuple[str, bool]:
    return _international(number).replace(" ", _pick(_BLANKS, choice)), False


def _marks(number: phonenumbers.PhoneNumber, _region: str, _choice: float) -> tuple[str, bool]:
    return f"\u202a{_international(number)}\u202c", False  # as copied from a phone's contacts


def _full_width(number: phonenumbers.PhoneNumber, region: str, choice: float) -> tuple[str, bool]:
    text, country_needed = _national(number, region, choice)
    return text.translate(_FULL_WIDTH), country_needed


def _extension(number: phonenumbers.PhoneNumber, _region: str, choice: float) -> tuple[str, bool]:
    return _international(number) + _pick(_EXTENSIONS, choice).format(int(choice * 900) + 10), False


def _uri(number: phonenumbers.PhoneNumber, _region: str, _choice: float) -> tuple[str, bool]:
    return phonenumbers.format_number(number, PhoneNumberFormat.RFC3966), False


def _apostrophe(number: phonenumbers.PhoneNumber, region: str, choice: float) -> tuple[str, bool]:
    text, _ = _plain(number, region, choice)
    return f"'{text}", False


def _formula(number: phonenumbers.PhoneNumber, region: str, choice: float) -> tuple[str, bool]:
    text, country_needed = _national(number, region, choice)
    return f'="{text}"', country_needed


#: The share of each style; the rest is written internationally with spaces.
_STYLES: tuple[
    tuple[float, Callable[[phonenumbers.PhoneNumber, str, float], tuple[str, bool]]], ...
] = (
    (0.12, _plain),
    (0.24, _national),
    (0.10, _hyphens),
    (0.08, _brackets),
    (0.08, _zeros),
    (0.08, _blanks),
    (0.03, _marks),
    (0.05, _full_width),
    (0.06, _extension),
    (0.04, _uri),
    (0.02, _apostrophe),
    (0.02, _formula),
)
