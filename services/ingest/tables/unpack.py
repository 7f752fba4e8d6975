"""Unpacks gzip while it is read, and bounds what compressed files may grow to.

A reader can seek, by unpacking from the start again, so that a compressed workbook is read
without a second copy on disk.
"""

from __future__ import annotations

import io
import zlib
from typing import BinaryIO

from services.ingest.parse_error import ParseError
from services.ingest.tables.table import CHUNK

GZIP = b"\x1f\x8b"
#: Bytes a file may have when unpacked.
MAX_UNPACKED = 4 * 1024**3
#: Bytes up to which any rate of compression is taken: so much is read in a second.
_ANY_RATIO = 64 * 1024**2
#: Tables shrink to a tenth, very regular ones to a fiftieth; deflate can reach a thousandth.
_MAX_RATIO = 200
# zlib's way to say: a gzip header and trailer, with the largest window.
_GZIP_WINDOW = 16 + zlib.MAX_WBITS
#: Members without any data in a row, each of which costs time and takes twenty bytes.
_MAX_EMPTY = 1000


def check_size(packed: int, unpacked: int) -> None:
    """Return if so many bytes may come of so many.

    Raises:
        ParseError: They are more than a file may have, or than tables shrink by.
    """
    if unpacked > MAX_UNPACKED or unpacked > max(_ANY_RATIO, packed * _MAX_RATIO):
        raise ParseError(
            "unpacks-too-large",
            f"{packed} compressed bytes unpack to over {min(unpacked, MAX_UNPACKED)}, which is "
            "more than is taken, or more than a table shrinks by. Split the file, or send it "
            "as CSV, uncompressed.",
        )


class Gunzip(io.RawIOBase):
    """The bytes in a gzip file, of one member or several.

    Reading raises `ParseError` where the file is cut or damaged, or unpacks too large.
    """

    def __init__(self, packed: BinaryIO) -> None:
        self._packed = packed
        self._rewind()

    def _rewind(self) -> None:
        self._packed.seek(0)
        self._read = self._position = self._empty = 0
        self._pending = b""
        self._member = zlib.decompressobj(_GZIP_WINDOW)

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is, at the price of reading."""
        return True

    def tell(self) -> int:
        """Give the bytes read or passed so far."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a byte, or to the end where there are not so many."""
        if whence == io.SEEK_END:
            while self._unpack(CHUNK):
                pass
        target = offset + (0 if whence == io.SEEK_SET else self._position)
        if target < 0:
            raise ValueError("a seek to before the start")
        if target < self._position:
            self._rewind()
        while self._position < target and self._unpack(min(CHUNK, target - self._position)):
            pass
        return self._position

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # any buffer
        """Fill a buffer, or a part of it."""
        data = self._unpack(len(buffer)) if buffer else b""
        buffer[: len(data)] = data
        return len(data)

    def _unpack(self, size: int) -> bytes:
        """Give at least one byte and at most `size`; none at the end."""
        while True:
            if not self._pending:
                self._pending = self._packed.read(CHUNK)
                self._read += len(self._pending)
            ended = not self._pending
            if self._member.eof:
                # Some programs pad the last member with zeros.
                self._pending = self._pending.lstrip(b"\0")
                if ended:
                    return b""
                if self._pending:
                    self._next_member()
                continue
            try:
                data = self._member.decompress(self._pending, size)
            except zlib.error:
                raise self._damaged() from None
            self._pending = self._member.unused_data or self._member.unconsumed_tail
            if data:
                self._empty = 0
                self._position += len(data)
                check_size(self._read, self._position)
                return data
            if ended:
                raise ParseError(
                    "gzip-cut",
                    f"The gzip file ends in the middle, after {self._read} bytes. "
                    "Send the whole file.",
                )

    def _next_member(self) -> None:
        self._empty += 1
        if self._empty > _MAX_EMPTY:
            raise self._damaged()
        self._member = zlib.decompressobj(_GZIP_WINDOW)

    def _damaged(self) -> ParseError:
        return ParseError(
            "gzip-damaged",
            f"The gzip file is damaged before its byte {self._read + 1}. "
            "Compress the file again, or send it uncompressed.",
        )
