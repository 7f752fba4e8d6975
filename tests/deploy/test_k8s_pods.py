"""Pods and their probes: sound as committed, and each fault is found."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.deploy.documents import Manifests
from tests.deploy.mutations import MAIN, POD, Case, case, drop, extend, mutated, put, variable
from tests.deploy.policies import pods, probes
from tests.deploy.policies.scaling import all_programs_are_there
from tests.deploy.render import OVERLAYS

LOOKUP, INGEST, SCHEDULER = "Deployment/lookup", "Deployment/ingest", "Deployment/scheduler"

CASES = [
    case(pods.images_are_pinned, "can change", put(LOOKUP, f"{MAIN} image", "bulk-lookup")),
    case(pods.images_are_pinned, "can change", put(LOOKUP, f"{MAIN} image", "bulk-lookup:latest")),
    case(pods.images_are_pinned, "can change", put("Job/migrate*", f"{MAIN} image", "x:main")),
    case(pods.images_are_digests, "no digest", put(LOOKUP, f"{MAIN} image", "bulk-lookup:1.2.3")),
    case(pods.resources_are_bounded, "no CPU request", drop(LOOKUP, f"{MAIN} resources requests cpu")),
    case(pods.resources_are_bounded, "a CPU limit", put(LOOKUP, f"{MAIN} resources limits cpu", "1")),
    case(pods.resources_are_bounded, "no memory request", drop(INGEST, f"{MAIN} resources requests memory")),
    case(pods.resources_are_bounded, "differ", put(INGEST, f"{MAIN} resources limits memory", "9Gi")),
    case(pods.resources_are_bounded, "no limit for ephemeral", drop(INGEST, f"{MAIN} resources limits ephemeral-storage")),
    case(pods.resources_are_bounded, "no CPU request", extend(LOOKUP, f"{POD} initContainers", {"name": "first"})),
    case(pods.empty_dirs_are_bounded, "no sizeLimit", extend(LOOKUP, f"{POD} volumes", {"name": "more", "emptyDir": {}})),
    case(pods.empty_dirs_are_bounded, "more than ephemeral", extend(LOOKUP, f"{POD} volumes", {"name": "more", "emptyDir": {"sizeLimit": "900Gi"}})),
    case(pods.pods_are_restricted, "hostNetwork", put(LOOKUP, f"{POD} hostNetwork", True)),
    case(pods.pods_are_restricted, "not allowed", extend(LOOKUP, f"{POD} volumes", {"name": "host", "hostPath": {"path": "/etc"}})),
    case(pods.pods_are_restricted, "sysctls", put(LOOKUP, f"{POD} securityContext sysctls", [{"name": "kernel.msgmax", "value": "1"}])),
    case(pods.pods_are_restricted, "privileged", put(LOOKUP, f"{MAIN} securityContext privileged", True)),
    case(pods.pods_are_restricted, "runAsNonRoot", put(LOOKUP, f"{MAIN} securityContext runAsNonRoot", False)),
    case(pods.pods_are_restricted, "runAsUser", put(LOOKUP, f"{MAIN} securityContext runAsUser", 0)),
    case(pods.pods_are_restricted, "seccompProfile", put(LOOKUP, f"{MAIN} securityContext seccompProfile", {"type": "Unconfined"})),
    case(pods.pods_are_restricted, "allowPrivilegeEscalation", drop(LOOKUP, f"{MAIN} securityContext allowPrivilegeEscalation")),
    case(pods.pods_are_restricted, "capabilities", put(LOOKUP, f"{MAIN} securityContext capabilities", {"drop": ["NET_RAW"]})),
    case(pods.pods_are_restricted, "capabilities", put(LOOKUP, f"{MAIN} securityContext capabilities add", ["NET_ADMIN"])),
    case(pods.pods_are_restricted, "procMount", put(LOOKUP, f"{MAIN} securityContext procMount", "Unmasked")),
    case(pods.pods_are_restricted, "hostPort", put(LOOKUP, f"{MAIN} ports 0 hostPort", 8080)),
    case(pods.root_is_read_only, "can be written", put(LOOKUP, f"{MAIN} securityContext readOnlyRootFilesystem", False)),
    case(pods.no_service_account_token, "mounts a token", drop(LOOKUP, f"{POD} automountServiceAccountToken")),
    case(pods.no_service_account_token, "mounts a token", put("ServiceAccount/*", "automountServiceAccountToken", True)),
    case(pods.no_service_links, "enableServiceLinks", drop(LOOKUP, f"{POD} enableServiceLinks")),
    case(pods.programs_are_process_one, "a shell", put(LOOKUP, f"{MAIN} command", ["/bin/sh", "-c", "bulk-lookup run lookup"])),
    case(pods.programs_are_process_one, "does not run", put(LOOKUP, f"{MAIN} args", ["run", "ingest"])),
    case(probes.probes_mean_what_they_say, "livenessProbe does not ask /livez", put(LOOKUP, f"{MAIN} livenessProbe httpGet path", "/readyz")),
    case(probes.probes_mean_what_they_say, "livenessProbe does not ask /livez", put(LOOKUP, f"{MAIN} livenessProbe", {"tcpSocket": {"port": 5432}})),
    case(probes.probes_mean_what_they_say, "readinessProbe does not ask /readyz", drop(SCHEDULER, f"{MAIN} readinessProbe")),
    case(probes.probes_mean_what_they_say, "readinessProbe does not ask /readyz", put(LOOKUP, f"{MAIN} readinessProbe httpGet path", "/livez")),
    case(probes.probes_mean_what_they_say, "startupProbe does not ask /livez", put(INGEST, f"{MAIN} startupProbe httpGet path", "/readyz")),
    case(probes.probes_mean_what_they_say, "a port that the pod has not", put(INGEST, f"{MAIN} livenessProbe httpGet port", 9090)),
    case(probes.start_has_time, "is given 10 s", put(INGEST, f"{MAIN} startupProbe", {"periodSeconds": 5, "failureThreshold": 2})),
    case(probes.programs_listen_where_they_are_asked, "HTTP_PORT", variable("lookup", "HTTP_PORT", "9090")),
    case(probes.programs_listen_where_they_are_asked, "HTTP_PORT", put(LOOKUP, f"{MAIN} ports 0 containerPort", 9090)),
    case(probes.programs_listen_where_they_are_asked, "HTTP_HOST", variable("lookup", "HTTP_HOST", "127.0.0.1")),
    case(all_programs_are_there, "Deployment/scheduler", put(SCHEDULER, "metadata name", "planner")),
]  # fmt: skip
POLICIES = list(dict.fromkeys(found.policy for found in CASES))
#: What a machine that is somebody's own need not keep to.
ONLY_PROD = {pods.images_are_digests}


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.__name__)
def test_pods_are_sound(
    rendering: Callable[[str], Manifests], overlay: str, policy: Callable[[Manifests], list[str]]
) -> None:
    """Every overlay, as it is committed."""
    if policy in ONLY_PROD and overlay != "prod":
        return
    assert policy(rendering(overlay)) == []


@pytest.mark.parametrize("found", CASES, ids=lambda found: found.id)
def test_faults_of_pods_are_found(prod: Manifests, found: Case) -> None:
    """A fault put into the overlay for production is named by the check it is for."""
    assert any(found.says in line for line in found.policy(mutated(prod, *found.changes)))


@pytest.mark.parametrize(
    ("quantity", "number"), [("64Mi", 67_108_864), ("2Gi", 2_147_483_648), ("1k", 1000), (5, 5)]
)
def test_sizes(quantity: str | int, number: int) -> None:
    """As Kubernetes writes them."""
    assert pods.size(quantity) == number


def test_what_is_no_size() -> None:
    """Nothing is guessed."""
    with pytest.raises(ValueError, match=r"1\.5Gi"):
        pods.size("1.5Gi")
