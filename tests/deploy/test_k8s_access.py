"""Secrets, rights and the network: sound as committed, and each fault is found."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.deploy.documents import Manifests
from tests.deploy.mutations import (
    MAIN,
    Case,
    add,
    case,
    drop,
    extend,
    mutated,
    put,
    remove,
    variable,
)
from tests.deploy.policies import access, network
from tests.deploy.render import OVERLAYS

LOOKUP = "Deployment/lookup"
USER, NAMESPACE = "KafkaUser/bulk-lookup-lookup", "Namespace/*"
ACL = "spec authorization acls 0"
MONITOR = "PodMonitor/*"
META = {"name": "more", "namespace": "bulk-lookup"}
OPEN = {"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}], "ports": [{"port": 443}]}
NOBODY = {"matchLabels": {"app": "nobody"}}
ANYWHERE = {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]}


def more(**spec: object) -> Callable[[list[dict[str, object]]], None]:
    """One policy more, for every pod unless it says otherwise."""
    return add(kind="NetworkPolicy", metadata=META, spec={"podSelector": {}, **spec})


def role(**rule: object) -> Callable[[list[dict[str, object]]], None]:
    """A role with one rule."""
    return add(kind="Role", metadata=META, rules=[{"apiGroups": [""], **rule}])


CASES = [
    case(access.secrets_are_in_secrets, "DATABASE_URL holds", variable("lookup", "DATABASE_URL", "postgresql://db/x")),
    case(access.secrets_are_in_secrets, "API_TOKENS holds", variable("ingest", "API_TOKENS", "a:b")),
    case(access.secrets_are_in_secrets, "SOME_PASSWORD holds", variable("ingest", "SOME_PASSWORD", "b")),
    case(access.secrets_are_in_secrets, "RESULTS_URL holds", variable("ingest", "RESULTS_URL", "https://me:it@there")),
    case(access.secrets_are_in_secrets, "an argument", extend(LOOKUP, f"{MAIN} args", "SK" + 32 * "0")),
    case(access.secrets_are_in_secrets, "password holds", put("ConfigMap/*", "data password", "it")),
    case(access.secrets_are_in_secrets, "key.pem holds", put("ConfigMap/*", "data key.pem", "-----BEGIN PRIVATE KEY-----")),
    case(access.no_secret_is_rendered, "Secret/more", add(kind="Secret", metadata=META, data={})),
    case(access.each_program_has_its_own_secrets, "read by Deployment/ingest, Deployment/lookup",
         *(extend(f"Deployment/{program}", f"{MAIN} envFrom", {"secretRef": {"name": "all"}}) for program in ("ingest", "lookup"))),
    case(access.each_program_has_its_own_login, "no DATABASE_URL", put("Deployment/results", f"{MAIN} env", []), put("Deployment/results", f"{MAIN} envFrom", [])),
    case(access.each_program_has_its_own_login, "is no secret", variable("lookup", "DATABASE_URL", "postgresql://db/x")),
    case(access.rights_are_named, "a rule with *", role(resources=["*"], verbs=["get"])),
    case(access.rights_are_named, "a rule with *", role(resources=["pods"], verbs=["*"])),
    case(access.rights_are_named, "cluster-admin", add(kind="ClusterRoleBinding", metadata=META, roleRef={"name": "cluster-admin"})),
    case(access.rights_are_named, "over every topic", put(USER, f"{ACL} resource", {"type": "topic", "name": "*"})),
    case(access.rights_are_named, "over every group", put(USER, f"{ACL} resource", {"type": "group"})),
    case(access.rights_are_named, "over the cluster", put(USER, f"{ACL} resource", {"type": "cluster"})),
    case(access.rights_are_named, "begins with lookup", put(USER, f"{ACL} resource", {"type": "topic", "name": "lookup", "patternType": "prefix"})),
    case(access.rights_are_named, "every operation", put(USER, f"{ACL} operations", ["All"])),
    case(access.rights_are_named, "no ACLs", drop(USER, "spec authorization")),
    case(access.namespaces_are_restricted, "enforce is not", put(NAMESPACE, "metadata labels pod-security.kubernetes.io/enforce", "baseline")),
    case(access.namespaces_are_restricted, "warn is not", drop(NAMESPACE, "metadata labels pod-security.kubernetes.io/warn")),
    case(access.namespaces_are_restricted, "not a version", put(NAMESPACE, "metadata labels pod-security.kubernetes.io/enforce-version", "latest")),
    case(access.namespaces_are_restricted, "elsewhere", put(LOOKUP, "metadata namespace", "elsewhere")),
    case(network.everything_is_denied_by_default, "denies all", remove("NetworkPolicy/*")),
    case(network.everything_is_denied_by_default, "denies all", put("NetworkPolicy/*deny*", "spec policyTypes", ["Ingress"])),
    case(network.everything_is_denied_by_default, "denies all", put("NetworkPolicy/*deny*", "spec egress", [{}])),
    case(network.names_can_be_looked_up, "may not use DNS", remove("NetworkPolicy/*dns*")),
    case(network.names_can_be_looked_up, "DNS of anybody", more(egress=[{"ports": [{"port": 53}]}])),
    case(network.only_lookup_reaches_the_internet, "a way out to anywhere", more(egress=[{}])),
    case(network.only_lookup_reaches_the_internet, "may reach the internet", more(egress=[OPEN])),
    case(network.only_lookup_reaches_the_internet, "lets through ['169.254.0.0/16']", more(egress=[{"to": [{"ipBlock": ANYWHERE}]}])),
    case(network.only_lookup_reaches_the_internet, "more than 443", more(egress=[{"to": [{"ipBlock": ANYWHERE}]}])),
    case(network.only_lookup_reaches_the_internet, "128.0.0.0/1", more(egress=[{"to": [{"ipBlock": {"cidr": "128.0.0.0/1"}}]}])),
    case(network.programs_reach_what_they_need, "Deployment/scheduler: no way out to 9093", remove("NetworkPolicy/kafka")),
    case(network.programs_reach_what_they_need, "no way out to 5432", remove("NetworkPolicy/postgres")),
    case(network.programs_reach_what_they_need, "Deployment/lookup: no way out to 443", remove("NetworkPolicy/twilio")),
    case(network.programs_reach_what_they_need, "no way out to 9094", variable("ingest", "KAFKA_BOOTSTRAP_SERVERS", "kafka:9094")),
    case(network.ways_in_name_who, "from anywhere", more(ingress=[{}])),
    case(network.ways_in_name_who, "from anywhere", more(ingress=[{"from": [{"namespaceSelector": {}}]}])),
    case(network.ways_in_name_who, "from anywhere", more(ingress=[{"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}])),
    case(network.metrics_can_be_scraped, "Deployment/lookup", put(LOOKUP, "spec template metadata labels", {"app": "other"})),
    case(network.network_policies_find_pods, "selects no pod", more(podSelector=NOBODY)),
    case(network.network_policies_find_pods, "no pod has", more(egress=[{"to": [{"podSelector": NOBODY}]}])),
    case(network.network_policies_find_pods, "has no port 9", more(ingress=[{"from": [], "ports": [{"port": 9}]}])),
    case(network.network_policies_find_pods, "has no port 9", more(egress=[{"to": [{"podSelector": {}}], "ports": [{"port": 9}]}])),
    case(network.services_find_pods, "selects no pod", put("Service/ingest", "spec selector", {"app": "nobody"})),
    case(network.services_find_pods, "has no port web", put("Service/ingest", "spec ports 0 targetPort", "web")),
    case(network.monitors_find_pods, "selects no pod", put(MONITOR, "spec selector", NOBODY)),
    case(network.monitors_find_pods, "has no port metrics", put(MONITOR, "spec podMetricsEndpoints 0 port", "metrics")),
    case(network.monitors_find_pods, "scrapes /prometheus", put(MONITOR, "spec podMetricsEndpoints 0 path", "/prometheus")),
    case(network.monitors_find_pods, "the label job", put(MONITOR, "spec podMetricsEndpoints 0 relabelings", [])),
    case(network.monitors_find_pods, "scraped by 0", remove(MONITOR)),
]  # fmt: skip

Policy = Callable[[Manifests], list[str]]
POLICIES = list(dict.fromkeys(found.policy for found in CASES))
#: `dev` needs no operator, brings its own network and secrets, and monitors nothing.
ONLY_PROD = {
    access.no_secret_is_rendered,
    network.monitors_find_pods,
    network.metrics_can_be_scraped,
    network.everything_is_denied_by_default,
    network.names_can_be_looked_up,
    network.programs_reach_what_they_need,
}


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.__name__)
def test_access_is_sound(
    rendering: Callable[[str], Manifests], overlay: str, policy: Policy
) -> None:
    """Every overlay, as it is committed."""
    if policy in ONLY_PROD and overlay != "prod":
        return
    assert policy(rendering(overlay)) == []


@pytest.mark.parametrize("found", CASES, ids=lambda found: found.id)
def test_faults_of_access_are_found(prod: Manifests, found: Case) -> None:
    """A fault put into the overlay for production is named by the check it is for."""
    assert any(found.says in line for line in found.policy(mutated(prod, *found.changes)))


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("KAFKA_SASL_PASSWORD", "x", True),
        ("DATABASE_URL", "postgresql://db/x", True),  # its class says that it is one
        ("DATABASE_URL_FILE", "/secrets/url", False),
        ("KAFKA_SASL_PASSWORD", "", False),  # not set
        ("POSTGRES_PASSWORD_FILE", "/run/secrets/postgres", False),
        ("PASSWORDS", "/run/secrets", False),  # where they are
        ("ANY", "postgresql://user:it@db/x", True),
        ("ANY", "https://lookups.twilio.com", False),
        ("ANY", "AC" + 32 * "f", True),
    ],
)
def test_what_counts_as_a_secret(name: str, value: str, secret: bool) -> None:
    """By name, by the settings' own classes, and by what it looks like."""
    assert access.is_secret(name, value) is secret
