"""Cuts text into lines, whatever ends them, and bounds what is held of a row. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from services.ingest.parse_error import UnplacedError
from services.ingest.tables.table import MAX_ROW

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)")


@dataclass(slots=True)
class Meter:
    """Counts the characters of lines since whoever puts rows together last set it to 0."""

    chars: int = 0


def lines(texts: Iterable[str], meter: Meter, too_long: str) -> Iterator[str]:
    """Yield lines with their ends (LF, CRLF or CR) from text cut anywhere.

    Raises `UnplacedError`, with the way out given as `too_long`, when a row has over `MAX_ROW`
    characters.
    """
    rest = ""
    for text in texts:
        rest += text
        # A CR at the very end may be the first half of a CRLF.
        end = max(rest.rfind("\n"), rest.rfind("\r", 0, -1)) + 1
        whole, rest = rest[:end], rest[end:]
        for line in _LINE.findall(whole):
            meter.chars += len(line)
            if meter.chars > MAX_ROW:
                break
            yield line
        if meter.chars + len(rest) > MAX_ROW:
            raise UnplacedError("row-too-long", f"It has over {MAX_ROW} characters. {too_long}")
    if rest:
        meter.chars += len(rest)
        yield rest
