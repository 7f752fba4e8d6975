"""What happens to tests that need a program which no wheel brings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

MARKED = """
import pytest

@pytest.mark.needs_prometheus
def test_marked():
    pass

def test_other():
    pass
"""
CONFTEST = """
from tests.needs_programs import (
    pytest_collection_modifyitems,
    pytest_configure,
    pytest_runtest_setup,
    pytest_terminal_summary,
)
"""
INI = """
[pytest]
"""


def run_without_prometheus(directory: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """A pytest of its own on one marked and one other test, with an empty PATH."""
    (directory / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    (directory / "test_marked.py").write_text(MARKED, encoding="utf-8")
    (directory / "pytest.ini").write_text(INI, encoding="utf-8")
    empty = directory / "empty"
    empty.mkdir()
    kept = {name: value for name, value in os.environ.items() if name not in {"CI", "PATH"}}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:randomly", "-v"],
        env={**kept, "PATH": str(empty), "PYTHONPATH": str(ROOT), **environ},
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_machine_without_prometheus_is_told_what_was_left_out(tmp_path: Path) -> None:
    """The rest runs, and the last lines name what did not and how to have it run."""
    done = run_without_prometheus(tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed, 1 deselected" in done.stdout
    left_out = done.stdout.partition("left out")[2]
    assert "test_marked.py::test_marked" in left_out
    assert (
        "1 tests were left out, for want of promtool and prometheus: apt install prometheus"
        in left_out
    )


def test_nothing_is_left_out_in_ci(tmp_path: Path) -> None:
    """There they end the run as failed, and say what is missing."""
    done = run_without_prometheus(tmp_path, CI="true")

    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout + done.stderr
    assert "1 passed, 1 error" in done.stdout
    assert "promtool and prometheus not found: apt install prometheus" in done.stdout
