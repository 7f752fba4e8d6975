"""Finds the encoding of a text, and decodes it.

The encoding that the sender names is taken at its word. Without one it is found: by a byte
order mark; UTF-16 by where its NULs stand; UTF-8 if all bytes are; and Windows-1252 if no
other reading is possible, which is when nothing outside ASCII is UTF-8 and every byte means
something in Windows-1252. What is left is an error, met at its byte.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import BinaryIO, Literal

from services.ingest.parse_error import ParseError, UnplacedError
from services.ingest.tables.table import CHUNK, read_head

Encoding = Literal["utf-8", "utf-16", "utf-16-le", "utf-16-be", "windows-1252"]

#: Encodings as Python's registry calls them, and what we call them.
_KNOWN: dict[str, Encoding] = {
    "utf-8": "utf-8",
    "utf-8-sig": "utf-8",
    "ascii": "utf-8",
    "utf-16": "utf-16",
    "utf-16-le": "utf-16-le",
    "utf-16-be": "utf-16-be",
    "cp1252": "windows-1252",
    # Browsers and spreadsheets mean Windows-1252 when they say Latin-1.
    "iso8859-1": "windows-1252",
}
_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_UTF_32 = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_NAMES = {
    "utf-8": "UTF-8",
    "utf-16-le": "UTF-16 (little-endian)",
    "utf-16-be": "UTF-16 (big-endian)",
    "windows-1252": "Windows-1252",
}

_UTF8_SEQUENCE = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]"
    rb"|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]"
    rb"|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}"
)
#: Bytes that a sequence cut at the end of a chunk leaves there.
_LONGEST_CUT = 3
_NOT_WINDOWS_1252 = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")
#: Of UTF-16, at least a fifth of the characters have a NUL for their one half, even in Chinese
#: or Japanese (digits, delimiters, line ends), and hardly any for the other. Fewer NULs than a
#: heading has letters may be damage.
_FEWEST_NULS = 4
_NUL_SHARE = 5
_OTHER_NULS = 10


def encoding_named(name: str) -> Encoding | None:
    """Give our name of an encoding by one of its usual names, or `None` if it is not read."""
    try:
        return _KNOWN.get(codecs.lookup(name).name)
    except (LookupError, ValueError):
        return None


def find_encoding(
    text: BinaryIO, declared: Encoding | None
) -> tuple[str, Literal["option", "mark", "content"]]:
    """Give the encoding of a text, and by what it is known; reads all of it if it must.

    Raises:
        ParseError: It is in UTF-32.
    """
    head = read_head(text)
    # UTF-32's mark, little-endian, begins with UTF-16's; a NUL as first character is no text.
    if head.startswith(_UTF_32):
        raise ParseError(
            "bad-encoding", "The file is text in UTF-32. Save it in UTF-8 and send that."
        )
    marked = next((name for mark, name in _MARKS.items() if head.startswith(mark)), None)
    if declared is not None and declared != "utf-16":
        return declared, "option"
    if marked is not None:
        return marked, "mark"
    if (wide := _wide(head)) is not None:
        return wide, "content"
    if declared is not None:
        # The standard's own rule for UTF-16 without a mark is not what Windows writes.
        return "utf-16-le", "option"
    return _utf8_or_windows(head, text), "content"


def _wide(head: bytes) -> str | None:
    """Tell UTF-16 without a mark from where NULs stand."""
    low, high = head[::2].count(0), head[1::2].count(0)
    most, least, name = (low, high, "utf-16-be") if low > high else (high, low, "utf-16-le")
    many = most >= _FEWEST_NULS and most * _NUL_SHARE >= len(head) // 2
    return name if many and least * _OTHER_NULS <= most else None


def _utf8_or_windows(head: bytes, text: BinaryIO) -> str:
    decoder = codecs.getincrementaldecoder("utf-8")()
    is_utf8 = True
    carried = b""
    chunk = head
    while chunk:
        if is_utf8:
            try:
                wide = not decoder.decode(chunk).isascii()
            except UnicodeDecodeError as error:
                is_utf8 = False
                # From here on the bytes alone are looked at, those before the fault included.
                chunk = error.object
                wide = False
            if wide:
                # UTF-8 it is, whether or not a bad byte follows.
                return "utf-8"
        if not is_utf8:
            chunk = carried + chunk
            if _UTF8_SEQUENCE.search(chunk) or _NOT_WINDOWS_1252.search(chunk):
                return "utf-8"
            carried = chunk[-_LONGEST_CUT:]
        chunk = text.read(CHUNK)
    cut, _ = decoder.getstate()
    if is_utf8 and cut:
        is_utf8 = _NOT_WINDOWS_1252.search(cut) is not None
    return "utf-8" if is_utf8 else "windows-1252"


def decode(text: BinaryIO, encoding: str) -> Iterator[str]:
    """Decode a text in parts of bounded size.

    Raises `UnplacedError` at the first byte that cannot be, or NUL, after all that stands before it.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    position = 0
    chunk = read_head(text)
    for mark, name in _MARKS.items():
        if name == encoding and chunk.startswith(mark):
            position, chunk = len(mark), chunk[len(mark) :]
    last = False
    while not last:
        # The empty bytes at the end make the decoder say whether a character was cut off.
        last = not chunk
        try:
            part = decoder.decode(chunk, final=last)
        except UnicodeDecodeError as error:
            yield error.object[: error.start].decode(encoding)
            byte = position - (len(error.object) - len(chunk)) + error.start + 1
            raise _undecodable(byte, encoding) from None
        position += len(chunk)
        if "\0" in part:
            yield part[: part.index("\0")]
            raise UnplacedError(
                "nul-bytes",
                "There is a NUL, which no text has: the file is damaged, or is no text. "
                "Save it anew as CSV in UTF-8; if it is in UTF-16, say so by `encoding`.",
            )
        yield part
        chunk = text.read(CHUNK)


def _undecodable(byte: int, encoding: str) -> UnplacedError:
    return UnplacedError(
        "bad-encoding",
        f"Byte {byte} of the text is not {_NAMES[encoding]}. Correct it there, save the table "
        "as 'CSV UTF-8', or say what it is in by `encoding`.",
    )
