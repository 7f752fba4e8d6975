"""A machine whose Python is too old, or that has none, is told so by `make`."""

from __future__ import annotations

import shutil
import subprocess
from importlib.metadata import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: Answers the two questions of the Makefile as a Python of this version would.
OLD = """\
#!/bin/sh
case "$2" in
*platform*) echo 3.10.14 ;;
*) exit 1 ;;
esac
"""


@pytest.mark.parametrize(
    ("pythons", "told"),
    [
        ((), "Python 3.11 or newer is needed; there is no python3 at all; install one"),
        (("python3",), "Python 3.11 or newer is needed; python3 is 3.10.14; install one"),
        (
            ("python3", "python3.12"),
            "is needed; python3 is 3.10.14; python3.12 is 3.10.14; install one",
        ),
    ],
)
def test_make_says_which_pythons_it_saw(
    tmp_path: Path, pythons: tuple[str, ...], told: str
) -> None:
    """It names the version that is needed, those that are there, and how to get one."""
    make = shutil.which("make")
    assert make is not None
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in pythons:
        (programs / name).write_text(OLD, encoding="utf-8")
        (programs / name).chmod(0o755)
    made = tmp_path / "venv"
    ended = subprocess.run(
        [make, f"VENV={made}", f"{made}/.made-uv"],
        cwd=ROOT,
        env={"PATH": str(programs)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert told in ended.stderr
    assert "apt install python3 python3-venv" in ended.stderr
    assert not made.exists()


def test_installers_refuse_the_same_versions() -> None:
    """Pip and uv read it from the package: what they let in is what `make` lets in."""
    assert metadata("bulk-lookup")["Requires-Python"] == ">=3.11"
    assert "sys.version_info < (3, 11)" in (ROOT / "Makefile").read_text(encoding="utf-8")
