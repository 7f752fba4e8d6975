"""Probes by what they mean, and the port they are asked on."""

from __future__ import annotations

from tests.deploy.documents import Document, Manifests

#: Seconds that a program may take until it answers at all.
_START_SECONDS = 60


def probes_mean_what_they_say(manifests: Manifests) -> list[str]:
    """Alive: the process answers. Ready: it can do its work. A dependency ends no process."""
    found = []
    for workload in manifests.programs.values():
        wanted = {
            "startupProbe": "/livez",
            "livenessProbe": "/livez",
            "readinessProbe": "/readyz",
        }
        for probe, path in wanted.items():
            asked = workload.main.get(probe, {}).get("httpGet", {})
            if asked.get("path") != path:
                found.append(f"{workload.name}: {probe} does not ask {path}")
            elif asked.get("port") not in workload.ports:
                found.append(f"{workload.name}: {probe} asks a port that the pod has not")
    return found


def start_has_time(manifests: Manifests) -> list[str]:
    """A slow start is no fault: liveness begins a minute later."""
    return [
        f"{workload.name}: is given {seconds} s to start"
        for workload in manifests.programs.values()
        if (seconds := _seconds(workload.main.get("startupProbe", {}))) < _START_SECONDS
    ]


def _seconds(probe: Document) -> int:
    return int(probe.get("failureThreshold", 3)) * int(probe.get("periodSeconds", 10))


def programs_listen_where_they_are_asked(manifests: Manifests) -> list[str]:
    """On the port called `http`, and on the pod's address, not on 127.0.0.1."""
    found = []
    for program, workload in manifests.programs.items():
        environment = manifests.environment(workload.main)
        numbers = {
            port["containerPort"]
            for port in workload.main.get("ports", [])
            if port.get("name") == "http"
        }
        if {environment.get("HTTP_PORT")} != {str(number) for number in numbers}:
            found.append(f"{workload.name}: HTTP_PORT is not the port called http")
        if program in {"ingest", "results"}:
            if not {"API_TOKENS", "API_TOKENS_FILE"} & environment.keys():
                found.append(f"{workload.name}: without tokens it listens on 127.0.0.1 only")
        elif environment.get("HTTP_HOST") != "0.0.0.0":
            found.append(f"{workload.name}: without HTTP_HOST it listens on 127.0.0.1 only")
    return found
