"""Uploads on disk until they are published: bounded, hashed as they come, never in memory whole.

A spooled file has no name: the kernel removes it with the process that holds it, however
that ends, so nothing is left to clean up at a start.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from services.runtime.metrics import INGEST_SPOOL_BYTES, INGEST_SPOOL_LIMIT

#: Bytes gathered before they are hashed and written in a thread.
_WRITE = 256 * 1024
_READ = 256 * 1024
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class UploadTooLargeError(Exception):
    """The file is larger than any file may be."""


class SpoolFullError(Exception):
    """There is no room now, for all uploads together."""


class Spool:
    """The room for uploads of this process.

    Args:
        directory: Where the bytes go; made if it is missing.
        limit: Bytes of all uploads together.
        max_upload: Bytes of one.
    """

    def __init__(self, directory: Path | None, limit: int, max_upload: int) -> None:
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._limit = limit
        self.max_upload = max_upload
        self._used = 0
        INGEST_SPOOL_LIMIT.set(limit)

    def open(self, announced: int) -> SpooledFile:
        """Make room for one upload, of which so many bytes were announced (0: unknown).

        Raises:
            UploadTooLargeError: It will be larger than `max_upload`.
            SpoolFullError: There is not so much room.
        """
        if announced > self.max_upload:
            raise UploadTooLargeError
        if self._used + announced > self._limit:
            raise SpoolFullError
        try:
            return SpooledFile(self, tempfile.TemporaryFile(dir=self._directory, buffering=0))
        except OSError as error:
            raise _no_room(error) from error

    def take(self, size: int) -> None:
        """Count bytes in.

        Raises:
            SpoolFullError: They are too many.
        """
        if self._used + size > self._limit:
            raise SpoolFullError
        self.give_back(-size)

    def give_back(self, size: int) -> None:
        """Count bytes out."""
        self._used -= size
        INGEST_SPOOL_BYTES.set(self._used)


class SpooledFile:
    """One upload on disk; its room is given back when it is closed."""

    def __init__(self, spool: Spool, file: IO[bytes]) -> None:
        self._spool = spool
        self._file = file
        self._hash = hashlib.sha256()
        self.size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove it; more than once does nothing more."""
        if not self._file.closed:
            self._file.close()
            self._spool.give_back(self.size)

    async def fill(self, chunks: AsyncIterator[bytes]) -> None:
        """Write everything to disk, hashing it.

        Raises:
            UploadTooLargeError: It is larger than any file may be.
            SpoolFullError: There is no more room, by the limit or on the disk.
        """
        gathered = bytearray()
        async for chunk in chunks:
            self._count(len(chunk))
            gathered += chunk
            if len(gathered) >= _WRITE:
                await asyncio.to_thread(self._write, bytes(gathered))
                gathered.clear()
        await asyncio.to_thread(self._write, bytes(gathered))

    @property
    def sha256(self) -> str:
        """Of all its bytes, in hex."""
        return self._hash.hexdigest()

    def chunks(self) -> Iterator[bytes]:
        """Read it from its start; blocks, so go over it in a thread."""
        position = 0
        while chunk := os.pread(self._file.fileno(), _READ, position):
            position += len(chunk)
            yield chunk

    def _count(self, size: int) -> None:
        if self.size + size > self._spool.max_upload:
            raise UploadTooLargeError
        self._spool.take(size)
        self.size += size

    def _write(self, data: bytes) -> None:
        self._hash.update(data)
        view = memoryview(data)
        try:
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            raise _no_room(error) from error


def _no_room(error: OSError) -> Exception:
    return SpoolFullError() if error.errno in _NO_ROOM else error
