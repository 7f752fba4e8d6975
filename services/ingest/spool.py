"""Uploads on disk until they are published: bounded, hashed as they come, never in memory whole.

A spooled file has no name: the kernel removes it with the process that holds it, however
that ends, so nothing is left to clean up at a start.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import io
import os
import tempfile
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import IO, BinaryIO, Self, cast

from services.runtime.metrics import INGEST_SPOOL_BYTES, INGEST_SPOOL_LIMIT

#: Bytes gathered before they are hashed and written in a thread.
_WRITE = 256 * 1024
#: Uploads on the disk at a time, those on their way included: each holds a file and a buffer.
MOST_FILES = 200
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
#: Bytes of the disk that are left to others, who may be Kafka and PostgreSQL; of a small disk
#: a twentieth.
_LEFT_TO_OTHERS = 256 * 1024 * 1024
_LEFT_PART = 20


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
        self._files = 0
        self._lock = threading.Lock()

    def open(self, announced: int) -> SpooledFile:
        """Make room for one upload, of which so many bytes were announced (0: unknown).

        Raises:
            UploadTooLargeError: It will be larger than `max_upload`.
            SpoolFullError: There is not so much room, by the limit or on the disk, or there are
                too many uploads.
        """
        if announced > self.max_upload:
            raise UploadTooLargeError
        if self._used + announced > self._limit or self._files >= MOST_FILES:
            raise SpoolFullError
        unnamed = self.unnamed()
        if not _has_room(unnamed, announced):
            unnamed.close()
            raise SpoolFullError
        self._files += 1
        return SpooledFile(self, unnamed)

    def closed(self) -> None:
        """Count an upload out."""
        self._files -= 1

    def unnamed(self) -> IO[bytes]:
        """Make a file; what is written to it is the caller's to count.

        Raises:
            SpoolFullError: The disk is full.
        """
        try:
            return tempfile.TemporaryFile(dir=self._directory, buffering=0)
        except OSError as error:
            raise _no_room(error) from error

    def take(self, size: int) -> None:
        """Count bytes in.

        Raises:
            SpoolFullError: They are too many.
        """
        # Scratch files are written in threads.
        with self._lock:
            if self._used + size > self._limit:
                raise SpoolFullError
            self._used += size
            INGEST_SPOOL_BYTES.set(self._used)

    def give_back(self, size: int) -> None:
        """Count bytes out."""
        with self._lock:
            self._used -= size
            INGEST_SPOOL_BYTES.set(self._used)


class SpooledFile:
    """One upload on disk; its room is given back when it is closed."""

    def __init__(self, spool: Spool, file: IO[bytes]) -> None:
        self._spool = spool
        self._file = file
        self._hash = hashlib.sha256()
        self._scratches: list[ScratchFile] = []
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
            self._spool.closed()
            for scratch in self._scratches:
                scratch.close()

    async def fill(self, chunks: AsyncIterator[bytes]) -> None:
        """Write everything to disk, hashing it.

        Raises:
            UploadTooLargeError: It is larger than any file may be.
            SpoolFullError: There is no more room, by the limit or on the disk, of which some is
                left to others.
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

    def open(self) -> BinaryIO:
        """Read it from its start; blocks, so read it in a thread."""
        return cast("BinaryIO", _Reader(self._file))

    def scratch(self) -> ScratchFile:
        """Make a file beside it that vanishes with it.

        Raises:
            SpoolFullError: There is no room.
        """
        scratch = ScratchFile(self._spool, self._spool.unnamed())
        self._scratches.append(scratch)
        return scratch

    def _count(self, size: int) -> None:
        if self.size + size > self._spool.max_upload:
            raise UploadTooLargeError
        self._spool.take(size)
        self.size += size

    def _write(self, data: bytes) -> None:
        self._hash.update(data)
        _write_all(self._file, data)


class ScratchFile:
    """Bytes put down on disk while an upload is read; blocks, so use it in a thread."""

    def __init__(self, spool: Spool, file: IO[bytes]) -> None:
        self._spool = spool
        self._file = file
        self._size = 0

    def append(self, data: bytes) -> None:
        """Put bytes at its end.

        Raises:
            SpoolFullError: There is no room.
        """
        if self._file.closed:
            raise ValueError("the upload is closed")
        self._spool.take(len(data))
        self._size += len(data)
        _write_all(self._file, data)

    def read_at(self, offset: int, size: int) -> bytes:
        """Read so many bytes from a place, fewer where it ends."""
        return os.pread(self._file.fileno(), size, offset)

    def close(self) -> None:
        """Remove it."""
        self._file.close()
        self._spool.give_back(self._size)


class _Reader(io.RawIOBase):
    """Reads a file from its start, minding no other reader of it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        if whence == io.SEEK_END:
            offset += os.fstat(self._file.fileno()).st_size
        elif whence == io.SEEK_CUR:
            offset += self._position
        if offset < 0:
            raise ValueError("a seek to before the start")
        self._position = offset
        return offset

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # any buffer
        count = os.preadv(self._file.fileno(), [buffer], self._position)
        self._position += count
        return count


def _write_all(file: IO[bytes], data: bytes) -> None:
    if not _has_room(file, len(data)):
        raise SpoolFullError
    view = memoryview(data)
    try:
        while view:
            view = view[file.write(view) :]
    except OSError as error:
        raise _no_room(error) from error


def _has_room(file: IO[bytes], size: int) -> bool:
    """Tell whether the file's disk takes so much more and is not full then."""
    disk = os.fstatvfs(file.fileno())
    if not disk.f_blocks:  # it does not say
        return True
    kept = min(_LEFT_TO_OTHERS, disk.f_blocks * disk.f_frsize // _LEFT_PART)
    return disk.f_bavail * disk.f_frsize - size >= kept


def _no_room(error: OSError) -> Exception:
    return SpoolFullError() if error.errno in _NO_ROOM else error
