"""Secrets, rights, and what a namespace lets in."""

from __future__ import annotations

import re
from collections.abc import Iterator

from services.reference import PROGRAMS as SETTINGS
from tests.deploy.documents import Document, Manifests, Workload, named

#: Settings of ours that are secrets, as their classes say.
SECRET_SETTINGS = frozenset(
    name.upper()
    for model in SETTINGS.values()
    for name, field in model.model_fields.items()
    if "SecretStr" in str(field.annotation)
)
_SECRET_NAME = re.compile(r"(PASSWORD|PASSWD|SECRET|TOKEN|PRIVATE_KEY|API_KEY)S?$")
#: A URL with a password, a private key, an id of Twilio's.
_SECRET_VALUE = re.compile(
    r"://[^/\s:@]+:[^/\s@]+@|-----BEGIN [A-Z ]*PRIVATE KEY-----|\b(AC|SK)[0-9a-f]{32}\b"
)
_CERTIFICATES = re.compile(r"-ca-cert$")
_LEVELS = ("enforce", "audit", "warn")


def is_secret(name: str, value: str) -> bool:
    """Whether a variable or a line of a file is one, by what it is called or what it holds."""
    called_so = name in SECRET_SETTINGS or (
        _SECRET_NAME.search(name.upper()) and not value.startswith("/")
    )
    return bool(called_so and value) or bool(_SECRET_VALUE.search(value))


def secrets_are_in_secrets(manifests: Manifests) -> list[str]:
    """None stands in a container's environment, its arguments or a ConfigMap."""
    found = []
    for workload in manifests.workloads:
        for container in workload.containers:
            where = f"{workload.name}/{container['name']}"
            found += [
                f"{where}: {variable['name']} holds a secret"
                for variable in container.get("env", [])
                if is_secret(variable["name"], variable.get("value", ""))
            ]
            found += [
                f"{where}: an argument holds a secret"
                for word in [*container.get("command", []), *container.get("args", [])]
                if is_secret("", word)
            ]
    for config in manifests.of("ConfigMap"):
        found += [
            f"{named(config)}: {key} holds a secret"
            for key, value in config.get("data", {}).items()
            if is_secret(key, value)
        ]
    return found


def no_secret_is_rendered(manifests: Manifests) -> list[str]:
    """An overlay for production has none at all: something in the cluster makes them."""
    return [f"{named(secret)}: a secret in a manifest" for secret in manifests.of("Secret")]


def secret_names(workload: Workload) -> set[str]:
    """The Secrets that a workload's pods read."""
    names: set[str | None] = set()
    for container in workload.containers:
        for source in container.get("envFrom", []):
            names.add(source.get("secretRef", {}).get("name"))
        for variable in container.get("env", []):
            names.add(variable.get("valueFrom", {}).get("secretKeyRef", {}).get("name"))
    for volume in workload.pod.get("volumes", []):
        names.add(volume.get("secret", {}).get("secretName"))
        for source in volume.get("projected", {}).get("sources", []):
            names.add(source.get("secret", {}).get("name"))
    return {name for name in names if name}


def each_program_has_its_own_secrets(manifests: Manifests) -> list[str]:
    """Who reads one program's learns nothing of another's; certificates are no secret."""
    readers: dict[str, list[str]] = {}
    for workload in manifests.workloads:
        for name in secret_names(workload):
            if not _CERTIFICATES.search(name):
                readers.setdefault(name, []).append(workload.name)
    ours = {f"Deployment/{program}" for program in manifests.programs}
    return [
        f"Secret/{name}: read by {', '.join(sorted(names))}"
        for name, names in sorted(readers.items())
        if len(names) > 1 and ours & set(names)
    ]


def each_program_has_its_own_login(manifests: Manifests) -> list[str]:
    """The URL of PostgreSQL, with user and password, comes from a Secret of the program's."""
    found = []
    for program in ("ingest", "lookup", "results"):
        if program not in manifests.programs:
            continue
        workload = manifests.programs[program]
        environment = manifests.environment(workload.main)
        if not {"DATABASE_URL", "DATABASE_URL_FILE"} & environment.keys():
            found.append(f"{workload.name}: no DATABASE_URL")
        elif environment.get("DATABASE_URL", None) is not None:
            found.append(f"{workload.name}: DATABASE_URL is no secret")
    return found


def rights_are_named(manifests: Manifests) -> list[str]:
    """No rule of Kubernetes or Kafka says `all`, and nobody is made cluster-admin."""
    found = []
    for role in manifests.of("Role", "ClusterRole"):
        for rule in role.get("rules", []):
            said = [*rule.get("apiGroups", []), *rule.get("resources", []), *rule["verbs"]]
            if "*" in said:
                found.append(f"{named(role)}: a rule with *")
    found += [
        f"{named(binding)}: binds cluster-admin"
        for binding in manifests.of("RoleBinding", "ClusterRoleBinding")
        if binding["roleRef"]["name"] == "cluster-admin"
    ]
    for user in manifests.of("KafkaUser"):
        found += [f"{named(user)}: {why}" for why in _open_acls(user)]
    return found


def _open_acls(user: Document) -> Iterator[str]:
    if user["spec"].get("authorization", {}).get("type") != "simple":
        yield "has no ACLs"
        return
    for acl in user["spec"]["authorization"]["acls"]:
        resource = acl["resource"]
        if resource["type"] == "cluster":
            yield "a right over the cluster"
        elif resource.get("name", "*") in {"*", ""}:
            yield f"a right over every {resource['type']}"
        if resource.get("patternType", "literal") != "literal":
            yield f"a right over all that begins with {resource.get('name')}"
        if "All" in acl["operations"]:
            yield "every operation"


def namespaces_are_restricted(manifests: Manifests) -> list[str]:
    """Whatever else comes into the namespace is held to the same, of a version that is named."""
    namespaces = list(manifests.of("Namespace"))
    found = []
    for namespace in namespaces:
        labels = namespace["metadata"].get("labels", {})
        found += [
            f"{named(namespace)}: {level} is not restricted"
            for level in _LEVELS
            if labels.get(f"pod-security.kubernetes.io/{level}") != "restricted"
        ]
        if not re.fullmatch(
            r"v1\.\d+", labels.get("pod-security.kubernetes.io/enforce-version", "")
        ):
            found.append(f"{named(namespace)}: enforce-version is not a version")
    used = {
        document["metadata"].get("namespace")
        for document in manifests.of("Deployment", "StatefulSet", "Job")
    }
    made = {namespace["metadata"]["name"] for namespace in namespaces}
    if used != made:
        found.append(f"pods are in {sorted(map(str, used))}, namespaces made: {sorted(made)}")
    return found
