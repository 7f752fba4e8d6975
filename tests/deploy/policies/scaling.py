"""How many there are, and who decides."""

from __future__ import annotations

from collections.abc import Iterator

from services.reference import PROGRAMS as SETTINGS
from tests.deploy.documents import PROGRAMS, Document, Manifests, named

#: Seconds for which less must be needed before a pod goes: each step is a rebalance.
_CALM_SECONDS = 300


def partitions(manifests: Manifests, program: str) -> int:
    """Into how many shares the work is cut, as the program is told."""
    told = manifests.environment(manifests.programs[program].main).get("KAFKA_PARTITIONS")
    return int(told or SETTINGS[program].model_fields["kafka_partitions"].default)


def _autoscalers(manifests: Manifests) -> Iterator[tuple[Document, str, int | None, int | None]]:
    """Each with the Deployment it scales, and its least and most replicas."""
    for scaler in manifests.of("HorizontalPodAutoscaler", "ScaledObject"):
        spec = scaler["spec"]
        hpa = scaler["kind"] == "HorizontalPodAutoscaler"
        low, high = (
            ("minReplicas", "maxReplicas") if hpa else ("minReplicaCount", "maxReplicaCount")
        )
        yield scaler, spec["scaleTargetRef"]["name"], spec.get(low), spec.get(high)


def replicas_have_one_owner(manifests: Manifests) -> list[str]:
    """What is scaled names no number of its own, and lookup is not scaled without a reason."""
    found = []
    for scaler, target, _, _ in _autoscalers(manifests):
        if target not in manifests.programs:
            found.append(f"{named(scaler)}: scales nothing that is there: {target}")
        elif "replicas" in manifests.programs[target].spec:
            found.append(f"{named(scaler)}: Deployment/{target} has a fixed number of replicas")
    scaled = {target for _, target, _, _ in _autoscalers(manifests)}
    found += [
        f"{workload.name}: nobody says how many"
        for program, workload in manifests.programs.items()
        if program not in scaled and not workload.spec.get("replicas")
    ]
    return found


def replicas_have_partitions(manifests: Manifests) -> list[str]:
    """More consumers than partitions would have nothing to do."""
    most = {
        program: workload.spec.get("replicas", 1)
        for program, workload in manifests.programs.items()
    }
    found = []
    for scaler, target, low, high in _autoscalers(manifests):
        if high is None:
            found.append(f"{named(scaler)}: no most number of replicas")
        if low is None or low < 2:
            found.append(f"{named(scaler)}: fewer than two replicas")
        most[target] = high or 0
    return found + [
        f"Deployment/{program}: up to {count} replicas for {partitions(manifests, program)} partitions"
        for program, count in most.items()
        if program in manifests.programs and count > partitions(manifests, program)
    ]


def lag_does_not_mislead_scaling(manifests: Manifests) -> list[str]:
    """A stuck partition adds no pods, a blind scaler keeps what there is, and pods go slowly."""
    found = []
    for scaler in manifests.of("ScaledObject"):
        where, spec = named(scaler), scaler["spec"]
        for trigger in spec["triggers"]:
            if trigger["type"] != "kafka":
                found.append(f"{where}: trigger {trigger['type']} instead of kafka")
            if trigger["metadata"].get("excludePersistentLag") != "true":
                found.append(f"{where}: a stuck partition would scale it")
            if trigger["metadata"].get("allowIdleConsumers") == "true":
                found.append(f"{where}: allows more consumers than partitions")
        if not {"failureThreshold", "replicas"} <= spec.get("fallback", {}).keys():
            found.append(f"{where}: no fallback for when Kafka does not answer it")
        behaviour = spec.get("advanced", {}).get("horizontalPodAutoscalerConfig", {})
        down = behaviour.get("behavior", {}).get("scaleDown", {})
        if down.get("stabilizationWindowSeconds", 0) < _CALM_SECONDS:
            found.append(f"{where}: goes down before {_CALM_SECONDS} s of calm")
        rules = down.get("policies", [])
        if not rules or any(
            (rule["type"], rule["value"]) != ("Pods", 1) or rule["periodSeconds"] < 60
            for rule in rules
        ):
            found.append(f"{where}: goes down by more than a pod a minute")
    return found


def all_programs_are_there(manifests: Manifests) -> list[str]:
    """Checks of programs prove nothing about one that is missing."""
    return [
        f"Deployment/{program} is not there"
        for program in PROGRAMS
        if program not in manifests.programs
    ]
