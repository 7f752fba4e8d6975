"""Reads JSON Lines, and an array of objects, never the whole file at once.

An object is a row and its keys are the headings, in the order in which they first appear in
the file: so all of it is read once before the first row is given. Numbers keep the digits
they are written with.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from services.ingest.parse_error import ParseCode, ParseError, UnplacedError
from services.ingest.tables.json_object import (
    TOO_LONG,
    WAY_OUT,
    UnfinishedError,
    cell_text,
    decode_object,
)
from services.ingest.tables.lines import Meter, lines
from services.ingest.tables.table import MAX_ROW, Rows

#: Different keys a file may have; more are data.
MAX_KEYS = 1000

#: Objects with their numbers in the file: lines of JSON Lines, places in an array.
Objects = Iterator[tuple[int, dict[str, Any]]]

_SPACE = re.compile(r"[ \t\r\n]*")


def json_table(objects: Callable[[], Objects]) -> Callable[[], Rows]:
    """Read all objects for their keys, and give what reads the rows from their start.

    `objects` gives the objects anew.

    Raises:
        ParseError: The file is not whole, or no table.
    """
    keys: dict[str, None] = {}
    chars = 0
    for number, value in objects():
        for key in value:
            if key not in keys:
                keys[key] = None
                chars += len(key)
                if len(keys) > MAX_KEYS or chars > MAX_ROW:
                    raise _too_many_keys(number)
    return lambda: _rows(objects(), list(keys))


def _rows(objects: Objects, headings: list[str]) -> Rows:
    yield 0, headings
    for number, value in objects:
        yield (
            number,
            [
                cell if type(cell := value.get(heading)) is str else cell_text(cell)
                for heading in headings
            ],
        )


def _too_many_keys(number: int) -> ParseError:
    return ParseError(
        "too-many-columns",
        f"Row {number}: the objects up to here have over {MAX_KEYS} different keys, or very long "
        f"ones. Keys are headings, and the same in each object. {WAY_OUT}",
        row=number,
    )


# Objects of a text ------------------------------------------------------------------------


def objects_of_lines(texts: Iterable[str]) -> Objects:
    """Read JSON Lines; empty lines are counted and left out.

    Raises `ParseError` at a line that is not one whole object.
    """
    meter = Meter()
    number = count = 0
    value: dict[str, Any] = {}
    source = lines(texts, meter, TOO_LONG)
    try:
        for line in source:
            meter.chars = 0
            number += 1
            text = line.strip()
            if text:
                try:
                    value = _of_line(text)
                except UnplacedError as fault:
                    several = fault.code == "cut-json" and not count and any(map(str.strip, source))
                    raise (_SEVERAL_LINES if several else fault).at(number) from None
                count += 1
                yield number, value
    except UnplacedError as fault:
        raise fault.at(number + 1) from None
    if count == 1:
        _check_is_contact(value)


_SEVERAL_LINES = UnplacedError(
    "json-object",
    "The line holds no whole object. In JSON Lines each object stands on one line; objects over "
    "several lines are taken in an array, [ ]. If the file is one object that holds an array, "
    "send the array alone.",
)


def _of_line(text: str) -> dict[str, Any]:
    try:
        value, end = decode_object(text, 0)
    except UnfinishedError as unfinished:
        raise unfinished.fault from None
    if end < len(text):
        raise UnplacedError(
            "bad-json",
            f"Something follows the object, at character {end + 1}. "
            "Put each object on a line of its own.",
        )
    return value


def _check_is_contact(value: dict[str, Any]) -> None:
    """Refuse a file whose one object is not a row, but holds the rows."""
    for item in value.values():
        if isinstance(item, list) and item and isinstance(item[0], dict):
            raise ParseError(
                "json-object",
                "The file is one object, and a key of it holds an array of objects. Send that "
                "array alone; if the object itself is a contact, put it into [ ].",
            )


def objects_of_array(texts: Iterable[str]) -> Objects:
    """Read an array of objects, which may be spread over lines as it likes.

    Raises `ParseError` at what is not a whole object, or not part of an array of them.
    """
    number = 0
    try:
        for value in _items(iter(texts)):
            number += 1
            yield number, value
    except UnplacedError as fault:
        raise fault.at(number + 1) from None


#: What is due where, and what to say where something else stands.
_DUE = {
    "[": "The file is no array.",
    "{]": f"This is no object. {WAY_OUT}",
    "{": "An object should follow the comma.",
    ",]": "A comma or the closing ] should follow the object before.",
    "": "Something follows the array. Send the array alone.",
}


def _items(source: Iterator[str]) -> Iterator[dict[str, Any]]:
    text, at = "", 0
    due = "["
    while True:
        at = _after_space(text, at)
        if at == len(text):
            more = next(source, None)
            if more is not None:
                text, at = more, 0
                continue
            if not due:
                return
            raise UnplacedError(
                "cut-json", "The file ends before the array is closed. Send the whole file."
            )
        char = text[at]
        if char not in due:
            code: ParseCode = "json-not-objects" if due.startswith("{") else "bad-json"
            raise UnplacedError("bad-json" if char == "]" else code, _DUE[due])
        if char == "{":
            whole = None
            while whole is None:
                try:
                    whole = decode_object(text, at)
                except UnfinishedError as unfinished:
                    text, at, grown = _grown(source, text, at)
                    if not grown:
                        raise unfinished.fault from None
            value, at = whole
            yield value
            due = ",]"
        else:
            at += 1
            due = {"[": "{]", ",": "{", "]": ""}[char]


def _after_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _grown(source: Iterator[str], text: str, at: int) -> tuple[str, int, bool]:
    """Read on behind an object that is not whole; whether there was more.

    As much as is there, so that trying again costs no more than twice the object.
    """
    parts = [text[at:]]
    held = len(parts[0])
    if held > MAX_ROW:
        raise UnplacedError("row-too-long", f"It has over {MAX_ROW} characters. {TOO_LONG}")
    wanted = 2 * held
    while held < wanted and (more := next(source, None)) is not None:
        parts.append(more)
        held += len(more)
    return "".join(parts), 0, held > len(parts[0])
