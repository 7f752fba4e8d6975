"""Tests of Debian's `prometheus` package, on machines that have it and on those that do not.

No wheel brings Prometheus. So where a person's machine lacks it, the tests marked
`needs_prometheus` are left out of the run, and the run's last lines name them and the way
out. With the environment variable CI set nothing is left out: they fail.
"""

from __future__ import annotations

import os
import shutil

import pytest

PROGRAMS = ("promtool", "prometheus")
_LEFT_OUT = pytest.StashKey[list[str]]()


def missing() -> list[str]:
    """Those of the package's programs that are not on the PATH."""
    return [program for program in PROGRAMS if shutil.which(program) is None]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what cannot run here, unless this is CI."""
    if not missing() or os.environ.get("CI"):
        return
    left_out = [item for item in items if item.get_closest_marker("needs_prometheus")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    config.stash[_LEFT_OUT] = [item.nodeid for item in left_out]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail what runs all the same with what it lacks, rather than with an error further in."""
    if item.get_closest_marker("needs_prometheus") and (lacks := missing()):
        pytest.fail(f"{' and '.join(lacks)} not found: apt install prometheus", pytrace=False)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Name what was left out, and how to have it run."""
    if left_out := config.stash.get(_LEFT_OUT, []):
        terminalreporter.section("left out")
        for nodeid in left_out:
            terminalreporter.line(nodeid)
        terminalreporter.line(
            f"{len(left_out)} tests were left out, for want of {' and '.join(missing())}: "
            "apt install prometheus"
        )
