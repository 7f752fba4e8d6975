"""The Compose file: Docker Compose takes it, a review finds nothing, and each fault is found."""

from __future__ import annotations

import copy
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.reference import PROGRAMS
from tests.deploy import composition, settings
from tests.deploy.documents import Document
from tests.deploy.render import ROOT
from tests.deploy.tools import ToolError, run

FILE = ROOT / "deploy" / "compose.yaml"
CHECKS = (
    composition.images_are_pinned,
    composition.health_is_checked,
    composition.starts_are_ordered,
    composition.nobody_else_can_reach_it,
    composition.secrets_are_elsewhere,
    composition.each_reads_its_own_secrets,
    composition.stops_have_time,
    composition.programs_have_few_rights,
    composition.one_topic_table,
)


def resolve(compose: Path, file: Path) -> Document:
    """The file as Docker Compose understands it, without a variable of ours."""
    told = {"PATH": os.environ["PATH"]}
    resolved: Document = json.loads(
        run(compose, "--file", file, "--profile", "*", "config", "--format", "json", environ=told)
    )
    return resolved


@pytest.fixture(scope="module")
def composed(compose: Path) -> Document:
    """The committed file."""
    return resolve(compose, FILE)


def put(path: str, value: Any) -> Callable[[Document], None]:
    """Set a value in it; the path is keys with spaces between them."""

    def change(composed: Document) -> None:
        *way, last = path.split()
        target = composed
        for step in way:
            target = target.setdefault(step, {})
        target[last] = value

    return change


def test_docker_compose_refuses_what_is_wrong(compose: Path, tmp_path: Path) -> None:
    """A misspelt key is no setting: the committed file is held to the same."""
    text = FILE.read_text(encoding="utf-8")
    (tmp_path / "compose.yaml").write_text(text.replace("image:", "imige:"), encoding="utf-8")

    with pytest.raises(ToolError, match="imige"):
        resolve(compose, tmp_path / "compose.yaml")


def test_the_whole_system_is_there(composed: Document) -> None:
    """The programs, what they need, and what watches them."""
    assert {*PROGRAMS, "migrate", "kafka", "postgres", "twilio", "prometheus", "grafana"} <= set(
        composed["services"]
    )


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_file_is_sound(composed: Document, check: Callable[[Document], list[str]]) -> None:
    """As it is committed."""
    assert check(composed) == []


@pytest.mark.parametrize(
    ("check", "change", "says"),
    [
        (CHECKS[0], put("services kafka image", "kafka:latest"), "kafka: kafka:latest can change"),
        (CHECKS[0], put("services ingest image", "bulk-lookup"), "ingest: bulk-lookup can change"),
        (CHECKS[1], put("services lookup healthcheck", {}), "lookup: no health check"),
        (
            CHECKS[2],
            put("services lookup depends_on kafka", {"condition": "service_started"}),
            "lookup: waits for the start of kafka",
        ),
        (CHECKS[2], put("services results depends_on", {}), "results: does not wait for the migr"),
        (
            CHECKS[3],
            put("services postgres ports", [{"target": 5432, "published": "5432"}]),
            "postgres: port 5432 is open",
        ),
        (
            CHECKS[3],
            put("services kafka ports", [{"target": 9092, "host_ip": "0.0.0.0"}]),
            "kafka: port 9092 is open",
        ),
        (
            CHECKS[4],
            put("services postgres environment POSTGRES_PASSWORD", "it"),
            "postgres: POSTGRES_PASSWORD holds",
        ),
        (
            CHECKS[4],
            put("services grafana command", ["--url=postgres://me:it@db/x"]),
            "grafana: an argument",
        ),
        (CHECKS[4], put("secrets more", {"content": "it"}), "the secret more is no file"),
        (CHECKS[6], put("services lookup stop_grace_period", "10s"), "lookup: killed after 10 s"),
        (CHECKS[6], put("services lookup stop_grace_period", "30s"), "lookup: killed after 30 s"),
        (
            CHECKS[6],
            put("services scheduler environment DRAIN_LIMIT", "5m"),
            "scheduler: killed after",
        ),
        (CHECKS[7], put("services lookup cap_drop", []), "lookup: keeps capabilities"),
        (CHECKS[7], put("services lookup security_opt", []), "lookup: may get new privileges"),
        (CHECKS[7], put("services ingest read_only", value=False), "ingest: can write"),
        (CHECKS[7], put("services ingest privileged", value=True), "ingest: privileged"),
        (
            CHECKS[8],
            put("services lookup environment KAFKA_PARTITIONS", "7"),
            "the programs are told different topics",
        ),
        (
            CHECKS[8],
            put("services lookup environment KAFKA_CREATE_TOPICS", "false"),
            "nobody makes",
        ),
        (
            CHECKS[8],
            put("services kafka environment KAFKA_AUTO_CREATE_TOPICS_ENABLE", "true"),
            "the broker makes topics",
        ),
    ],
)
def test_faults_of_the_file_are_found(
    composed: Document,
    check: Callable[[Document], list[str]],
    change: Callable[[Document], None],
    says: str,
) -> None:
    """Each by the check it is for."""
    changed = copy.deepcopy(composed)
    change(changed)
    assert any(line.startswith(says) for line in check(changed))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"type": "bind", "source": "/made/secrets"}, ["/made/secrets: read by ingest, lookup"]),
        (
            {"type": "volume", "source": "secrets", "volume": {"subpath": "all"}},
            ["secrets/all: read by ingest, lookup"],
        ),
        (
            {"type": "volume", "source": "secrets"},
            ["secrets, the whole volume: read by ingest, lookup"],
        ),
    ],
)
def test_secrets_that_two_programs_read_are_found(
    composed: Document, given: Document, says: list[str]
) -> None:
    """However they are given."""
    changed = copy.deepcopy(composed)
    for program in ("ingest", "lookup"):
        changed["services"][program].setdefault("volumes", []).append(given)
    assert composition.each_reads_its_own_secrets(changed) == says


def test_prometheus_scrapes_every_program(composed: Document) -> None:
    """By the names and the port it has here, as the job that rules and dashboards know."""
    file = ROOT / "deploy" / "compose" / "prometheus.yaml"
    configuration = yaml.safe_load(file.read_text(encoding="utf-8"))
    jobs = {job["job_name"]: job for job in configuration["scrape_configs"]}
    assert set(jobs) == {f"bulk-lookup-{program}" for program in PROGRAMS}
    for program in PROGRAMS:
        job = jobs[f"bulk-lookup-{program}"]
        [found] = job["dns_sd_configs"]
        port = composition.environment(composed, program)["HTTP_PORT"]
        assert (found["names"], str(found["port"])) == ([program], port)
        assert {"target_label": "namespace", "replacement": "compose"} in job["relabel_configs"]


@pytest.mark.needs_prometheus
def test_prometheus_takes_its_configuration(tmp_path: Path) -> None:
    """With the rules where Compose mounts them."""
    text = (ROOT / "deploy/compose/prometheus.yaml").read_text(encoding="utf-8")
    rules = str(ROOT / "deploy" / "prometheus" / "rules")
    assert "/etc/prometheus/rules" in text
    moved = tmp_path / "prometheus.yaml"
    moved.write_text(text.replace("/etc/prometheus/rules", rules), encoding="utf-8")
    assert "SUCCESS" in run("promtool", "check", "config", moved)


def test_files_that_are_mounted_are_there(composed: Document) -> None:
    """What is not secret comes with the repository."""
    assert composition.files_are_there(composed, ROOT) == []
    changed = copy.deepcopy(composed)
    gone = {"type": "bind", "source": str(ROOT / "deploy" / "gone.yaml"), "target": "/etc/x"}
    changed["services"]["kafka"].setdefault("volumes", []).append(gone)
    assert composition.files_are_there(changed, ROOT) != []


def left_alone() -> dict[str, str]:
    """The settings that stay at their default here, each with its reason."""
    places = ("deploy/compose/settings-left-alone.yaml", "deploy/k8s/settings-left-alone.yaml")
    file = next(ROOT / place for place in places if (ROOT / place).exists())
    found: dict[str, str] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return found


def test_settings_are_those_of_the_code(composed: Document) -> None:
    """Each is read by the program that is told it, none was forgotten, and each value is taken."""
    told = {name: composition.environment(composed, name) for name in (*PROGRAMS, "migrate")}
    findings = [
        line
        for program, environment in told.items()
        for line in (
            *settings.not_read(program, environment),
            *settings.refused(program, environment),
            *settings.not_decided(program, environment, left_alone()),
        )
    ]
    assert findings == []


def test_the_tag_is_the_project_s_version(composed: Document, project_version: str) -> None:
    """What is built for one release is not taken for another's."""
    images = {composed["services"][program]["image"] for program in (*PROGRAMS, "migrate")}
    assert images == {f"bulk-lookup:{project_version}"}


def test_images_are_the_same_as_in_the_cluster() -> None:
    """Compose and the overlay `dev` run the same Kafka and PostgreSQL."""
    text = FILE.read_text(encoding="utf-8")
    overlay = (ROOT / "deploy/k8s/overlays/dev/kustomization.yaml").read_text(encoding="utf-8")
    for name in ("apache/kafka", "postgres"):
        tag = re.search(rf"name: {name}\n\s+newTag: \"?([\w.]+)", overlay)
        assert tag is not None
        assert f"image: {name}:{tag[1]}" in text


@pytest.mark.parametrize(
    ("duration", "number"), [("1m0s", 60), ("45s", 45), ("1h1m1s", 3661), ("1.5s", 1.5)]
)
def test_durations_as_docker_writes_them(duration: str, number: float) -> None:
    """Hours, minutes and seconds."""
    assert composition.seconds(duration) == number


def test_what_is_no_duration_of_docker_s() -> None:
    """Nothing is guessed."""
    with pytest.raises(ValueError, match="soon"):
        composition.seconds("soon")
