"""What a review of the Compose file refuses: its resolved form in, findings out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from services.reference import PROGRAMS
from services.runtime.settings import parse_duration
from tests.deploy.documents import Document
from tests.deploy.policies.access import is_secret
from tests.deploy.policies.rollout import stop_seconds

_PINNED = re.compile(r"(@sha256:[0-9a-f]{64}|:v?\d+(\.\d+)+[\w.-]*)$")
_GO_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:([\d.]+)s)?")
_WHOLE = ", the whole volume"
_DONE = "service_completed_successfully"


def environment(composed: Document, service: str) -> dict[str, str | None]:
    """What a service is told."""
    found: dict[str, str | None] = composed["services"][service].get("environment") or {}
    return {name: value or "" for name, value in found.items()}


def one_shots(composed: Document) -> set[str]:
    """The services that others wait for to end."""
    return {
        name
        for service in composed["services"].values()
        for name, need in service.get("depends_on", {}).items()
        if need["condition"] == _DONE
    }


def images_are_pinned(composed: Document) -> list[str]:
    """Each by a version or a digest."""
    return [
        f"{name}: {service.get('image')} can change under its name"
        for name, service in composed["services"].items()
        if not _PINNED.search(service.get("image", ""))
    ]


def health_is_checked(composed: Document) -> list[str]:
    """Of everything that stays up."""
    return [
        f"{name}: no health check"
        for name, service in composed["services"].items()
        if name not in one_shots(composed)
        and not service.get("healthcheck", {}).get("test")
        and service.get("restart") != "no"
    ]


def starts_are_ordered(composed: Document) -> list[str]:
    """What is waited for is waited for until it works: no condition is just `started`."""
    found = [
        f"{name}: waits for the start of {other}, not until it works"
        for name, service in composed["services"].items()
        for other, need in service.get("depends_on", {}).items()
        if need["condition"] == "service_started"
    ]
    return found + [
        f"{program}: does not wait for the migration"
        for program in ("ingest", "lookup", "results")
        if composed["services"][program].get("depends_on", {}).get("migrate", {}).get("condition")
        != _DONE
    ]


def nobody_else_can_reach_it(composed: Document) -> list[str]:
    """Every port that is published is published to this machine alone."""
    return [
        f"{name}: port {port.get('target')} is open to everybody"
        for name, service in composed["services"].items()
        for port in service.get("ports", [])
        if port.get("host_ip") != "127.0.0.1"
    ]


def secrets_are_elsewhere(composed: Document) -> list[str]:
    """None stands in the file: not in an environment, a command, a label, or a secret's content."""
    found = [
        f"{name}: {variable} holds a secret"
        for name in composed["services"]
        for variable, value in environment(composed, name).items()
        if is_secret(variable, value or "")
    ]
    for name, service in composed["services"].items():
        words = [*(service.get("command") or []), *(service.get("entrypoint") or [])]
        found += [f"{name}: an argument holds a secret" for word in words if is_secret("", word)]
    return found + [
        f"the secret {name} is no file"
        for name, secret in composed.get("secrets", {}).items()
        if "file" not in secret
    ]


def each_reads_its_own_secrets(composed: Document) -> list[str]:
    """No two programs are given the same secret, and none is given all of them."""
    readers: dict[str, set[str]] = {}
    for program in PROGRAMS:
        for source in _secret_sources(composed["services"][program]):
            readers.setdefault(source, set()).add(program)
    return [
        f"{source}: read by {', '.join(sorted(programs))}"
        for source, programs in readers.items()
        if len(programs) > 1 or source.endswith(_WHOLE)
    ]


def _secret_sources(service: Document) -> Iterator[str]:
    """What a service reads of files of secrets: a secret, a folder, a folder in a volume."""
    for secret in service.get("secrets", []):
        yield secret["source"]
    for volume in service.get("volumes", []):
        if "secret" in volume["source"]:
            folder = volume.get("volume", {}).get("subpath")
            whole = _WHOLE if volume["type"] == "volume" and not folder else ""
            yield f"{volume['source']}{f'/{folder}' if folder else whole}"


def stops_have_time(composed: Document) -> list[str]:
    """Docker kills later than a program may take to end by itself."""
    found = []
    for program, model in PROGRAMS.items():
        told = environment(composed, program).get("DRAIN_LIMIT")
        drain = parse_duration(told) if told else model.model_fields["drain_limit"].default
        grace = seconds(composed["services"][program].get("stop_grace_period", "10s"))
        if grace <= stop_seconds(drain.total_seconds()):
            found.append(f"{program}: killed after {grace:g} s")
    return found


def seconds(duration: str) -> float:
    """Of a duration as Docker writes it, such as `1m0s`."""
    found = _GO_DURATION.fullmatch(duration)
    if found is None:
        raise ValueError(f"no duration: {duration}")
    hours, minutes, rest = (float(part or 0) for part in found.groups())
    return hours * 3600 + minutes * 60 + rest


def programs_have_few_rights(composed: Document) -> list[str]:
    """As in Kubernetes: no capability, no new privilege, nothing to write to but what is given."""
    return [
        f"{program}: {why}"
        for program in PROGRAMS
        for why in _rights(composed["services"][program])
    ]


def _rights(service: Document) -> Iterator[str]:
    if service.get("cap_drop") != ["ALL"]:
        yield "keeps capabilities"
    if "no-new-privileges:true" not in service.get("security_opt", []):
        yield "may get new privileges"
    if not service.get("read_only"):
        yield "can write to its image"
    if service.get("privileged"):
        yield "privileged"


def one_topic_table(composed: Document) -> list[str]:
    """The programs make the topics, all by one table, and the broker makes none by itself."""
    found = []
    names = ("KAFKA_TOPIC_PREFIX", "KAFKA_PARTITIONS", "KAFKA_RETENTION", "RETRY_DELAYS")
    shapes = {
        tuple(environment(composed, program).get(name) for name in names) for program in PROGRAMS
    }
    if len(shapes) != 1:
        found.append("the programs are told different topics")
    if any(
        environment(composed, program).get("KAFKA_CREATE_TOPICS") == "false" for program in PROGRAMS
    ):
        found.append("nobody makes the topics")
    brokers = [
        environment(composed, name)
        for name in composed["services"]
        if "KAFKA_PROCESS_ROLES" in environment(composed, name)
    ]
    if [broker.get("KAFKA_AUTO_CREATE_TOPICS_ENABLE") for broker in brokers] != ["false"]:
        found.append("the broker makes topics of its own")
    return found


def files_are_there(composed: Document, root: Path) -> list[str]:
    """What is mounted from the repository exists; secrets are made by a person or a command."""
    return [
        f"{name}: {volume['source']} is not there"
        for name, service in composed["services"].items()
        for volume in service.get("volumes", [])
        if volume["type"] == "bind"
        and Path(volume["source"]).is_relative_to(root)
        and "secrets" not in Path(volume["source"]).relative_to(root).parts
        and not Path(volume["source"]).exists()
    ]
