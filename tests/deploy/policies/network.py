"""Who may speak with whom, and whether what selects by label or port finds it."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

from tests.deploy.documents import Document, Manifests, Workload, matches, named

#: What `anywhere on the internet` leaves out: private addresses, and the cloud's metadata.
_PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16")
_EVERYWHERE = {"0.0.0.0/0", "::/0"}
_HTTPS = 443
_DNS = 53
_POSTGRES = 5432


def _policies(manifests: Manifests) -> list[Document]:
    return list(manifests.of("NetworkPolicy"))


def everything_is_denied_by_default(manifests: Manifests) -> list[str]:
    """One policy selects every pod and allows nothing, in and out."""
    for policy in _policies(manifests):
        spec = policy["spec"]
        if (
            not spec.get("podSelector")
            and set(spec.get("policyTypes", [])) == {"Ingress", "Egress"}
            and not spec.get("ingress")
            and not spec.get("egress")
        ):
            return []
    return ["no NetworkPolicy denies all by default"]


def names_can_be_looked_up(manifests: Manifests) -> list[str]:
    """DNS, by UDP and by TCP, of the cluster's own servers alone."""
    found = []
    for workload in manifests.workloads:
        protocols = set()
        for policy, rule, port in _egress_ports(manifests):
            if port.get("port") != _DNS:
                continue
            peers = rule.get("to", [])
            if not peers or any("namespaceSelector" not in peer for peer in peers):
                found.append(f"{named(policy)}: DNS of anybody")
            if matches(policy["spec"].get("podSelector"), workload.labels):
                protocols.add(port.get("protocol", "TCP"))
        if protocols != {"TCP", "UDP"}:
            found.append(f"{workload.name}: may not use DNS by TCP and UDP")
    return found


def _egress_ports(manifests: Manifests) -> Iterator[tuple[Document, Document, Document]]:
    for policy in _policies(manifests):
        for rule in policy["spec"].get("egress", []):
            for port in rule.get("ports", []):
                yield policy, rule, port


def only_lookup_reaches_the_internet(manifests: Manifests) -> list[str]:
    """On 443, and no private address by that rule."""
    found = []
    for policy in _policies(manifests):
        for rule in policy["spec"].get("egress", []):
            if not rule.get("to"):
                found.append(f"{named(policy)}: a way out to anywhere")
            for block in (peer["ipBlock"] for peer in rule.get("to", []) if "ipBlock" in peer):
                if block["cidr"] in _EVERYWHERE:
                    found += [f"{named(policy)}: {why}" for why in _open(manifests, policy, rule)]
                    if missing := set(_PRIVATE) - set(block.get("except", [])):
                        found.append(f"{named(policy)}: lets through {sorted(missing)}")
                elif ip_network(block["cidr"]).num_addresses > 2**24:
                    found.append(f"{named(policy)}: a way out to {block['cidr']}")
    return found


def _open(manifests: Manifests, policy: Document, rule: Document) -> Iterator[str]:
    who = {workload.component for workload in manifests.selected(policy["spec"]["podSelector"])}
    if who != {"lookup"}:
        yield f"{sorted(who)} may reach the internet"
    if [port.get("port") for port in rule.get("ports", [])] != [_HTTPS]:
        yield "the internet on more than 443"


def programs_reach_what_they_need(manifests: Manifests) -> list[str]:
    """Kafka where they are told that it is, PostgreSQL, and lookup Twilio."""
    found = []
    for workload in manifests.workloads:
        environment = manifests.environment(workload.main)
        servers = (environment.get("KAFKA_BOOTSTRAP_SERVERS") or "").split(",")
        needed = {int(server.rpartition(":")[2]) for server in servers if server}
        if {"DATABASE_URL", "DATABASE_URL_FILE"} & environment.keys():
            needed.add(_POSTGRES)
        if workload.component == "lookup":
            needed.add(_HTTPS)
        allowed = {
            port["port"]
            for policy, _, port in _egress_ports(manifests)
            if matches(policy["spec"].get("podSelector"), workload.labels)
        }
        found += [f"{workload.name}: no way out to {port}" for port in sorted(needed - allowed)]
    return found


def ways_in_name_who(manifests: Manifests) -> list[str]:
    """No rule lets in whoever asks."""
    return [
        f"{named(policy)}: a way in from anywhere"
        for policy in _policies(manifests)
        for rule in policy["spec"].get("ingress", [])
        if not rule.get("from") or any(_anybody(peer) for peer in rule["from"])
    ]


def _anybody(peer: Document) -> bool:
    if peer.get("ipBlock", {}).get("cidr") in _EVERYWHERE:
        return True
    return peer.get("namespaceSelector") == {} and not peer.get("podSelector")


def metrics_can_be_scraped(manifests: Manifests) -> list[str]:
    """Monitoring's namespace may ask every program, on its port of HTTP."""
    found = []
    for workload in manifests.programs.values():
        allowed = any(
            "namespaceSelector" in peer and "monitoring" in str(peer["namespaceSelector"])
            for policy in _policies(manifests)
            if matches(policy["spec"].get("podSelector"), workload.labels)
            for rule in policy["spec"].get("ingress", [])
            for peer in rule.get("from", [])
        )
        if not allowed:
            found.append(f"{workload.name}: monitoring may not ask it")
    return found


def network_policies_find_pods(manifests: Manifests) -> list[str]:
    """Each selects pods that are there, its peers in this namespace too, on ports they have."""
    found = []
    for policy in _policies(manifests):
        spec = policy["spec"]
        chosen = manifests.selected(spec.get("podSelector"))
        if not chosen:
            found.append(f"{named(policy)}: selects no pod")
        for rule in spec.get("ingress", []):
            found += _peers(manifests, policy, rule.get("from", []))
            found += _ports(policy, rule, chosen)
        for rule in spec.get("egress", []):
            peers = rule.get("to", [])
            found += _peers(manifests, policy, peers)
            found += _ports(policy, rule, _here(manifests, peers))
    return found


def _here(manifests: Manifests, peers: list[Document]) -> list[Workload]:
    """The workloads of this namespace among the peers."""
    return [
        workload
        for peer in peers
        if "podSelector" in peer and "namespaceSelector" not in peer
        for workload in manifests.selected(peer["podSelector"])
    ]


def _peers(manifests: Manifests, policy: Document, peers: list[Document]) -> list[str]:
    return [
        f"{named(policy)}: no pod has the labels {peer['podSelector']}"
        for peer in peers
        if "podSelector" in peer
        and "namespaceSelector" not in peer
        and not manifests.selected(peer["podSelector"])
    ]


def _ports(policy: Document, rule: Document, pods: list[Workload]) -> list[str]:
    return [
        f"{named(policy)}: {workload.name} has no port {port['port']}"
        for workload in pods
        for port in rule.get("ports", [])
        if workload.ports and port["port"] not in workload.ports
    ]


def services_find_pods(manifests: Manifests) -> list[str]:
    """Each selects pods that are there, and leads to a port they have."""
    found = []
    for service in manifests.of("Service"):
        selector: dict[str, Any] = {"matchLabels": service["spec"].get("selector", {})}
        chosen = manifests.selected(selector) if service["spec"].get("selector") else []
        if not chosen:
            found.append(f"{named(service)}: selects no pod")
        found += [
            f"{named(service)}: {workload.name} has no port {target}"
            for workload in chosen
            for port in service["spec"]["ports"]
            if (target := port.get("targetPort", port["port"])) not in workload.ports
        ]
    return found


def monitors_find_pods(manifests: Manifests) -> list[str]:
    """Every program is scraped once, on a port it has, as the job its alerts know."""
    found = []
    monitors = list(manifests.of("PodMonitor"))
    for monitor in monitors:
        chosen = manifests.selected(monitor["spec"]["selector"])
        if not chosen:
            found.append(f"{named(monitor)}: selects no pod")
        for endpoint in monitor["spec"]["podMetricsEndpoints"]:
            found += [
                f"{named(monitor)}: {workload.name} has no port {endpoint.get('port')}"
                for workload in chosen
                if endpoint.get("port") not in workload.ports
            ]
            if endpoint.get("path", "/metrics") != "/metrics":
                found.append(f"{named(monitor)}: scrapes {endpoint['path']}")
            if not any(_makes_job(step) for step in endpoint.get("relabelings", [])):
                found.append(f"{named(monitor)}: the label job is not bulk-lookup-PROGRAM")
    for workload in manifests.programs.values():
        own = [one for one in monitors if matches(one["spec"]["selector"], workload.labels)]
        if len(own) != 1:
            found.append(f"{workload.name}: scraped by {len(own)} monitors, not one")
    return found


def _makes_job(step: Document) -> bool:
    """Whether a relabelling makes the label `job` as rules and dashboards expect it."""
    return step.get("targetLabel") == "job" and str(step.get("replacement", "")).startswith(
        "bulk-lookup-"
    )
