"""`python -m tests.mutations [NAME...]`: breaks the code on purpose, and sees the tests find it.

Each mutation is applied alone, in a copy of the tree, and the one test named with it is run: it
must pass on the unchanged copy and fail on the changed one. The exit code is 1 if any mutation
survives or cannot be applied.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.mutations.table import ROOT, Mutation, mutations

#: Seconds after which a test that hangs counts as failed.
_TIMEOUT = 60
#: pytest's exit codes: all passed, and some failed. Any other one says nothing of the tests.
_PASSED, _FAILED = 0, 1
_COPIED = ("services", "tests", "deploy", "pyproject.toml")


@contextmanager
def _copied() -> Iterator[Path]:
    """A copy of what tests need of the tree, removed at the end."""
    with tempfile.TemporaryDirectory(prefix="bulk-lookup-mutations-") as directory:
        root = Path(directory)
        # PostgreSQL, started by root, runs as somebody else.
        root.chmod(0o755)
        for name in _COPIED:
            if (ROOT / name).is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(ROOT / name, root / name, ignore=ignored)
            else:
                shutil.copy(ROOT / name, root / name)
        (root / ".venv").symlink_to(ROOT / ".venv")
        yield root


def _run(root: Path, tests: Iterable[str]) -> subprocess.CompletedProcess[str]:
    """Run tests in a copy, in the order given."""
    return subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-x", "--tb=line", f"--timeout={_TIMEOUT}"),
            *("-p", "no:randomly", "-p", "no:cacheprovider", *tests),
        ],
        cwd=root,
        # Before the tree that the project is installed from.
        env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )


def _judge(root: Path, mutation: Mutation) -> str:
    """Apply it, run its test, and take it back: what came of it, `killed` if the test failed."""
    path = root / mutation.file
    text, changed_at = path.read_text(encoding="utf-8"), int(path.stat().st_mtime)
    path.write_text(mutation.applied(text), encoding="utf-8")
    # Bytecode is known by its source's size and second: no two versions of a file may share one.
    os.utime(path, (changed_at + 1, changed_at + 1))
    try:
        ran = _run(root, [mutation.test])
    finally:
        path.write_text(text, encoding="utf-8")
        os.utime(path, (changed_at + 2, changed_at + 2))
    if ran.returncode == _FAILED:
        return "killed"
    if ran.returncode == _PASSED:
        return "SURVIVED"
    return f"NOT RUN (pytest's exit code {ran.returncode})\n{ran.stdout}{ran.stderr}"


def _main() -> int:
    """Judge the mutations named, or all."""
    known = {mutation.name: mutation for mutation in mutations()}
    parser = argparse.ArgumentParser(prog="python -m tests.mutations", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="of a mutation; none: all")
    names = parser.parse_args().names or list(known)
    if unknown := [name for name in names if name not in known]:
        parser.error(f"no such mutation: {', '.join(unknown)}; there are {', '.join(known)}")
    chosen = [known[name] for name in names]
    with _copied() as root:
        if stale := [why for mutation in chosen if (why := mutation.stale(root))]:
            sys.stderr.write("the table is stale:\n" + "\n".join(stale) + "\n")
            return 1
        clean = _run(root, dict.fromkeys(mutation.test for mutation in chosen))
        if clean.returncode != _PASSED:
            sys.stderr.write(f"without any mutation:\n{clean.stdout}{clean.stderr}")
            return 1
        killed = 0
        for mutation in chosen:
            came = _judge(root, mutation)
            killed += came == "killed"
            sys.stdout.write(f"{mutation.name}: {came}, by {mutation.test}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{killed} of {len(chosen)} mutations killed\n")
    return 0 if killed == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(_main())
