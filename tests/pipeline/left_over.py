"""Finds what a test may have left running."""

from pathlib import Path


def running_below(directory: Path) -> list[str]:
    """Command lines of processes that run in the directory (Linux only; elsewhere none is seen)."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink().is_relative_to(directory.resolve()):
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue  # it has ended, or is not ours to see
    return found
