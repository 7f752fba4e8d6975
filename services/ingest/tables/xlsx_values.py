"""What the numbers in a workbook's cells mean, by their formats. Pure.

Facts from ECMA-376: a date is a number of days since 1899-12-30 (or 1904-01-01), told from
other numbers by its cell's format alone; the formats numbered below 164 are built in.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

from services.ingest.tables.table import Made

#: What a cell's format makes of a number: nothing, a date, so many digits, a plus before it,
#: an exponent after it.
Format = Literal["date", "plus", "exponent", ""] | int

_BUILT_IN_DATES = {*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)}
_BUILT_IN_EXPONENTS = {11, 48}
# Literals and conditions of a format, which mean nothing by their letters; but [h] is hours.
_NO_MEANING = re.compile(r'"[^"]*"|\\.|[_*].|\[(?!(?:h+|m+|s+)\])[^\]]*\]', re.IGNORECASE)
_DATE_LETTERS = re.compile(r"[dmyhs]", re.IGNORECASE)
_PLUS = re.compile(r'(?:\\?\+|"\+")[0#]+(?:;.*)?', re.DOTALL)
_EXPONENT = re.compile(r"[0#?]E[+-][0#?]", re.IGNORECASE)
_DIGITS = re.compile(r"0+")
_MAX_DIGITS = 32

_DIGITS_ONLY = re.compile(r"-?[0-9]+")
#: A double holds every whole number of fifteen digits; Excel keeps no more.
_EXACT = 10**15
#: Spreadsheets show at most six digits before an exponent of a number of twelve or more, which
#: is what they write as CSV too: a number read from there ends in zeros.
_ROUNDED = re.compile(r"-?[1-9][0-9]+00000")

_EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001 - dates in a workbook have no zone
_EPOCH_1904 = datetime(1904, 1, 1)  # noqa: DTZ001 - the same
#: Excel believes, as Lotus 1-2-3 did, that 1900-02-29 was a day, its sixtieth.
_FALSE_DAY = 60


def format_of(number: int, code: str | None) -> Format:
    """Say what a format makes of a number, by its own number and its code if it has one."""
    if code is None:
        if number in _BUILT_IN_EXPONENTS:
            return "exponent"
        return "date" if number in _BUILT_IN_DATES else ""
    if _PLUS.fullmatch(code):
        return "plus"
    if _DIGITS.fullmatch(code) and len(code) <= _MAX_DIGITS:
        return len(code)
    first = _NO_MEANING.sub("", code).partition(";")[0]
    if _EXPONENT.search(first):
        return "exponent"
    return "date" if _DATE_LETTERS.search(first) and first.lower() != "general" else ""


def number_text(stored: str, form: Format, *, since_1904: bool) -> str:
    """Give a number as it is meant: all digits of a whole one, a date as in ISO 8601.

    A date and a number that is not whole are marked, because they are no phone number; so is
    one too large for its digits to be known, and one that has lost its last digits to an
    exponent, with which it is shown then.
    """
    if form != "date" and _DIGITS_ONLY.fullmatch(stored):
        return _formed(stored, form)
    try:
        value = float(stored)
    except ValueError:
        return Made(stored)
    if form == "date":
        return Made(_date(value, since_1904=since_1904) or stored)
    if value.is_integer() and abs(value) < _EXACT:
        return _formed(str(int(value)), "exponent" if "e" in stored.lower() else form)
    return Made(repr(value))


def _formed(digits: str, form: Format) -> str:
    if form == "exponent":
        rounded = _ROUNDED.fullmatch(digits) is not None
        return Made(f"{Decimal(digits).normalize():E}") if rounded else digits
    if form == "plus" and not digits.startswith("-"):
        return "+" + digits
    return digits.zfill(form) if isinstance(form, int) else digits


def _date(days: float, *, since_1904: bool) -> str | None:
    if not since_1904 and 1 <= days < _FALSE_DAY:
        days += 1
    try:
        seconds = round(days * 86_400)
        moment = (_EPOCH_1904 if since_1904 else _EPOCH) + timedelta(seconds=seconds)
    except (OverflowError, ValueError):
        return None
    if 0 <= days < 1:
        return moment.strftime("%H:%M:%S")
    return moment.strftime("%Y-%m-%d %H:%M:%S" if seconds % 86_400 else "%Y-%m-%d")
