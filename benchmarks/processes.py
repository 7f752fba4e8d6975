"""What processes have cost, by the operating system's books."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pids: Sequence[int]) -> float:
    """User and system time of processes."""
    return sum(_seconds(f"/proc/{pid}/stat") for pid in pids)


def main_thread_seconds(pid: int) -> float:
    """User and system time of a process's main thread alone: that of its event loop."""
    return _seconds(f"/proc/{pid}/task/{pid}/stat")


def peak_mebibytes(pid: int) -> float:
    """The most memory that a process has had resident since its start."""
    for line in Path(f"/proc/{pid}/status").read_text("utf-8").splitlines():
        name, _, value = line.partition(":")
        if name == "VmHWM":
            return int(value.split()[0]) / 1024
    raise ValueError(f"process {pid} has no memory: it has ended")


def _seconds(file: str) -> float:
    fields = Path(file).read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def children(pid: int) -> list[int]:
    """The processes that a process has started itself."""
    return [*map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text("utf-8").split())]
