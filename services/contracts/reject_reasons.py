"""Why a row is rejected: one closed list, each reason with a sentence that says the way out."""

from __future__ import annotations

from typing import Literal

from services.contracts.messages import MAX_EXTRA_CHARS, MAX_REFERENCE

#: Why a text is not taken as a phone number.
PhoneReason = Literal[
    "empty",
    "letters",
    "vanity",
    "spreadsheet-damaged",
    "several-numbers",
    "not-a-number",
    "no-country",
    "unknown-country",
    "unknown-calling-code",
    "ambiguous",
    "too-short",
    "too-long",
    "wrong-length",
    "emergency",
    "short-code",
    "not-valid",
]

#: Why a row of a file is rejected before its number is looked at.
RowReason = Literal[
    "too-few-cells", "too-many-cells", "reference-too-long", "extra-too-long", "nested-value"
]

#: A fault of our own.
FaultReason = Literal["internal-error"]

RejectReason = PhoneReason | RowReason | FaultReason

SENTENCES: dict[RejectReason, str] = {
    "empty": "There is no phone number. Fill it in, or leave the contact out.",
    "letters": "There are letters in the phone number. Write it in digits alone.",
    "vanity": ("The number is spelled in letters. Write the digits of those keys of a telephone."),
    "spreadsheet-damaged": (
        "A spreadsheet has turned the number into a decimal, a negative number, a date or an "
        "error, and digits may be gone. "
        "Format the column as text, enter the number anew and export again."
    ),
    "several-numbers": "There is more than one number in the cell. Put each into a row of its own.",
    "not-a-number": (
        "There are characters that no phone number has. "
        "Write it as +, the country's calling code and the number."
    ),
    "no-country": (
        "The number is written nationally and no country is known for it. Write it with + and "
        "the calling code, fill in the country, or give a default country for the file."
    ),
    "unknown-country": (
        "The number is written nationally and its country is not one, or not one alone. Use two "
        "letters (ISO 3166: DE, US, GB), or write the number with + and the calling code."
    ),
    "unknown-calling-code": (
        "No country has the calling code after the +. Check the first digits of the number."
    ),
    "ambiguous": (
        "The digits are a national number, and with a + before them another one. "
        "Write the + and the calling code, or the leading 0."
    ),
    "too-short": (
        "There are too few digits for its country. Check for missing digits, "
        "and write the area code too."
    ),
    "too-long": (
        "There are too many digits for its country. Check for digits entered twice; "
        "write an extension as `ext. 12`."
    ),
    "wrong-length": (
        "No number of its country has so many digits. Check for digits that are missing or "
        "entered twice."
    ),
    "emergency": "This is an emergency number, which cannot be looked up. Leave it out.",
    "short-code": (
        "This is a short code, which works in its own country only and cannot be looked up. "
        "Leave it out."
    ),
    "not-valid": (
        "The length is right, but the country's numbering plan has no such number. Check its "
        "digits and its country; numbers that may be newer than the plan are taken with "
        "accept=possible."
    ),
    "too-few-cells": (
        "The row ends before the phone column. Check the row for a missing delimiter."
    ),
    "too-many-cells": (
        "The row has more cells than the header. "
        "Put a cell that contains the delimiter in double quotes."
    ),
    "nested-value": (
        "An object or array stands where the phone number, the country or the reference should. "
        "Put its parts under keys of their own."
    ),
    "internal-error": (
        "The service failed on the row, which is a fault of the service; its log says more. "
        "Report it, and send the row again when it is mended."
    ),
    "extra-too-long": (
        f"The columns to keep have over {MAX_EXTRA_CHARS} characters in the row, headings "
        "included. Shorten its cells, or keep fewer columns."
    ),
    "reference-too-long": (
        f"The client reference is over {MAX_REFERENCE} characters. Use a shorter one."
    ),
}
