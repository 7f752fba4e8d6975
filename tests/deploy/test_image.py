"""The image, without a container engine: its file read, and its steps done one by one."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from tests.deploy import dockerfile
from tests.deploy.dockerfile import Stage
from tests.deploy.render import ROOT

#: Where the image has what, and who runs there when tests run as root.
BUILD, INSTALLED, NOBODY = "/build", "/opt/bulk-lookup", 65534
TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8")
IGNORE = (ROOT / ".dockerignore").read_text(encoding="utf-8")


def test_the_file_is_sound() -> None:
    """Bases by digest, a user by number, no shell, locked packages, and everything it copies."""
    assert dockerfile.findings(dockerfile.parse(TEXT), ROOT, IGNORE) == []


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (r"@sha256:\w+", "", "has no digest"),
        (r"USER .*", "USER root", "does not end as a user"),
        (r"USER .*", "USER 0:0", "does not end as a user"),
        (r"USER .*", "", "does not end as a user"),
        (r"ENTRYPOINT .*", "ENTRYPOINT bulk-lookup", "ENTRYPOINT is read by a shell"),
        (r"ENTRYPOINT .*", "", "starts nothing"),
        (r"--require-hashes", "", "installed without hashes"),
        (r"--only-binary :all:", "", "runs code of packages"),
        (r"COPY services services", "COPY servces services", "servces is not there"),
        (r"COPY services services", "COPY tests tests", ".dockerignore hides tests"),
    ],
)
def test_faults_of_the_file_are_found(old: str, new: str, says: str) -> None:
    """Each by what it would do."""
    changed, times = re.subn(old, new, TEXT)
    assert times
    assert any(
        says in line for line in dockerfile.findings(dockerfile.parse(changed), ROOT, IGNORE)
    )


@pytest.mark.parametrize(
    ("path", "hidden"),
    [
        ("services", False),
        ("services/lookup/app.py", False),
        ("services/lookup/__pycache__", True),
        ("services/lookup/__pycache__/app.pyc", True),
        ("requirements/dev.txt", True),
        ("deploy/secrets/api-tokens", True),
        (".git", True),
        (".venv", True),
    ],
)
def test_only_what_is_copied_can_be_seen(path: str, hidden: bool) -> None:
    """A secret beside the code, or the history, is never sent to the builder."""
    assert dockerfile.ignored(path, IGNORE) is hidden


def test_the_version_is_the_project_s(project_version: str) -> None:
    """What the image says of itself follows pyproject.toml."""
    assert f"ARG VERSION={project_version}" in TEXT


@dataclass(frozen=True)
class Image:
    """What the steps of the Dockerfile made, in folders of this machine."""

    directory: Path
    final: Stage

    @property
    def installed(self) -> Path:
        return self.directory / "opt"

    @property
    def environ(self) -> dict[str, str]:
        """The environment that the image gives to what runs in it, and nothing of ours."""
        told = {
            name: value.replace(INSTALLED, str(self.installed)).replace("$PATH", "/usr/bin:/bin")
            for name, value in self.final.environment.items()
        }
        return {name: value for name, value in told.items() if not value.startswith("$")}

    def start(self, *words: str, **environ: str) -> subprocess.Popen[str]:
        """Start a program as the image would, without a right to write to what is installed."""
        who: dict[str, Any] = {}
        if os.geteuid() == 0:
            who = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        return subprocess.Popen(
            [self.installed / "bin" / words[0], *words[1:]],
            env={**self.environ, **environ},
            cwd=tempfile.gettempdir(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **who,
        )

    def run(self, *words: str, **environ: str) -> tuple[int, str]:
        """The exit code of a program, and what it says."""
        process = self.start(*words, **environ)
        said, _ = process.communicate()
        return process.returncode, said


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    """The environment that the Dockerfile's RUN steps make, by those very steps."""
    # pytest's own directories are closed to others, and the programs run as somebody else.
    directory = Path(tempfile.mkdtemp(prefix="bulk-lookup-image-"))
    directory.chmod(0o755)
    build, final = dockerfile.parse(TEXT)
    (directory / "build").mkdir()
    for step in build.instructions:
        if step.name == "COPY":
            _copy(step.words, directory / "build")
        elif step.name == "RUN":
            _run(step.arguments, directory, build.environment)
    image = Image(directory, final)
    _protect(image.installed, writable=False)
    yield image
    _protect(image.installed, writable=True)
    shutil.rmtree(directory)


def _copy(words: list[str], target: Path) -> None:
    *sources, into = words
    for source in sources:
        found = ROOT / source
        place = target / into
        if found.is_dir():
            shutil.copytree(found, place, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy(found, place)


def _run(command: str, directory: Path, environ: Mapping[str, str]) -> None:
    """One RUN, by the shell that would run it, with the image's folders moved here."""
    moved = command.replace(INSTALLED, str(directory / "opt"))
    moved = re.sub(rf"(?<![\w/.]){BUILD}(?=/)", str(directory / "build"), moved)
    python = f'python() {{ "{_interpreter()}" "$@"; }}'
    # The one thing that differs: what was fetched before is taken from pip's cache.
    kept = {name: value for name, value in environ.items() if name != "PIP_NO_CACHE_DIR"}
    done = subprocess.run(
        ["/bin/sh", "-ec", f"{python}; {moved}"],
        cwd=directory / "build",
        env={**os.environ, **kept},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _interpreter() -> Path:
    """A Python that the image's user may run too: one in root's home only root can enter."""
    candidates = [Path(sys.base_prefix) / "bin" / "python3", Path("/usr/bin/python3")]
    for candidate in candidates:
        real = candidate.resolve()
        if os.geteuid() != 0 or all(
            place.stat().st_mode & 0o001 for place in (real, *real.parents)
        ):
            return candidate
    raise AssertionError(
        "as root: a Python that others may run is needed: apt install python3-venv"
    )


def _protect(directory: Path, *, writable: bool) -> None:
    """Take or give the right to write, as between root and the image's user."""
    for place in (directory, *directory.rglob("*")):
        if not place.is_symlink():
            mode = place.stat().st_mode
            place.chmod(mode | 0o200 if writable else mode & ~0o222)


def test_the_steps_install_what_is_locked_and_nothing_else(image: Image) -> None:
    """The lock file's packages that this Python needs, and the project; no pip."""
    listing = (
        "from importlib.metadata import distributions as d; "
        "print(*sorted(f'{x.name.lower().replace(chr(95), chr(45))}=={x.version}' for x in d()))"
    )
    code, said = image.run("python", "-c", listing)

    text = (ROOT / "requirements" / "runtime.txt").read_text(encoding="utf-8")
    lines = [line.partition(" \\")[0] for line in text.splitlines() if line[:1].isalnum()]
    locked = [Requirement(line) for line in lines]
    wanted = {
        f"{found.name}{found.specifier}"
        for found in locked
        if found.marker is None or found.marker.evaluate()
    }
    assert code == 0, said
    got = {line for line in said.split() if not line.startswith("bulk-lookup==")}
    assert got == wanted


@pytest.mark.parametrize(
    "words",
    [
        ("--help",),
        ("migrate", "--help"),
        ("check", "--help"),
        ("topics", "--help"),
        *(("run", program, "--help") for program in ("ingest", "lookup", "scheduler", "results")),
    ],
    ids=" ".join,
)
def test_the_entry_point_runs(image: Image, words: tuple[str, ...]) -> None:
    """What Kubernetes starts is there, for a user who owns nothing."""
    [entry] = image.final.of("ENTRYPOINT")
    code, said = image.run(*(entry.exec_form or []), *words)
    assert code == 0, said
    assert "Usage" in said


def test_everything_can_be_imported(image: Image) -> None:
    """Every module of the programs and of the simulator, from what is installed alone."""
    modules = [
        ".".join(file.relative_to(ROOT).with_suffix("").parts)
        for part in ("contracts", "runtime", "ingest", "lookup", "results", "cli", "local/twilio")
        for file in (ROOT / "services" / part).rglob("*.py")
        if not file.name.startswith("__")
    ]
    code, said = image.run("python", "-c", f"import {', '.join(modules)}")
    assert code == 0, said


def test_the_simulator_starts(image: Image) -> None:
    """Compose and the overlay `dev` run it out of the same image."""
    code, said = image.run("python", "-m", "services.local.twilio", "--help")
    assert code == 0, said


@pytest.mark.parametrize("program", ["ingest", "lookup", "scheduler", "results"])
def test_a_program_refuses_wrong_settings(image: Image, program: str) -> None:
    """It is the real program that starts, and its exit code is the one that is documented."""
    code, said = image.run("bulk-lookup", "run", program, DRAIN_LIMIT="long")
    assert code == 78
    assert "DRAIN_LIMIT='long'" in said


def test_a_program_answers_and_stops(image: Image) -> None:
    """Without Kafka it waits for it, and the first SIGTERM ends it at once and well."""
    process = image.start(
        "bulk-lookup", "run", "scheduler", KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1", HTTP_PORT="0"
    )
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if "waiting for kafka" in line:
            process.send_signal(signal.SIGTERM)
            break
    said += process.stdout
    assert process.wait() == 0, "".join(said)
    process.stdout.close()


def test_nothing_installed_can_be_written(image: Image) -> None:
    """And the directory for temporary files can."""
    code, said = image.run("python", "-c", "import services; open(services.__file__, 'a')")
    assert code == 1
    assert "PermissionError" in said
    code, said = image.run("python", "-c", "import tempfile; tempfile.TemporaryFile().write(b'x')")
    assert code == 0, said
