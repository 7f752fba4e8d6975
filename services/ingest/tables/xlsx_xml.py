"""Reads the XML of a workbook's parts as events, in bounded memory.

The standard library's expat, with what hostile XML needs forbidden: document types (and so
entities), deep nesting, and single tags that do not end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import IO, Literal, TypeVar
from xml.parsers import expat

from services.ingest.parse_error import ParseError
from services.ingest.tables.table import CHUNK

# The two namespaces of ECMA-376, as nearly all programs write it and in its strict form.
_MAIN = (
    "http://schemas.openxmlformats.org/spreadsheetml/2006/main",
    "http://purl.oclc.org/ooxml/spreadsheetml/main",
)
_RELATIONS = (
    "http://schemas.openxmlformats.org/officeDocument/2006/relationships",
    "http://purl.oclc.org/ooxml/officeDocument/relationships",
)
_PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
_SEPARATOR = "}"

#: Elements within each other; what is read stands six deep at most.
_MAX_DEPTH = 64
#: Bytes of one tag.
_MAX_TAG = 1024 * 1024

T = TypeVar("T")
Attributes = dict[str, str]
Start = Callable[[Attributes], None]
End = Callable[[], None]


def damaged(what: str) -> ParseError:
    """Make the error for a workbook that breaks its own format."""
    return ParseError(
        "damaged-workbook",
        f"The workbook is damaged: {what}. Open it in a spreadsheet program, save it anew as "
        ".xlsx, or export the sheet as CSV.",
    )


class Events:
    """Tells handlers of the elements they want.

    Args:
        starts: By an element's name without its namespace, what is told its attributes.
        ends: What is told of its end.
    """

    def __init__(self, starts: dict[str, Start], ends: dict[str, End]) -> None:
        self._starts = _with_namespaces(starts)
        self._ends = _with_namespaces(ends)
        self._depth = 0
        self._parser = expat.ParserCreate(namespace_separator=_SEPARATOR)
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.StartDoctypeDeclHandler = self._doctype

    def text_to(self, take: Callable[[str], object] | None) -> None:
        """Give the text that comes from now on, in pieces, to a function, or to nobody."""
        self._parser.CharacterDataHandler = take

    def read(self, part: IO[bytes], name: str) -> Iterator[Literal[True]]:
        """Go over a part; yields after each piece of it, its handlers called.

        Raises:
            ParseError: It is not whole or not well-formed.
        """
        fed = 0
        try:
            while chunk := part.read(CHUNK):
                self._parser.Parse(chunk, False)
                fed += len(chunk)
                if fed - self._parser.CurrentByteIndex > _MAX_TAG:
                    raise damaged(f"a tag in {name} does not end")
                yield True
            self._parser.Parse(b"", True)
            yield True
        except expat.ExpatError:
            raise damaged(f"{name} is no whole XML") from None

    def _start(self, name: str, attributes: Attributes) -> None:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise damaged("its XML is nested too deep")
        handler = self._starts.get(name)
        if handler is not None:
            handler(attributes)

    def _end(self, name: str) -> None:
        self._depth -= 1
        handler = self._ends.get(name)
        if handler is not None:
            handler()

    def _doctype(self, *_: object) -> None:
        raise damaged("its XML declares a document type, which no workbook does")


def relation_of(attributes: Attributes) -> str | None:
    """Give the id of the relation that an element names."""
    for namespace in _RELATIONS:
        if (found := attributes.get(f"{namespace}{_SEPARATOR}id")) is not None:
            return found
    return None


def _with_namespaces(handlers: dict[str, T]) -> dict[str, T]:
    return {
        f"{namespace}{_SEPARATOR}{name}": handler
        for name, handler in handlers.items()
        for namespace in (*_MAIN, _PACKAGE)
    }
