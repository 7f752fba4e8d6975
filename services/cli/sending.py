"""Sends a file to ingest, with a bar while it goes out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from services.cli.output import Screen

_CHUNK = 256 * 1024


def in_chunks(source: BinaryIO, size: int | None, screen: Screen) -> Iterator[bytes]:
    """Give a file in chunks, and say how far it is, how fast, and how long it takes.

    Args:
        source: What to send.
        size: Its bytes; `None` if nobody knows.
        screen: Where the bar goes, if that is a terminal.
    """
    from rich.progress import (  # noqa: PLC0415 - only here
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    progress = Progress(
        TextColumn("Sending"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeElapsedColumn() if size is None else TimeRemainingColumn(),
        console=screen.err,
        transient=True,
        disable=not screen.err.is_terminal,
    )
    left = size
    with progress:
        task = progress.add_task("", total=size)
        while chunk := source.read(_CHUNK if left is None else min(_CHUNK, left)):
            yield chunk
            progress.advance(task, len(chunk))
            if left is not None:
                # A file that grows meanwhile is sent as long as it was announced.
                left -= len(chunk)
    screen.note("Sent; it is being read.")
