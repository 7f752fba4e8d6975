"""Tells whenever some of a file is read, whoever reads it and whether or not it holds a row."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import IO


class Watched(io.RawIOBase):
    """A file whose every read is told.

    Args:
        file: What is read, unpacked: packed, a single read can hold millions of rows.
        on_progress: Called at each read, in the thread that reads.
    """

    def __init__(self, file: IO[bytes], on_progress: Callable[[], None]) -> None:
        self._file = file
        self._on_progress = on_progress

    def read(self, size: int = -1, /) -> bytes:
        """Read at most so many bytes."""
        self._on_progress()
        return self._file.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to a byte."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Give the byte that is read next."""
        return self._file.tell()

    def seekable(self) -> bool:
        """It is."""
        return True

    def readable(self) -> bool:
        """It is."""
        return True
