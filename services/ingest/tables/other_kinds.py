"""Files that are no table, known by how they begin, with what to do about each."""

from __future__ import annotations

import re
from typing import BinaryIO

from services.ingest.parse_error import ParseError
from services.ingest.tables.table import CHUNK, read_head

ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_SAVE = "Save the table as .xlsx, or as CSV in UTF-8, and send that."
_UNPACK = "Unpack it and send the file in it; gzip is taken if it has to be compressed."

_OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
# What an encrypted workbook has inside the format of old Office documents ([MS-OFFCRYPTO]).
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")

_KINDS: tuple[tuple[bytes, str, str], ...] = (
    (b"%PDF", "a PDF document", _SAVE),
    (b"\x89PNG\r\n\x1a\n", "a PNG image", _SAVE),
    (b"\xff\xd8\xff", "a JPEG image", _SAVE),
    (b"GIF8", "a GIF image", _SAVE),
    (b"RIFF", "an image, a sound or a film", _SAVE),
    (b"II*\x00", "a TIFF image", _SAVE),
    (b"MM\x00*", "a TIFF image", _SAVE),
    (b"{\\rtf", "an RTF document", _SAVE),
    (b"SQLite format 3\x00", "an SQLite database", _SAVE),
    (b"PAR1", "a Parquet file", _SAVE),
    (b"ARROW1", "an Arrow file", _SAVE),
    (b"Obj\x01", "an Avro file", _SAVE),
    (b"\x7fELF", "a program", _SAVE),
    (b"BZh", "compressed with bzip2", _UNPACK),
    (b"\xfd7zXZ\x00", "compressed with xz", _UNPACK),
    (b"(\xb5/\xfd", "compressed with Zstandard", _UNPACK),
    (b"7z\xbc\xaf'\x1c", "a 7z archive", _UNPACK),
    (b"Rar!\x1a\x07", "a RAR archive", _UNPACK),
)
_MARKUP = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype\s|html|\?xml|table|workbook)", re.IGNORECASE
)


def check_is_table(file: BinaryIO) -> None:
    """Return if a file, read from its start, is none of the kinds known here.

    Raises:
        ParseError: It is one; nothing is said of a ZIP archive, which may be a workbook.
    """
    head = read_head(file)
    if head.startswith(_OLD_OFFICE):
        raise _old_office(head, file)
    for signature, kind, way_out in _KINDS:
        if head.startswith(signature):
            raise ParseError("not-a-table", f"The file is {kind}. {way_out}")
    if _MARKUP.match(head):
        raise ParseError(
            "not-a-table",
            "The file is a web page or XML, whatever its name says. Open it in a spreadsheet "
            "program, save it as .xlsx or as CSV, and send that.",
        )


def _old_office(head: bytes, file: BinaryIO) -> ParseError:
    seen = head
    while seen:
        if _ENCRYPTED in seen:
            return ParseError(
                "encrypted-workbook",
                "The workbook is encrypted with a password. Save it without one, or export the "
                "sheet as CSV.",
            )
        more = file.read(CHUNK)
        seen = seen[-len(_ENCRYPTED) :] + more if more else b""
    return ParseError(
        "old-excel",
        "The file is an old Excel workbook (.xls), or another old Office document. "
        "Save it as .xlsx, or as CSV in UTF-8, and send that.",
    )
