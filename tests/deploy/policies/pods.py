"""What every pod must be, whosever program runs in it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.deploy.documents import Document, Manifests, Workload

_DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")
_VERSION = re.compile(r":v?\d+(\.\d+)+[\w.-]*$")
#: The kinds of volume that Pod Security `restricted` lets a pod have.
_VOLUMES = frozenset(
    {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral"}
    | {"persistentVolumeClaim", "projected", "secret"}
)
_SHELLS = frozenset(["sh", "bash", "ash", "dash", "env"])
_UNITS = {"": 1, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "k": 10**3, "M": 10**6, "G": 10**9}


def size(quantity: str | int) -> int:
    """Bytes of a quantity such as `64Mi`."""
    found = re.fullmatch(r"(\d+)([A-Za-z]*)", str(quantity))
    if found is None or found[2] not in _UNITS:
        raise ValueError(f"not a number of bytes: {quantity}")
    return int(found[1]) * _UNITS[found[2]]


def _each(manifests: Manifests) -> Iterator[tuple[str, Workload, Document]]:
    for workload in manifests.workloads:
        for container in workload.containers:
            yield f"{workload.name}/{container['name']}", workload, container


def images_are_pinned(manifests: Manifests) -> list[str]:
    """Each by digest, or by a tag that is a version."""
    return [
        f"{where}: {container['image']} can change under its name"
        for where, _, container in _each(manifests)
        if not _DIGEST.search(container["image"]) and not _VERSION.search(container["image"])
    ]


def images_are_digests(manifests: Manifests) -> list[str]:
    """Each by digest: what was tested is what runs."""
    return [
        f"{where}: {container['image']} has no digest"
        for where, _, container in _each(manifests)
        if not _DIGEST.search(container["image"])
    ]


def resources_are_bounded(manifests: Manifests) -> list[str]:
    """Memory asked for is memory allowed; CPU is asked for and never throttled; disk is bounded."""
    found = []
    for where, _, container in _each(manifests):
        resources = container.get("resources", {})
        requests, limits = resources.get("requests", {}), resources.get("limits", {})
        if "cpu" not in requests:
            found.append(f"{where}: no CPU request")
        if "cpu" in limits:
            found.append(f"{where}: a CPU limit: throttling delays heartbeats")
        if "memory" not in requests:
            found.append(f"{where}: no memory request")
        if requests.get("memory") != limits.get("memory"):
            found.append(f"{where}: memory request and limit differ")
        if "ephemeral-storage" not in limits:
            found.append(f"{where}: no limit for ephemeral-storage")
    return found


def empty_dirs_are_bounded(manifests: Manifests) -> list[str]:
    """Each says how large it may become, and together they fit what the pod may use."""
    found = []
    for workload in manifests.workloads:
        on_disk = 0
        for volume in workload.pod.get("volumes", []):
            if "emptyDir" not in volume:
                continue
            limit = volume["emptyDir"].get("sizeLimit")
            if limit is None:
                found.append(f"{workload.name}: emptyDir {volume['name']} has no sizeLimit")
            elif volume["emptyDir"].get("medium") != "Memory":
                on_disk += size(limit)
        allowed = sum(
            size(container.get("resources", {}).get("limits", {}).get("ephemeral-storage", 0))
            for container in workload.pod["containers"]
        )
        if on_disk > allowed:
            found.append(f"{workload.name}: its emptyDirs may hold more than ephemeral-storage")
    return found


def pods_are_restricted(manifests: Manifests) -> list[str]:
    """What Pod Security `restricted` asks, judged here on the templates: a server only warns."""
    found = []
    for workload in manifests.workloads:
        pod = workload.pod
        context = pod.get("securityContext", {})
        found += [
            f"{workload.name}: {field} is set"
            for field in ("hostNetwork", "hostPID", "hostIPC")
            if pod.get(field)
        ]
        found += [
            f"{workload.name}: volume {volume['name']} is of a kind that is not allowed"
            for volume in pod.get("volumes", [])
            if not set(volume) - {"name"} <= _VOLUMES
        ]
        if context.get("sysctls"):
            found.append(f"{workload.name}: sysctls are set")
        for container in workload.containers:
            where = f"{workload.name}/{container['name']}"
            found += [
                f"{where}: {why}"
                for why in _unrestricted(context | container.get("securityContext", {}))
            ]
            if any("hostPort" in port for port in container.get("ports", [])):
                found.append(f"{where}: a hostPort")
    return found


def _unrestricted(context: Document) -> Iterator[str]:
    """What is wrong with a container's security context, its pod's beneath."""
    if context.get("privileged"):
        yield "privileged"
    if context.get("runAsNonRoot") is not True:
        yield "runAsNonRoot is not true"
    if not isinstance(context.get("runAsUser"), int) or context["runAsUser"] == 0:
        yield "runAsUser is no number above 0"
    if context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "seccompProfile is not RuntimeDefault"
    if context.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation is not false"
    capabilities = context.get("capabilities", {})
    if capabilities.get("drop") != ["ALL"] or capabilities.get("add"):
        yield "capabilities are not dropped, all of them"
    if context.get("procMount", "Default") != "Default":
        yield "procMount is not Default"


def root_is_read_only(manifests: Manifests) -> list[str]:
    """What a container writes goes to a volume of known size."""
    return [
        f"{where}: its root file system can be written"
        for where, _, container in _each(manifests)
        if container.get("securityContext", {}).get("readOnlyRootFilesystem") is not True
    ]


def no_service_account_token(manifests: Manifests) -> list[str]:
    """None of these programs speaks with the Kubernetes API."""
    return [
        f"{workload.name}: the pod mounts a token"
        for workload in manifests.workloads
        if workload.pod.get("automountServiceAccountToken") is not False
    ] + [
        f"ServiceAccount/{account['metadata']['name']}: mounts a token"
        for account in manifests.of("ServiceAccount")
        if account.get("automountServiceAccountToken") is not False
    ]


def no_service_links(manifests: Manifests) -> list[str]:
    """A Service's variables could be taken for settings."""
    return [
        f"{workload.name}: enableServiceLinks is not false"
        for workload in manifests.workloads
        if workload.pod.get("enableServiceLinks") is not False
    ]


def programs_are_process_one(manifests: Manifests) -> list[str]:
    """No shell stands between the kubelet's SIGTERM and our program."""
    found = []
    for program, workload in manifests.programs.items():
        words = [*workload.main.get("command", []), *workload.main.get("args", [])]
        if any(word.rpartition("/")[2] in _SHELLS for word in words[:1]):
            found.append(f"{workload.name}: a shell is process 1")
        if words[-2:] != ["run", program]:
            found.append(f"{workload.name}: does not run `bulk-lookup run {program}`")
    return found
