"""Renders the overlays, and each component in a kustomization that uses it, as kubectl does."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.deploy.documents import Manifests
from tests.deploy.tools import run

ROOT = Path(__file__).parents[2]
K8S = ROOT / "deploy" / "k8s"
OVERLAYS = tuple(sorted(found.name for found in (K8S / "overlays").glob("*")))
COMPONENTS = tuple(sorted(found.name for found in (K8S / "components").glob("*")))

_WITH_COMPONENT = """\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [{resource}]
components: [../../components/{component}]
"""


@dataclass(frozen=True)
class Renderer:
    """Renders a copy of the manifests, to which what no repository holds is added.

    Args:
        kubectl: The program.
        directory: Empty, for the copy.
    """

    kubectl: Path
    directory: Path

    @property
    def overlays(self) -> Path:
        """The folder of the copy that has the overlays."""
        return self.directory / "deploy" / "k8s" / "overlays"

    def prepare(self) -> None:
        """Copy the manifests and make the secrets that the overlay `dev` reads."""
        private = shutil.ignore_patterns("secrets", "__pycache__", ".*")
        shutil.copytree(ROOT / "deploy", self.directory / "deploy", ignore=private)
        run(sys.executable, ROOT / "deploy" / "make_secrets.py", self.overlays / "dev" / "secrets")

    def overlay(self, name: str) -> Manifests:
        """What `kubectl apply -k` would send for an overlay."""
        return self.rendered(self.overlays / name)

    def component(self, name: str) -> Manifests:
        """The base with one component; the overlay `prod` with one that it does not have itself."""
        prod = yaml.safe_load((self.overlays / "prod" / "kustomization.yaml").read_text("utf-8"))
        own = f"../../components/{name}" in prod["components"]
        directory = self.overlays / f"with-{name}"
        directory.mkdir(exist_ok=True)
        kustomization = directory / "kustomization.yaml"
        text = _WITH_COMPONENT.format(resource="../../base" if own else "../prod", component=name)
        kustomization.write_text(text, encoding="utf-8")
        return self.rendered(directory)

    def rendered(self, directory: Path) -> Manifests:
        """What a kustomization comes to.

        Raises:
            ToolError: kubectl refuses it.
        """
        text = run(self.kubectl, "kustomize", directory)
        return Manifests(tuple(found for found in yaml.load_all(text, yaml.CSafeLoader) if found))
