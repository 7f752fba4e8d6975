"""The checks of manifests themselves."""

from __future__ import annotations

import base64
import inspect
import re
from collections.abc import Callable

from tests.deploy import test_k8s_access, test_k8s_pods, test_k8s_rollout
from tests.deploy.documents import Manifests, matches
from tests.deploy.policies import access, network, pods, probes, rollout, scaling

TABLES = (
    *(test_k8s_access.CASES, test_k8s_pods.CASES),
    *(test_k8s_rollout.CASES, test_k8s_rollout.SCALED),
)


def test_every_check_was_seen_to_fail() -> None:
    """Each stands in a table with a fault that it finds, and so is run on every overlay."""
    tried = {case.policy.__name__ for table in TABLES for case in table}
    written = {
        name
        for module in (access, network, pods, probes, rollout, scaling)
        for name, found in inspect.getmembers(module, inspect.isfunction)
        if found.__module__ == module.__name__
        and not name.startswith("_")
        and list(inspect.signature(found).parameters) == ["manifests"]
    }
    assert written == tried


def test_selectors() -> None:
    """As Kubernetes reads them: all of it must hold, and an empty one selects all."""
    labels = {"app": "lookup", "tier": "back"}
    assert matches(None, labels)
    assert matches({}, labels)
    assert matches({"matchLabels": {"app": "lookup"}}, labels)
    assert not matches({"matchLabels": {"app": "lookup", "tier": "front"}}, labels)
    for operator, values, selected in [
        ("In", ["lookup", "results"], True),
        ("In", ["results"], False),
        ("NotIn", ["results"], True),
        ("Exists", [], True),
        ("DoesNotExist", [], False),
    ]:
        expression = {"key": "app", "operator": operator, "values": values}
        assert matches({"matchExpressions": [expression]}, labels) is selected


def test_each_program_has_a_login_in_the_overlay_for_trials(
    rendering: Callable[[str], Manifests],
) -> None:
    """No two secrets hold the URL of one user of the database."""
    urls = [
        base64.b64decode(secret["data"]["database-url"]).decode()
        for secret in rendering("dev").of("Secret")
        if "database-url" in secret["data"]
    ]
    users = [found[1] for url in urls if (found := re.match(r"postgresql://([^:]+):", url))]
    assert sorted(users) == [
        "bulk_lookup_ingest_user",
        "bulk_lookup_lookup_user",
        "bulk_lookup_owner",
        "bulk_lookup_results_user",
    ]
