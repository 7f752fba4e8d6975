"""Tests of programs that no wheel brings, on machines that have them and on those that do not.

Where a person's machine lacks one, the tests marked `needs_PACKAGE` are left out of the run,
and the run's last lines name them and the way out. With the environment variable CI set
nothing is left out: they fail.
"""

from __future__ import annotations

import os
import shutil
from collections import defaultdict

import pytest

#: The programs that a test may need of a package of Debian's, by the package's name.
PACKAGES = {"prometheus": ("promtool", "prometheus"), "kcat": ("kcat",)}
_LEFT_OUT = pytest.StashKey[dict[str, list[str]]]()


def missing(package: str) -> list[str]:
    """Those of a package's programs that are not on the PATH."""
    return [program for program in PACKAGES[package] if shutil.which(program) is None]


def _lacking(item: pytest.Item) -> list[str]:
    """The packages that a test needs and the machine has not."""
    return [
        package
        for package in PACKAGES
        if item.get_closest_marker(f"needs_{package}") and missing(package)
    ]


def pytest_configure(config: pytest.Config) -> None:
    """Make the markers known."""
    for package in PACKAGES:
        config.addinivalue_line("markers", f"needs_{package}: runs programs of Debian's {package}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what cannot run here, unless this is CI."""
    if os.environ.get("CI"):
        return
    left_out = [item for item in items if _lacking(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    by_package: dict[str, list[str]] = defaultdict(list)
    for item in left_out:
        by_package[_lacking(item)[0]].append(item.nodeid)
    config.stash[_LEFT_OUT] = by_package


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail what runs all the same with what it lacks, rather than with an error further in."""
    for package in _lacking(item):
        lacks = " and ".join(missing(package))
        pytest.fail(f"{lacks} not found: apt install {package}", pytrace=False)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Name what was left out, and how to have it run."""
    left_out = config.stash.get(_LEFT_OUT, {})
    if left_out:
        terminalreporter.section("left out")
    for package, nodeids in left_out.items():
        for nodeid in nodeids:
            terminalreporter.line(nodeid)
        terminalreporter.line(
            f"{len(nodeids)} tests were left out, for want of {' and '.join(missing(package))}: "
            f"apt install {package}"
        )
