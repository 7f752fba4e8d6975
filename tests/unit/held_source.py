"""An upload in memory, for tests of what reads files."""

from __future__ import annotations

import io
from typing import BinaryIO

from services.ingest.tables.opening import Said, open_table
from services.ingest.tables.table import Table


class HeldScratch:
    """A scratch file in memory."""

    def __init__(self) -> None:
        self._data = bytearray()

    def __len__(self) -> int:
        return len(self._data)

    def append(self, data: bytes) -> None:
        self._data += data

    def read_at(self, offset: int, size: int) -> bytes:
        return bytes(self._data[offset : offset + size])


class _Sips(io.BytesIO):
    """Gives so many bytes at a time at most, as a file may."""

    size = 0

    def read(self, size: int | None = -1, /) -> bytes:
        wanted = self.size if size is None or size < 0 else min(size, self.size)
        return super().read(wanted)


class HeldSource:
    """An upload whose bytes are held, and come as many at a time as the test says."""

    def __init__(self, data: bytes, sip: int = 1 << 30) -> None:
        self._data = data
        self._sip = sip

    def open(self) -> BinaryIO:
        file = _Sips(self._data)
        file.size = self._sip
        return file

    def scratch(self) -> HeldScratch:
        return HeldScratch()


def opened(data: bytes, said: Said = Said(), sip: int = 1 << 30) -> Table:  # noqa: B008 - frozen
    """Open bytes as a table."""
    return open_table(HeldSource(data, sip), said, lambda: None)


def read(data: bytes, said: Said = Said(), sip: int = 1 << 30) -> list[tuple[int, list[str]]]:  # noqa: B008 - frozen
    """Read all rows of bytes."""
    return list(opened(data, said, sip).rows())
