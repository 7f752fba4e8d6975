"""Files that a command writes: whole or not at all, and for their owner's eyes alone."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from services.cli.exits import CommandError
from services.cli.output import Screen
from services.cli.wording import count


def save(parts: Iterable[bytes], path: Path, screen: Screen, *, is_csv: bool = True) -> int:
    """Write a file as it comes; gives how many rows it has.

    Args:
        parts: The file, cut anywhere.
        path: Where to.
        screen: Shows how far it is.
        is_csv: With a row of headings, which is not counted; else JSON Lines.

    Raises:
        CommandError: It cannot be had, or cannot be written.
    """
    rows = -1 if is_csv else 0
    in_quotes = False
    with _whole_file(path) as file, screen.err.status("Reading", spinner="line") as status:
        for part in parts:
            file.write(part)
            # A line break within quotes ends no row of CSV; JSON has none there.
            pieces = part.split(b'"') if is_csv else [part]
            for place, piece in enumerate(pieces):
                in_quotes ^= place > 0
                rows += 0 if in_quotes else piece.count(b"\n")
            status.update(f"{count(max(rows, 0))} read")
    return rows


@contextmanager
def _whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file that takes the place of `path` when all is written, and else is gone.

    Raises:
        CommandError: It cannot be written.
    """
    try:
        # Made for its owner alone: phone numbers are personal data.
        handle, name = tempfile.mkstemp(dir=path.absolute().parent, prefix=f".{path.name}.")
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}.") from error
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        Path(name).replace(path)
    except BaseException as error:
        with suppress(OSError):
            Path(name).unlink()
        if isinstance(error, OSError):
            raise CommandError(f"{path}: {error.strerror}.") from error
        raise
