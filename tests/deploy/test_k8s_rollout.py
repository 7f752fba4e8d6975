"""Stops, rollouts, evictions, migrations, scaling: sound as committed, and each fault is found."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import yaml

from tests.deploy.documents import PROGRAMS, Manifests
from tests.deploy.mutations import (
    MAIN,
    POD,
    Case,
    case,
    drop,
    extend,
    mutated,
    put,
    remove,
    variable,
)
from tests.deploy.policies import rollout, scaling
from tests.deploy.render import K8S, OVERLAYS, ROOT

LOOKUP, INGEST, RESULTS = "Deployment/lookup", "Deployment/ingest", "Deployment/results"
JOB, BUDGET = "Job/migrate*", "PodDisruptionBudget/lookup"
SPREAD = f"{POD} topologySpreadConstraints 0"
VERSION = {"matchLabels": {"app.kubernetes.io/version": "1.2.3"}}
SHELL = {"lifecycle": {"preStop": {"exec": {"command": ["sleep", "10"]}}}}

CASES = [
    case(rollout.stops_have_time, "killed after", put(LOOKUP, f"{POD} terminationGracePeriodSeconds", 25)),
    case(rollout.stops_have_time, "killed after", drop(INGEST, f"{POD} terminationGracePeriodSeconds")),
    case(rollout.stops_have_time, "killed after", variable("results", "DRAIN_LIMIT", "10m")),
    case(rollout.stops_have_time, "Deployment/lookup: killed after 45 s, may need 48 s", variable("lookup", "DRAIN_LIMIT", "40s")),
    case(rollout.stops_have_time, "longer than the drain", variable("lookup", "TWILIO_READ_TIMEOUT", "1m")),
    case(rollout.stops_have_time, "preStop sleep is due", drop(INGEST, f"{MAIN} lifecycle")),
    case(rollout.stops_have_time, "preStop needs a program", put(INGEST, f"{MAIN} lifecycle", SHELL["lifecycle"])),
    case(rollout.stops_have_time, "no Service to wait for", put(LOOKUP, f"{MAIN} lifecycle preStop sleep", {"seconds": 1})),
    case(rollout.rollouts_are_small_steps, "one more, none less", put(LOOKUP, "spec strategy rollingUpdate maxUnavailable", 1)),
    case(rollout.rollouts_are_small_steps, "one more, none less", put(LOOKUP, "spec strategy", {"type": "Recreate"})),
    case(rollout.rollouts_are_small_steps, "minReadySeconds", drop(LOOKUP, "spec minReadySeconds")),
    case(rollout.disruption_budgets_let_drains_go_on, "selects no pod", put(BUDGET, "spec selector matchLabels", {"app": "lookup"})),
    case(rollout.disruption_budgets_let_drains_go_on, "can block a drain", put(BUDGET, "spec maxUnavailable", 0)),
    case(rollout.disruption_budgets_let_drains_go_on, "can block a drain", put(BUDGET, "spec minAvailable", 2), drop(BUDGET, "spec maxUnavailable")),
    case(rollout.disruption_budgets_let_drains_go_on, "not ready block", drop(BUDGET, "spec unhealthyPodEvictionPolicy")),
    case(rollout.disruption_budgets_let_drains_go_on, "has 0 disruption budgets", remove(BUDGET)),
    case(rollout.pods_are_spread, "not spread over", drop(LOOKUP, f"{POD} topologySpreadConstraints")),
    case(rollout.pods_are_spread, "counts other pods", put(LOOKUP, f"{SPREAD} labelSelector", {"matchLabels": {"app": "x"}})),
    case(rollout.pods_are_spread, "last rollout", drop(LOOKUP, f"{SPREAD} matchLabelKeys")),
    case(rollout.pods_are_spread, "where there is one zone", put(LOOKUP, SPREAD, {"topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule"})),
    case(rollout.version_selects_nothing, "Deployment/lookup", put(LOOKUP, "spec selector", VERSION)),
    case(rollout.version_selects_nothing, "Deployment/lookup", put(LOOKUP, f"{SPREAD} labelSelector", VERSION)),
    case(rollout.version_selects_nothing, "Service/ingest", put("Service/ingest", "spec selector", VERSION["matchLabels"])),
    case(rollout.version_selects_nothing, BUDGET, put(BUDGET, "spec selector", {"matchExpressions": [{"key": "app.kubernetes.io/version", "operator": "Exists"}]})),
    case(rollout.migrations_are_jobs, "0 Jobs migrate", remove(JOB)),
    case(rollout.migrations_are_jobs, "does not end in its version", put(JOB, "metadata name", "migrate")),
    case(rollout.migrations_are_jobs, "backoffLimit", drop(JOB, "spec backoffLimit")),
    case(rollout.migrations_are_jobs, "activeDeadlineSeconds", drop(JOB, "spec activeDeadlineSeconds")),
    case(rollout.migrations_are_jobs, "evicted pod", drop(JOB, "spec podFailurePolicy")),
    case(rollout.migrations_are_jobs, "restartPolicy", put(JOB, f"{POD} restartPolicy", "OnFailure")),
    case(rollout.migrations_are_jobs, "init container", extend(RESULTS, f"{POD} initContainers", {"name": "schema", "args": ["migrate"]})),
    case(rollout.configuration_is_hashed, "is not there", extend(LOOKUP, f"{MAIN} envFrom", {"configMapRef": {"name": "missing-0123456789"}})),
    case(rollout.configuration_is_hashed, "no hash", extend(LOOKUP, f"{POD} volumes", {"name": "more", "configMap": {"name": "plain"}}), put("ConfigMap/*", "metadata name", "plain")),
    case(rollout.spool_fits_its_volume, "leaves no room", variable("ingest", "SPOOL_LIMIT_BYTES", "900000000000")),
    case(rollout.spool_fits_its_volume, "may be placed where", put(INGEST, f"{MAIN} resources requests ephemeral-storage", "2Gi")),
    case(rollout.spool_fits_its_volume, "may be placed where", drop(INGEST, f"{MAIN} resources requests ephemeral-storage")),
    case(rollout.spool_fits_its_volume, "no volume", variable("ingest", "SPOOL_DIRECTORY", "/elsewhere")),
    case(scaling.replicas_have_one_owner, "nobody says", drop(LOOKUP, "spec replicas")),
    case(scaling.replicas_have_partitions, "up to 1000 replicas", put(LOOKUP, "spec replicas", 1000)),
    case(scaling.replicas_have_partitions, "for 1 partitions", variable("lookup", "KAFKA_PARTITIONS", "1")),
]  # fmt: skip

SCALER = "ScaledObject/*"
DOWN = "spec advanced horizontalPodAutoscalerConfig behavior scaleDown"
SCALED = [
    case(scaling.replicas_have_one_owner, "scales nothing", put(SCALER, "spec scaleTargetRef name", "gone")),
    case(scaling.replicas_have_one_owner, "fixed number", put(LOOKUP, "spec replicas", 3), put(SCALER, "spec scaleTargetRef name", "lookup")),
    case(scaling.replicas_have_partitions, "no most number", drop(SCALER, "spec maxReplicaCount")),
    case(scaling.replicas_have_partitions, "fewer than two", put(SCALER, "spec minReplicaCount", 0)),
    case(scaling.replicas_have_partitions, "up to 100 replicas", put(SCALER, "spec maxReplicaCount", 100)),
    case(scaling.lag_does_not_mislead_scaling, "instead of kafka", put(SCALER, "spec triggers 0 type", "apache-kafka")),
    case(scaling.lag_does_not_mislead_scaling, "stuck partition", drop(SCALER, "spec triggers 0 metadata excludePersistentLag")),
    case(scaling.lag_does_not_mislead_scaling, "more consumers", put(SCALER, "spec triggers 0 metadata allowIdleConsumers", "true")),
    case(scaling.lag_does_not_mislead_scaling, "no fallback", drop(SCALER, "spec fallback")),
    case(scaling.lag_does_not_mislead_scaling, "300 s of calm", put(SCALER, f"{DOWN} stabilizationWindowSeconds", 0)),
    case(scaling.lag_does_not_mislead_scaling, "a pod a minute", drop(SCALER, f"{DOWN} policies")),
    case(scaling.lag_does_not_mislead_scaling, "a pod a minute", put(SCALER, f"{DOWN} policies 0 value", 4)),
]  # fmt: skip

Policy = Callable[[Manifests], list[str]]
POLICIES = list(dict.fromkeys(found.policy for found in CASES))
SCALING = list(dict.fromkeys(found.policy for found in SCALED))


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.__name__)
def test_rollouts_are_sound(
    rendering: Callable[[str], Manifests], overlay: str, policy: Policy
) -> None:
    """Every overlay, as it is committed."""
    assert policy(rendering(overlay)) == []


@pytest.mark.parametrize("found", CASES, ids=lambda found: found.id)
def test_faults_of_rollouts_are_found(prod: Manifests, found: Case) -> None:
    """A fault put into the overlay for production is named by the check it is for."""
    assert any(found.says in line for line in found.policy(mutated(prod, *found.changes)))


@pytest.mark.parametrize("policy", SCALING, ids=lambda policy: policy.__name__)
def test_scaling_is_sound(rendering: Callable[[str], Manifests], policy: Policy) -> None:
    """The component that scales, with the base that it changes."""
    assert policy(rendering("keda")) == []


@pytest.mark.parametrize("found", SCALED, ids=lambda found: found.id)
def test_faults_of_scaling_are_found(rendering: Callable[[str], Manifests], found: Case) -> None:
    """A fault put into the component that scales is named by the check it is for."""
    changed = mutated(rendering("keda"), *found.changes)
    assert any(found.says in line for line in found.policy(changed))


def test_the_overlay_for_production_says_how_many_of_each() -> None:
    """Runbooks send a reader there with a number, and to no other file."""
    file = K8S / "overlays" / "prod" / "kustomization.yaml"
    told = {each["name"] for each in yaml.safe_load(file.read_text("utf-8"))["replicas"]}
    assert told == set(PROGRAMS)


def test_the_database_connections_are_counted_as_they_are(prod: Manifests) -> None:
    """Replicas, and one more in a rollout, times their pool: the sum that operations.md gives."""
    sums = [
        (workload.spec["replicas"] + 1, int(pool))
        for workload in prod.programs.values()
        if (pool := prod.environment(workload.main).get("DATABASE_POOL_SIZE"))
    ]
    ingest, lookup, results = (f"{most} \N{MULTIPLICATION SIGN} {pool}" for most, pool in sums)
    total = sum(most * pool for most, pool in sums) + 10
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert f"{ingest}, {lookup} and {results}, so {total} in all" in text


def test_lookup_is_not_scaled_in_production(prod: Manifests) -> None:
    """The account's limit is the ceiling: more pods would only bring more rebalances."""
    assert list(prod.of("ScaledObject", "HorizontalPodAutoscaler")) == []
    assert prod.programs["lookup"].spec["replicas"] >= 2
