"""How programs are replaced, evicted, spread and stopped; migrations; what they read."""

from __future__ import annotations

import re

from services.reference import PROGRAMS as SETTINGS
from services.runtime.program import WHOLE_STOP
from services.runtime.settings import parse_duration
from tests.deploy.documents import Document, Manifests, Workload, matches, named
from tests.deploy.policies.pods import size

_HASHED = re.compile(r"-[a-z0-9]{10}$")
_VERSION_LABEL = "app.kubernetes.io/version"
_MADE_BY_THE_CLUSTER = "kube-root-ca.crt"


def drain_seconds(manifests: Manifests, program: str, setting: str) -> float:
    """A duration that a program is told, or its default, in seconds."""
    told = manifests.environment(manifests.programs[program].main).get(setting.upper())
    default = SETTINGS[program].model_fields[setting].default
    return (parse_duration(told) if told else default).total_seconds()


def stop_seconds(drain_limit: float) -> float:
    """How long a program may take to end by itself, once it has the signal."""
    return WHOLE_STOP * drain_limit


def stops_have_time(manifests: Manifests) -> list[str]:
    """The pod is killed later than preStop and the stop take, and a drain outlasts a call."""
    found = []
    for program, workload in manifests.programs.items():
        hook = workload.main.get("lifecycle", {}).get("preStop", {})
        pause = hook.get("sleep", {}).get("seconds", 0)
        drain = stop_seconds(drain_seconds(manifests, program, "drain_limit"))
        grace = workload.pod.get("terminationGracePeriodSeconds", 30)
        if grace <= pause + drain:
            found.append(f"{workload.name}: killed after {grace} s, may need {pause + drain:g} s")
        if hook and set(hook) != {"sleep"}:
            found.append(f"{workload.name}: preStop needs a program that the image may lack")
        if program == "ingest" and not pause:
            found.append(f"{workload.name}: stops before the Service knows: preStop sleep is due")
        if program in {"lookup", "scheduler"} and pause:
            found.append(f"{workload.name}: has no Service to wait for: no preStop sleep")
    if "lookup" in manifests.programs:
        call = sum(
            drain_seconds(manifests, "lookup", setting)
            for setting in ("twilio_connect_timeout", "twilio_read_timeout")
        )
        if drain_seconds(manifests, "lookup", "drain_limit") <= call:
            found.append(f"Deployment/lookup: a call may take {call:g} s, longer than the drain")
    return found


def rollouts_are_small_steps(manifests: Manifests) -> list[str]:
    """One pod more, none less, each ready for a while: every step is a rebalance."""
    found = []
    for workload in manifests.programs.values():
        strategy = workload.spec.get("strategy", {})
        step = strategy.get("rollingUpdate", {})
        if strategy.get("type") != "RollingUpdate" or (
            step.get("maxSurge"),
            step.get("maxUnavailable"),
        ) != (1, 0):
            found.append(f"{workload.name}: not rolled out one more, none less")
        if not workload.spec.get("minReadySeconds"):
            found.append(f"{workload.name}: minReadySeconds is not set")
    return found


def disruption_budgets_let_drains_go_on(manifests: Manifests) -> list[str]:
    """Each program has one that lets one pod go, and the sick ones always."""
    found = []
    budgets = list(manifests.of("PodDisruptionBudget"))
    for budget in budgets:
        spec = budget["spec"]
        if not manifests.selected(spec["selector"]):
            found.append(f"{named(budget)}: selects no pod")
        if spec.get("maxUnavailable") != 1:
            found.append(f"{named(budget)}: not maxUnavailable 1: it can block a drain")
        if spec.get("unhealthyPodEvictionPolicy") != "AlwaysAllow":
            found.append(f"{named(budget)}: pods that are not ready block a drain")
    for workload in manifests.programs.values():
        own = [one for one in budgets if matches(one["spec"]["selector"], workload.labels)]
        if len(own) != 1:
            found.append(f"{workload.name}: has {len(own)} disruption budgets, not one")
    return found


def pods_are_spread(manifests: Manifests) -> list[str]:
    """Over hosts and zones, each rollout's pods counted by themselves."""
    found = []
    for workload in manifests.programs.values():
        spreads = workload.pod.get("topologySpreadConstraints", [])
        keys = {spread["topologyKey"] for spread in spreads}
        found += [
            f"{workload.name}: not spread over {key}"
            for key in ("kubernetes.io/hostname", "topology.kubernetes.io/zone")
            if key not in keys
        ]
        for spread in spreads:
            where = f"{workload.name}: spread over {spread['topologyKey']}"
            if not matches(spread.get("labelSelector"), workload.labels):
                found.append(f"{where} counts other pods")
            if "pod-template-hash" not in spread.get("matchLabelKeys", []):
                found.append(f"{where} counts the last rollout's pods too")
            if "zone" in spread["topologyKey"] and spread["whenUnsatisfiable"] != "ScheduleAnyway":
                found.append(f"{where} can leave a pod unscheduled where there is one zone")
    return found


def version_selects_nothing(manifests: Manifests) -> list[str]:
    """A selector with the version in it would leave the last release's pods behind."""
    return [
        f"{named(document)}: {_VERSION_LABEL} in a selector"
        for document in manifests.documents
        if _selects_version(document)
    ]


def _selects_version(node: object, *, selecting: bool = False) -> bool:
    if isinstance(node, dict):
        return any(
            (selecting and _VERSION_LABEL in (key, value))
            or _selects_version(value, selecting=selecting or key.lower().endswith("selector"))
            for key, value in node.items()
        )
    if isinstance(node, list):
        return any(_selects_version(one, selecting=selecting) for one in node)
    return False


def migrations_are_jobs(manifests: Manifests) -> list[str]:
    """One Job for a version, that ends in any case; never a part of every pod's start."""
    found = []
    jobs = [
        workload
        for workload in manifests.workloads
        if workload.document["kind"] == "Job" and "migrate" in _words(workload.main)
    ]
    if len(jobs) != 1:
        found.append(f"{len(jobs)} Jobs migrate, not one")
    for job in jobs:
        version = job.labels.get(_VERSION_LABEL, "")
        if not version or not job.name.replace(".", "-").endswith("-" + version.replace(".", "-")):
            found.append(
                f"{job.name}: its name does not end in its version, and Jobs cannot change"
            )
        found += [
            f"{job.name}: {field} is not set"
            for field in ("backoffLimit", "activeDeadlineSeconds")
            if field not in job.spec
        ]
        rules = job.spec.get("podFailurePolicy", {}).get("rules", [])
        if not any(_ignores_disruption(rule) for rule in rules):
            found.append(f"{job.name}: an evicted pod counts as a failure")
        if job.pod.get("restartPolicy") != "Never":
            found.append(f"{job.name}: restartPolicy is not Never")
    found += [
        f"{workload.name}: migrates in an init container"
        for workload in manifests.workloads
        if any("migrate" in _words(one) for one in workload.pod.get("initContainers", []))
    ]
    return found


def _words(container: Document) -> list[str]:
    return " ".join([*container.get("command", []), *container.get("args", [])]).split()


def _ignores_disruption(rule: Document) -> bool:
    return rule["action"] == "Ignore" and any(
        condition["type"] == "DisruptionTarget" for condition in rule.get("onPodConditions", [])
    )


def configuration_is_hashed(manifests: Manifests) -> list[str]:
    """What a pod reads from a ConfigMap is in its name, so that a change is a rollout."""
    found = []
    for workload in manifests.workloads:
        for name in sorted(_config_maps(workload)):
            if name == _MADE_BY_THE_CLUSTER:
                continue
            if manifests.data("ConfigMap", name) is None:
                found.append(f"{workload.name}: ConfigMap {name} is not there")
            elif not _HASHED.search(name):
                found.append(f"{workload.name}: ConfigMap {name} has no hash in its name")
    return found


def _config_maps(workload: Workload) -> set[str]:
    names = set()
    for container in workload.containers:
        for source in container.get("envFrom", []):
            names.add(source.get("configMapRef", {}).get("name"))
        for variable in container.get("env", []):
            names.add(variable.get("valueFrom", {}).get("configMapKeyRef", {}).get("name"))
    for volume in workload.pod.get("volumes", []):
        names.add(volume.get("configMap", {}).get("name"))
        for source in volume.get("projected", {}).get("sources", []):
            names.add(source.get("configMap", {}).get("name"))
    return {name for name in names if name}


def spool_fits_its_volume(manifests: Manifests) -> list[str]:
    """Ingest refuses uploads before the kubelet evicts it for its disk, and its node has the room."""
    if "ingest" not in manifests.programs:
        return []
    workload = manifests.programs["ingest"]
    environment = manifests.environment(workload.main)
    fields = SETTINGS["ingest"].model_fields
    limit = int(environment.get("SPOOL_LIMIT_BYTES") or fields["spool_limit_bytes"].default)
    directory = environment.get("SPOOL_DIRECTORY") or environment.get("TMPDIR") or "/tmp"  # noqa: S108 - where the program itself puts it
    mounts = {mount["mountPath"]: mount["name"] for mount in workload.main.get("volumeMounts", [])}
    volumes = {volume["name"]: volume for volume in workload.pod.get("volumes", [])}
    room = volumes.get(mounts.get(directory, ""), {}).get("emptyDir", {}).get("sizeLimit")
    if room is None:
        return [f"{workload.name}: no volume of known size at {directory} for the spool"]
    if limit >= size(room):
        return [f"{workload.name}: SPOOL_LIMIT_BYTES leaves no room in {room}"]
    tmp = volumes[mounts["/tmp"]]["emptyDir"]["sizeLimit"]  # noqa: S108 - the pod's own
    asked = workload.main["resources"]["requests"].get("ephemeral-storage", 0)
    if size(asked) < limit + size(tmp):
        return [f"{workload.name}: may be placed where its spool has no room: it asks for {asked}"]
    return []
