"""Reads the characters of a phone cell: which digits, whether international, which extension.

Knows how people and spreadsheets write, and nothing of numbering plans. Pure.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from services.contracts.reject_reasons import PhoneReason

#: Longer than any number with every ornament; what is longer is some other text.
MAX_TEXT = 250


@dataclass(frozen=True, slots=True)
class Written:
    """A cell's digits in ASCII, as written, and without a `(0)` where one stands in it."""

    digits: tuple[str, ...] = field(repr=False)
    #: A plus stands before the digits.
    plus: bool
    extension: str | None = field(repr=False)


def read(text: str) -> Written | PhoneReason:
    """Read a cell, or say why it is no phone number whatever the country."""
    if len(text) > MAX_TEXT:
        return "not-a-number"
    if _USUAL.fullmatch(text) and not _RECKONED.fullmatch(text):
        return _written(text, None)
    plain = _unwrap(_tidy(text))
    if _DAMAGED.fullmatch(plain) or _RECKONED.fullmatch(plain):
        return "spreadsheet-damaged"
    body, extension = _take_extension(plain)
    if any(map(str.isalpha, body)):
        return "vanity" if _VANITY.fullmatch(body) else "letters"
    if not any(map(str.isdecimal, body)):
        return "not-a-number" if "*" in body or "#" in body else "empty"
    if _holds_several(body):
        return "several-numbers"
    if not _BODY.fullmatch(body):
        return "not-a-number"
    return _written(body, extension)


def _written(body: str, extension: str | None) -> Written:
    """Take the digits of what holds nothing but digits and what stands between them."""
    digits: tuple[str, ...] = (body.translate(_BETWEEN),)
    if "(" in body and (rest := _TRUNK_ZERO.sub("", body, count=1)) != body:
        digits += (rest.translate(_BETWEEN),)
    return Written(digits, "+" in body, extension)


def international(digits: str, *, plus: bool) -> str | None:
    """Give the digits with `+` if they are written for dialling from abroad, else `None`.

    No calling code begins with 0, so `00` at the start, even after a plus, is the prefix.
    """
    if digits.startswith("00") and not digits.startswith("000"):
        return "+" + digits[2:]
    return "+" + digits if plus else None


# Digits and ornaments of all scripts, to ASCII --------------------------------------------

_FULL_WIDTH = range(0xFF01, 0xFF5F)
_FULL_WIDTH_OFFSET = 0xFEE0
# Dashes and dots that Unicode files elsewhere than under dashes and dots.
_LOOKALIKES = {
    "\u2212": "-",  # minus sign
    "\u02d7": "-",  # modifier letter minus
    "\u2043": "-",  # hyphen bullet
    "\u30fc": "-",  # katakana prolonged sound mark, typed for a dash in Japanese
    "~": "-",
    "\u301c": "-",  # wave dash
    "\u00b7": ".",
    "\u2022": ".",
    "\u2027": ".",
    "\u2044": "/",
    "\u2215": "/",
    "[": "(",
    "{": "(",
    "]": ")",
    "}": ")",
    "\ufe62": "+",
    "\n": "\n",
}


@lru_cache(maxsize=4096)
def _plain(char: str) -> str:
    decimal = unicodedata.decimal(char, None)
    if decimal is not None:
        return str(decimal)
    if ord(char) in _FULL_WIDTH:
        char = chr(ord(char) - _FULL_WIDTH_OFFSET)
    if char in _LOOKALIKES:
        return _LOOKALIKES[char]
    category = unicodedata.category(char)
    if category == "Cf":  # zero-width spaces and joiners, direction marks, soft hyphens, BOMs
        return ""
    if category == "Pd":
        return "-"
    return " " if char.isspace() else char


def _tidy(text: str) -> str:
    if text.isascii() and text.isdigit():
        return text
    return "".join(map(_plain, text))


# What stands around a number --------------------------------------------------------------

_URI = re.compile(
    r"(?:tel|callto):(?://)?(?P<number>[^;]*)(?P<parameters>(?:;[a-z0-9-]+(?:=[^;]*)?)*)",
    re.IGNORECASE,
)
_LABEL = re.compile(
    r"(?:telephone|telefono|telefon|telefax|tel|phone|ph|mobile|mobil|mob|cell|fon|[tmp])"
    r"[.:\s]+(?=[+(\d])",
    re.IGNORECASE,
)
# An apostrophe keeps a spreadsheet from reading a number; `="…"` does the same in a CSV.
_BEFORE = " \n'\u2019\u2018`\u00b4\"="
_AFTER = " \n'\u2019\u2018`\u00b4\""


def _unwrap(text: str) -> str:
    text = text.lstrip(_BEFORE).rstrip(_AFTER)
    uri = _URI.fullmatch(text)
    if uri is None:
        return _LABEL.sub("", text, count=1) if _LABEL.match(text) else text
    number = _tidy(unquote(uri["number"])).strip()
    parameters = dict(
        parameter.partition("=")[::2] for parameter in uri["parameters"].lower().split(";")
    )
    context = parameters.get("phone-context", "")
    if context.startswith("+") and not number.startswith("+"):
        number = context + number
    extension = parameters.get("ext")
    return f"{number};ext={extension}" if extension else number


# 4.41782E+11, 4,41782 E+11, 441782123456.0, 44178212.35, 441,782,123,456, #####, #N/A, #VALUE!
_DAMAGED = re.compile(
    r"[+-]?\d+(?:[.,]\d+)?\s?E\s?[+-]?\d+|[+-]?\d{7,}[.,]0+|[+-]?\d{5,}[.,]\d{1,2}"
    r"|[+-]?\d{1,3}(?:,\d{3}){2,}(?:\.\d+)?|#{2,}|#[A-Z]+[A-Z0-9/]*[!?]?",
    re.IGNORECASE,
)

# -4155550101, which 1-4155550102 comes to, and what looks like a date and may be one: the
# digits of either can be a valid number, and another than was entered.
_RECKONED = re.compile(
    r" *(?:-\d+"
    r"|(?:19|20)\d\d([-./])(?:0?[1-9]|1[0-2])\1(?:0?[1-9]|[12]\d|3[01])"
    r"|(?:0?[1-9]|[12]\d|3[01])([-./])(?:0?[1-9]|[12]\d|3[01])\2(?:19|20)\d\d) *"
)

_EXTENSION = re.compile(
    r"[\s,;.(-]*"
    r"(?:;\s*ext=|#|,,+"
    r"|(?<![^\W\d])(?:extension|extn|ext|x|доб|durchwahl|dw|poste|anexo|ramal|int))"
    r"[\s.:#-]*(?P<extension>\d{1,8})[\s#)]*",
    re.IGNORECASE,
)


def _take_extension(text: str) -> tuple[str, str | None]:
    for match in _EXTENSION.finditer(text):
        if match.end() == len(text) and any(map(str.isdecimal, text[: match.start()])):
            return text[: match.start()], match["extension"]
    return text, None


# What stands in a number ------------------------------------------------------------------

_BODY = re.compile(r"[\s(]*\+?[\d\s().\-/]*")
# Most numbers: nothing in them needs the looks that others get, and has another meaning then.
_USUAL = re.compile(r"[ (]*\+?[ ()\-]*[0-9][0-9 ()\-]*")
# 1-800-FLOWERS: a few digits, and then three letters or more of a telephone's keys.
_VANITY = re.compile(
    r"[\s(]*\+?(?:[\s().\-]*\d){1,7}[\s).\-]+(?:[A-Z][\s.\-]*){3,12}", re.IGNORECASE
)
# All that `_BODY` lets stand between digits.
_BETWEEN = dict.fromkeys(map(ord, " \n+().-/"))
_TRUNK_ZERO = re.compile(r"\(\s*0\s*\)")
_BREAK = re.compile(r"[/;,|&\n]")
#: The fewest digits that are a number and not an area code or the end of another number.
_WHOLE_NUMBER = 7
#: So few digits after a slash give other last digits for the number before it.
_OTHER_ENDING = 3


def _holds_several(body: str) -> bool:
    if body.count("+") > 1:
        return True
    parts = [len(_digits(part)) for part in _BREAK.split(body)]
    whole = [count for count in parts if count >= _WHOLE_NUMBER]
    return len(whole) > 1 or (
        parts[0] >= _WHOLE_NUMBER and any(0 < count <= _OTHER_ENDING for count in parts[1:])
    )


def _digits(text: str) -> str:
    return "".join(filter(str.isdecimal, text))
