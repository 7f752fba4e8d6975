"""Settings in the manifests and in the code: the same ones, and values that the code takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import PurePosixPath

import pytest
import yaml

from services.reference import PROGRAMS
from tests.deploy import settings
from tests.deploy.documents import Document, Manifests, Workload
from tests.deploy.mutations import MAIN, drop, mutated, variable
from tests.deploy.render import K8S, OVERLAYS

Environments = Mapping[str, Mapping[str, str | None]]
Rendering = Callable[[str], Manifests]


@pytest.fixture(scope="module")
def left_alone() -> dict[str, str]:
    """The settings that stay at their default, each with its reason."""
    text = (K8S / "settings-left-alone.yaml").read_text(encoding="utf-8")
    found: dict[str, str] = yaml.safe_load(text)
    return found


def workloads(manifests: Manifests) -> dict[str, Workload]:
    """Our programs and the migration."""
    job = {found.component: found for found in manifests.workloads if found.component == "migrate"}
    return {**manifests.programs, **job}


def environments(manifests: Manifests) -> Environments:
    """What each of them is told."""
    return {
        program: manifests.environment(workload.main)
        for program, workload in workloads(manifests).items()
    }


def unreadable(manifests: Manifests, program: str) -> list[str]:
    """Files that a setting names and no volume brings."""
    workload = workloads(manifests)[program]
    found = []
    for name, value in manifests.environment(workload.main).items():
        if name.endswith("_FILE") and not (value and _mounted(manifests, workload, value)):
            found.append(f"{program}: nothing is mounted at {name}={value}")
    return found


def _mounted(manifests: Manifests, workload: Workload, path: str) -> bool:
    volumes = {volume["name"]: volume for volume in workload.pod.get("volumes", [])}
    for mount in workload.main.get("volumeMounts", []):
        if "subPath" in mount and mount["mountPath"] == path:
            return True
        try:
            inside = PurePosixPath(path).relative_to(mount["mountPath"])
        except ValueError:
            continue
        return _holds(manifests, volumes[mount["name"]], str(inside))
    return False


def _holds(manifests: Manifests, volume: Document, name: str) -> bool:
    """Whether a volume of secrets has a file of this name, as far as the manifests tell."""
    sources = (
        [{"secret": {**volume["secret"], "name": volume["secret"].get("secretName")}}]
        if "secret" in volume
        else volume.get("projected", {}).get("sources", [])
    )
    for source in sources:
        for kind, part in source.items():
            if items := part.get("items"):
                if name in {item["path"] for item in items}:
                    return True
                continue
            held = manifests.data(
                {"secret": "Secret", "configMap": "ConfigMap"}[kind], part["name"]
            )
            # Who makes it is not in these manifests: an ExternalSecret may say.
            keys = held if held is not None else _external(manifests, part["name"])
            if keys is None or name in keys:
                return True
    return False


def _external(manifests: Manifests, name: str) -> set[str] | None:
    for made in manifests.of("ExternalSecret"):
        target = made["spec"].get("target", {})
        if target.get("name", made["metadata"]["name"]) == name and "data" in made["spec"]:
            template = target.get("template", {}).get("data")
            return set(template) if template else {one["secretKey"] for one in made["spec"]["data"]}
    return None


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_programs_read_all_they_are_told(rendering: Rendering, overlay: str) -> None:
    """No variable is misspelt or another program's."""
    told = environments(rendering(overlay))
    assert set(told) == {*PROGRAMS, "migrate"}
    assert [line for program in told for line in settings.not_read(program, told[program])] == []


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_setting_was_decided(
    rendering: Rendering, left_alone: dict[str, str], overlay: str
) -> None:
    """It is set, or stands with its reason among those that stay at their default."""
    told = environments(rendering(overlay))
    undecided = [
        line
        for program in told
        for line in settings.not_decided(program, told[program], left_alone)
    ]
    assert undecided == []


def test_what_stays_at_its_default_has_a_reason(
    rendering: Rendering, left_alone: dict[str, str]
) -> None:
    """A sentence for each, and none for a setting that is set wherever it is read."""
    told = [place for name in OVERLAYS for place in environments(rendering(name)).items()]
    assert settings.left_for_nothing(told, left_alone) == []
    assert [name for name, why in left_alone.items() if len(why.split()) < 3] == []


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_programs_take_what_they_are_told(rendering: Rendering, overlay: str) -> None:
    """Each program's own class of settings accepts its environment."""
    told = environments(rendering(overlay))
    assert [line for program in told for line in settings.refused(program, told[program])] == []


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_files_that_settings_name_are_mounted(rendering: Rendering, overlay: str) -> None:
    """Each from a volume that has a file of that name."""
    manifests = rendering(overlay)
    assert [
        line for program in workloads(manifests) for line in unreadable(manifests, program)
    ] == []


def test_faults_of_settings_are_found(prod: Manifests, left_alone: dict[str, str]) -> None:
    """A misspelt one, one that was forgotten, a value of the wrong form, a missing file."""
    changed = mutated(
        prod,
        variable("lookup", "MAX_ATEMPTS", "4"),
        variable("lookup", "DRAIN_LIMIT", "25"),
        variable("lookup", "KAFKA_SSL_CA_FILE", "/nowhere/ca.crt"),
    )
    told = environments(changed)["lookup"]
    assert settings.not_read("lookup", told) == ["lookup does not read MAX_ATEMPTS"]
    assert settings.refused("lookup", told) != []
    assert unreadable(changed, "lookup") == [
        "lookup: nothing is mounted at KAFKA_SSL_CA_FILE=/nowhere/ca.crt"
    ]
    told = environments(mutated(prod, drop("Deployment/lookup", f"{MAIN} envFrom")))["lookup"]
    assert "nobody decided DRAIN_LIMIT of lookup" in settings.not_decided(
        "lookup", told, left_alone
    )
    assert settings.left_for_nothing([("lookup", {})], ["NO_SETTING"]) != []
    assert settings.left_for_nothing([("lookup", {"MAX_AGE"})], ["MAX_AGE"]) != []


def test_the_release_is_the_project_s(rendering: Rendering, project_version: str) -> None:
    """Labels, the migration's name and the tag of what is built follow pyproject.toml."""
    for overlay in OVERLAYS:
        manifests = rendering(overlay)
        for workload in workloads(manifests).values():
            label = workload.document["metadata"]["labels"]["app.kubernetes.io/version"]
            assert label == workload.labels["app.kubernetes.io/version"] == project_version
    images = {workload.main["image"] for workload in workloads(rendering("dev")).values()}
    assert images == {f"bulk-lookup:{project_version}"}
