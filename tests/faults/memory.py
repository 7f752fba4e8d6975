"""How much memory each program has over time: sampled, judged, and drawn."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from services.local.programs import Program
from tests.background import Background

_EVERY_SECONDS = 1.0
#: The share by which a program's memory may grow once it is warm.
_GROWTH = 0.1
_PAGE = 4096
_COLOURS = ("#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#9c6b4e", "#a463f2")
_WIDTH, _HEIGHT, _LEFT, _ROW = 900, 360, 60, 18

#: Seconds since the start, and bytes.
Curve = list[tuple[float, int]]


class Memory(Background):
    """Samples the resident memory of programs in a thread, while the context lasts."""

    def __init__(self, programs: Mapping[str, Program]) -> None:
        super().__init__()
        self._programs = programs
        self._began = time.monotonic()
        self.curves: dict[str, Curve] = {name: [] for name in programs}

    def _work(self) -> None:
        """Sample until the end; a program that does not run has no memory to be noted."""
        while not self._ended.wait(_EVERY_SECONDS):
            at = time.monotonic() - self._began
            for name, program in self._programs.items():
                if program.running and (found := resident(program.pid)) is not None:
                    self.curves[name].append((at, found))


def resident(pid: int) -> int | None:
    """Bytes of a process's memory that are resident; None if it is gone. Linux's proc(5)."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except OSError:
        return None


def growth(curve: Sequence[tuple[float, int]]) -> float | None:
    """How much more the last third has than the second, as a share; the first is warm-up.

    A process that was killed begins low again, so it is the high ends that are compared. None
    for too few samples to tell.
    """
    third = len(curve) // 3
    if third < 20:
        return None
    second, last = (
        statistics.quantiles([size for _, size in part], n=10)[-1]
        for part in (curve[third : 2 * third], curve[2 * third :])
    )
    return last / second - 1


def judge(curves: Mapping[str, Curve]) -> tuple[list[str], list[str]]:
    """Give a line on the memory of each program, and a finding for each that grows once warm."""
    lines: list[str] = []
    findings: list[str] = []
    for name, curve in curves.items():
        share, most = growth(curve), max((size for _, size in curve), default=0) / 2**20
        grown = "too few samples" if share is None else f"{share:+.1%}"
        lines.append(f"memory of {name}: {grown}, {most:.0f} MiB at most")
        if share is not None and share > _GROWTH:
            findings.append(f"{name} grows by more than {_GROWTH:.0%} once it is warm")
    return lines, findings


def draw(curves: Mapping[str, Curve], file: Path) -> None:
    """Draw the curves as an SVG picture, in MiB over minutes."""
    last = max((at for curve in curves.values() for at, _ in curve), default=1.0)
    most = max((size for curve in curves.values() for _, size in curve), default=1)

    def across(at: float) -> float:
        return _LEFT + (_WIDTH - _LEFT) * at / last

    def down(size: float) -> float:
        return _HEIGHT - _HEIGHT * size / most

    lines = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" '
            f'height="{_HEIGHT + _ROW * (len(curves) + 2)}" font-family="sans-serif" font-size="12">'
        ),
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for part in range(5):
        size = most * part / 4
        lines.append(
            f'<path d="M{_LEFT} {down(size):.0f}H{_WIDTH}" stroke="#ddd"/>'
            f'<text x="4" y="{max(12, down(size)):.0f}">{size / 2**20:.0f} MiB</text>'
            f'<text x="{_LEFT + (_WIDTH - _LEFT - 50) * part / 4:.0f}" y="{_HEIGHT + _ROW}">'
            f"{last * part / 240:.1f} min</text>"
        )
    for place, (name, curve) in enumerate(curves.items()):
        colour = _COLOURS[place % len(_COLOURS)]
        points = " ".join(f"{across(at):.1f},{down(size):.1f}" for at, size in curve)
        lines += [
            f'<polyline points="{points}" fill="none" stroke="{colour}"/>',
            f'<text x="{_LEFT}" y="{_HEIGHT + _ROW * (place + 2)}" fill="{colour}">{name}</text>',
        ]
    file.write_text("\n".join([*lines, "</svg>"]), encoding="utf-8")
