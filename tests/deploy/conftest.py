"""What the tests of manifests share: the programs that read them, and each rendering, once."""

import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.deploy.documents import Manifests
from tests.deploy.render import OVERLAYS, ROOT, Renderer
from tests.deploy.tools import docker_compose, unpack_kubectl

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is here, so that `-m deploy` finds it."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker("deploy")


@pytest.fixture(scope="session")
def kubectl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """kubectl, with kustomize in it."""
    return unpack_kubectl(tmp_path_factory.mktemp("kubectl"))


@pytest.fixture(scope="session")
def compose() -> Path:
    """Docker Compose."""
    return docker_compose()


@pytest.fixture(scope="session")
def renderer(kubectl: Path, tmp_path_factory: pytest.TempPathFactory) -> Renderer:
    """Renders a copy of deploy/k8s that has the secrets a person would make for `dev`."""
    made = Renderer(kubectl, tmp_path_factory.mktemp("manifests"))
    made.prepare()
    return made


@pytest.fixture(scope="session")
def rendering(renderer: Renderer) -> Callable[[str], Manifests]:
    """An overlay by its name, or the base with a component by the component's."""
    return cache(
        lambda name: renderer.overlay(name) if name in OVERLAYS else renderer.component(name)
    )


@pytest.fixture(scope="session")
def prod(rendering: Callable[[str], Manifests]) -> Manifests:
    """The overlay for production."""
    return rendering("prod")


@pytest.fixture(scope="session")
def project_version() -> str:
    """As it stands in pyproject.toml."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    return str(tomllib.loads(text)["project"]["version"])
