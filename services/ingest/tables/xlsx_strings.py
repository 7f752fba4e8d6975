"""A workbook's shared strings, kept on disk: there may be as many as cells."""

from __future__ import annotations

import re
from array import array
from functools import lru_cache
from typing import IO

from services.ingest.parse_error import ParseError
from services.ingest.tables.table import MAX_FIELD, Scratch
from services.ingest.tables.xlsx_xml import Events, damaged

#: Strings whose places are read from disk at a time.
_BLOCK = 512
_PLACE = array("Q").itemsize
#: Strings kept in memory, those of most use: names of countries, yes and no.
_KEPT = 2048
#: Characters of those kept.
_KEPT_CHARS = 256

# How a string has a character that XML cannot have, or reads otherwise (ECMA-376, ST_Xstring).
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
_LINE_CHARACTERS = {"\t", "\n", "\r"}


def unescaped(text: str) -> str:
    """Give a string as it was before it was put into XML."""
    return _ESCAPED.sub(_character, text) if "_x" in text else text


def _character(match: re.Match[str]) -> str:
    character = chr(int(match[1], 16))
    # What text cannot have stays as it is written.
    return character if character.isprintable() or character in _LINE_CHARACTERS else match[0]


class Strings:
    """Shared strings by their number.

    Args:
        texts: Where the strings go, one after the other.
        places: Where it goes where each of them ends.
    """

    def __init__(self, texts: Scratch, places: Scratch) -> None:
        self._texts = texts
        self._places = places
        self._count = 0
        self._end = 0
        self._kept: dict[int, str] = {}
        self._block = lru_cache(maxsize=8)(self._read_block)

    def fill(self, part: IO[bytes], name: str) -> None:
        """Read all strings of the part that holds them.

        Raises:
            ParseError: It is damaged, or a string is too long.
        """
        pieces: list[str] = []
        whole: list[bytes] = []
        ends = array("Q")
        phonetic = False

        def text(_: dict[str, str]) -> None:
            if not phonetic:
                events.text_to(pieces.append)

        def reading(_: dict[str, str]) -> None:
            # How a Japanese name is read stands beside it, and is no part of it.
            nonlocal phonetic
            phonetic = True

        def read() -> None:
            nonlocal phonetic
            phonetic = False

        def end() -> None:
            data = unescaped("".join(pieces)).encode()
            pieces.clear()
            self._end += len(data)
            whole.append(data)
            ends.append(self._end)

        events = Events(
            {"t": text, "rPh": reading},
            {"t": lambda: events.text_to(None), "rPh": read, "si": end},
        )
        for _ in events.read(part, name):
            if sum(map(len, pieces)) > MAX_FIELD:
                raise too_long()
            self._texts.append(b"".join(whole))
            self._places.append(ends.tobytes())
            self._count += len(ends)
            whole.clear()
            del ends[:]

    def __getitem__(self, index: int) -> str:
        """Give a string.

        Raises:
            ParseError: There is none of this number.
        """
        kept = self._kept.get(index)
        if kept is not None:
            return kept
        if not 0 <= index < self._count:
            raise damaged("a cell names a shared string that is not there")
        end = self._ends_before(index + 1)
        start = self._ends_before(index)
        text = self._texts.read_at(start, end - start).decode()
        if len(text) > MAX_FIELD:
            raise too_long()
        if len(self._kept) < _KEPT and len(text) <= _KEPT_CHARS:
            self._kept[index] = text
        return text

    def _ends_before(self, count: int) -> int:
        if count == 0:
            return 0
        block, place = divmod(count - 1, _BLOCK)
        return self._block(block)[place]

    def _read_block(self, block: int) -> array[int]:
        ends = array("Q")
        ends.frombytes(self._places.read_at(block * _BLOCK * _PLACE, _BLOCK * _PLACE))
        return ends


def too_long() -> ParseError:
    """Make the error for a cell that no spreadsheet program writes."""
    return ParseError(
        "field-too-long", f"A cell has over {MAX_FIELD} characters. Shorten it, or leave it out."
    )
