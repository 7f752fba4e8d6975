"""Decodes one JSON object of a bounded size; numbers keep the digits they are written with. Pure."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from services.ingest.parse_error import UnplacedError
from services.ingest.tables.table import MAX_FIELD, MAX_ROW, Made, Nested

#: Levels of objects and arrays within a row.
MAX_DEPTH = 64
TOO_LONG = (
    "An object has to be smaller; if the file is one object that holds an array, "
    "send the array alone."
)
WAY_OUT = 'Send an object for each contact, as {"phone": "..."}: each on a line, or in [ ].'

_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|([\[{])|([\]}])', re.DOTALL)
# As it is written anew: after an even number of backslashes.
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_HALF_CHARACTER = re.compile(r"[\ud800-\udfff]")


class UnfinishedError(Exception):
    """The object is no JSON as far as it is there, and perhaps there is more of it."""

    def __init__(self, fault: UnplacedError) -> None:
        super().__init__(fault)
        self.fault = fault


def decode_object(text: str, start: int) -> tuple[dict[str, Any], int]:
    """Decode the object at a place, and say where it ends."""
    if text[start] != "{":
        raise UnplacedError("json-not-objects", f"This is no object. {WAY_OUT}")
    try:
        value, end = _DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        raise _refused(error, text, start) from None
    except RecursionError:
        raise _too_deep() from None
    if end - start > MAX_FIELD:
        _check_size(value, end - start)
    # Most objects have one bracket, and strings that need no second look.
    if text.count("{", start, end) + text.count("[", start, end) > MAX_DEPTH:
        _check_depth(text[start:end])
    if text.find("\\u", start, end) >= 0:
        _check_characters(value)
    return value, end


def _refused(error: json.JSONDecodeError, text: str, start: int) -> UnplacedError | UnfinishedError:
    rest = text[error.pos : error.pos + _LONGEST_LITERAL].strip()
    unclosed = error.msg.startswith("Unterminated string") or (
        error.msg.startswith("Invalid \\u") and len(rest) < _ESCAPE
    )
    if unclosed or not rest or any(literal.startswith(rest) for literal in _LITERALS):
        return UnfinishedError(
            UnplacedError("cut-json", "The object is not whole. Send the whole file.")
        )
    fault = UnplacedError(
        "bad-json",
        f"The object is no JSON from its character {error.pos - start + 1} on. Correct it "
        "there, or write the file by a JSON library.",
    )
    return UnfinishedError(fault) if len(text) - error.pos < _LONGEST_LITERAL else fault


#: Characters that stand after the backslash of a `\\u0000`.
_ESCAPE = 5
_LITERALS = ("true", "false", "null", "-")
#: Longer than what the decoder reads in one piece, strings aside: `-Infinity`, `\\ud83d\\ude00`.
_LONGEST_LITERAL = 16


def cell_text(value: Any) -> str:
    """Give the text of a decoded value; a nested one is marked as such."""
    # Numbers were never made numbers: see _DECODER.
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return Nested(json.dumps(value, ensure_ascii=False))


def _check_size(value: dict[str, Any], size: int) -> None:
    if size > MAX_ROW:
        raise UnplacedError("row-too-long", f"It has over {MAX_ROW} characters. {TOO_LONG}")
    if any(len(cell_text(item)) > MAX_FIELD for item in value.values()):
        raise UnplacedError(
            "field-too-long",
            f"A value has over {MAX_FIELD} characters. Shorten it, or leave it out.",
        )


def _check_depth(text: str) -> None:
    depth = 0
    for match in _BRACKETS.finditer(text):
        depth += (match[1] is not None) - (match[2] is not None)
        if depth > MAX_DEPTH:
            raise _too_deep()


def _check_characters(value: dict[str, Any]) -> None:
    text = json.dumps(value, ensure_ascii=False)
    if _NUL.search(text) or _HALF_CHARACTER.search(text):
        raise UnplacedError(
            "bad-json",
            "There is a NUL or half a character in a string, written as \\u, which no text has. "
            "Leave it out.",
        )


def _too_deep() -> UnplacedError:
    return UnplacedError(
        "json-too-deep",
        f"Objects and arrays stand in each other over {MAX_DEPTH} deep. {WAY_OUT}",
    )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise UnplacedError(
            "bad-json", "A key stands twice in one object. Leave out the value that is not meant."
        )
    return value


def _no_number(name: str) -> NoReturn:
    raise UnplacedError(
        "bad-json", f"{name} is no value in JSON. Write null, or leave the key out."
    )


#: Numbers stay as they are written; those with a point or an exponent are marked.
_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=str, parse_float=Made, parse_constant=_no_number
)
