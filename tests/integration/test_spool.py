import errno
import hashlib
from collections.abc import AsyncIterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from services.ingest.spool import Spool, SpoolFullError, UploadTooLargeError


async def _stream(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def test_what_is_spooled_is_hashed_and_can_be_read_again_and_again(tmp_path: Path) -> None:
    """The bytes come back whole at every reading, and the hash is theirs."""
    chunks = [bytes([i]) * 99_991 for i in range(20)]
    with Spool(tmp_path / "made", 10_000_000, 5_000_000).open(0) as file:
        await file.fill(_stream(*chunks))
        assert file.sha256 == hashlib.sha256(b"".join(chunks)).hexdigest()
        for _ in range(2):
            assert file.open().read() == b"".join(chunks)
        one, other = file.open(), file.open()
        one.seek(99_990)
        assert (one.read(2), other.read(2)) == (b"\0\1", b"\0\0")
        assert (one.seek(-3, 1), one.seek(-1, 2)) == (99_989, 20 * 99_991 - 1)


async def test_a_spooled_file_has_no_name(tmp_path: Path) -> None:
    """Nothing in the directory can outlive the process, however it ends."""
    with Spool(tmp_path, 100, 100).open(0) as file:
        await file.fill(_stream(b"x" * 50))
        assert list(tmp_path.iterdir()) == []  # noqa: ASYNC240 - a test may block


@pytest.mark.parametrize(
    ("announced", "size", "error"),
    [
        (101, 0, UploadTooLargeError),
        (0, 101, UploadTooLargeError),
        (61, 0, SpoolFullError),
        (0, 61, SpoolFullError),
    ],
)
async def test_the_room_is_bounded(
    tmp_path: Path, announced: int, size: int, error: type[Exception]
) -> None:
    """One upload is bounded, and all together are; what was announced counts at once."""
    spool = Spool(tmp_path, 160, 100)
    with spool.open(0) as other:
        await other.fill(_stream(b"x" * 100))
        with pytest.raises(error), spool.open(announced) as file:
            await file.fill(_stream(b"x" * size))


async def test_a_closed_file_gives_its_room_back(tmp_path: Path) -> None:
    """What failed or was published takes no room, and closing twice changes nothing."""
    spool = Spool(tmp_path, 100, 100)
    for _ in range(3):
        file = spool.open(100)
        await file.fill(_stream(b"x" * 100))
        file.close()
        file.close()


async def test_a_full_disk_is_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ENOSPC means the same to a sender as the limit: later there may be room."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    spool = Spool(tmp_path, 100, 100)
    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(SpoolFullError):
        spool.open(0)


@pytest.mark.parametrize(
    ("total", "free", "size", "taken"),
    [
        (1000 * 2**30, 256 * 2**20 + 50, 50, True),
        (1000 * 2**30, 256 * 2**20 + 50, 51, False),
        (2000, 150, 50, True),  # of a small disk a twentieth
        (2000, 150, 51, False),
        (0, 0, 51, True),  # a disk that does not say how large it is
    ],
)
@pytest.mark.parametrize("announced", [True, False])
async def test_some_of_the_disk_is_left_to_others(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    total: int,
    free: int,
    size: int,
    *,
    taken: bool,
    announced: bool,
) -> None:
    """Whatever the limit is, uploads never fill a disk; what will not fit is refused at once."""
    disk = SimpleNamespace(f_frsize=1, f_blocks=total, f_bavail=free)
    monkeypatch.setattr("os.fstatvfs", lambda _: disk)
    spool = Spool(tmp_path, 100, 100)
    with (
        nullcontext() if taken else pytest.raises(SpoolFullError),
        spool.open(size if announced else 0) as file,
    ):
        if not announced:
            await file.fill(_stream(b"x" * size))
    disk.f_bavail = total
    spool.open(100).close()


async def test_scratch_files_share_the_room_and_the_end_of_their_upload(tmp_path: Path) -> None:
    """What is put down while an upload is read counts as it does, and vanishes with it."""
    spool = Spool(tmp_path, 100, 100)
    file = spool.open(0)
    await file.fill(_stream(b"x" * 50))
    scratch = file.scratch()
    scratch.append(b"a" * 20)
    scratch.append(b"b" * 30)
    assert (scratch.read_at(19, 2), scratch.read_at(49, 9)) == (b"ab", b"b")
    with pytest.raises(SpoolFullError):
        scratch.append(b"c")
    file.close()
    assert list(tmp_path.iterdir()) == []  # noqa: ASYNC240 - a test may block
    spool.open(100).close()
    with pytest.raises(ValueError, match="closed"):
        scratch.append(b"d")
    spool.open(100).close()


async def test_uploads_at_a_time_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each holds a file and a buffer, so there are only so many; a closed one makes room."""
    monkeypatch.setattr("services.ingest.spool.MOST_FILES", 2)
    spool = Spool(tmp_path, 100, 100)
    first, second = spool.open(0), spool.open(0)
    with pytest.raises(SpoolFullError):
        spool.open(0)
    first.close()
    first.close()
    third = spool.open(0)
    with pytest.raises(SpoolFullError):
        spool.open(0)
    second.close()
    third.close()
