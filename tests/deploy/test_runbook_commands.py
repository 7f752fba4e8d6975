"""What a runbook tells to type is taken by the program it is for, and names what is there."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from services.cli.app import app
from services.ingest.options import Options
from services.ingest.parse import Row, read_contacts
from services.results.contact_csv import csv_header, csv_row
from services.results.exports import csv_text
from tests.deploy.documents import Manifests
from tests.deploy.render import OVERLAYS
from tests.deploy.runbooks import INDEX, ROOT, calls, filled_in, lines, runbooks, text_of
from tests.unit.held_source import opened

OPERATIONS = ROOT / "docs" / "operations.md"
PAGES = pytest.mark.parametrize(
    "page", [*runbooks(), INDEX, OPERATIONS], ids=lambda page: page.stem
)


# Our own


def our_calls(text: str) -> Iterator[list[str]]:
    """All calls of `bulk-lookup`, with values for what is filled in."""
    for line in lines(filled_in(text)):
        yield from (call[1:] for call in calls(line) if call[0] == "bulk-lookup")


def parse_error(arguments: list[str]) -> str | None:
    """What the command itself would say to these arguments; None if it takes them."""
    command: Any = get_command(app)
    context: Any = None
    name, rest = "bulk-lookup", arguments
    try:
        while True:
            context = command.make_context(name, list(rest), parent=context)
            # What a group has not taken names its command; a command leaves nothing.
            rest = [*getattr(context, "_protected_args", ()), *context.args]
            if not rest:
                return None if context.params or command.callback else "no command is given"
            name, command, rest = command.resolve_command(context, rest)
    except typer.TyperException as error:
        return str(error)


@PAGES
def test_our_commands_parse(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each `bulk-lookup` line is taken by the command's own parser, values and all."""
    monkeypatch.chdir(tmp_path)
    for call in our_calls(text_of(page)):
        for word in call:
            if word.endswith(".csv"):
                (tmp_path / word).touch()
        assert parse_error(call) is None, call


@pytest.mark.parametrize(
    "arguments",
    [
        ["jobz"],
        ["accounts", "pause", "default"],
        ["accounts", "stop", "default"],
        ["accounts", "stop", "--why", "x"],
        ["status", "not-an-id"],
        ["jobs", "--limits", "3"],
        ["jobs", "--limit", "some"],
        ["dead-letters", "--reason", "no-reason"],
        ["check", "lookup"],
    ],
)
def test_a_wrong_command_is_refused(arguments: list[str]) -> None:
    """An unknown command or option, a missing or a wrong value, an argument too many."""
    assert parse_error(arguments) is not None


def test_an_export_can_be_sent_again() -> None:
    """What `results --out` writes of dead contacts, `submit` takes: number, country, reference."""
    known = {"phone": "+14155550100", "country": "US", "reference": "crm-7"}
    contact: dict[str, Any] = known | {"packages": [], "extra": {}}
    text = csv_text([csv_header([]), csv_row(contact, [])])
    [row] = read_contacts(opened(text.encode()), Options()).rows()
    assert isinstance(row, Row)
    assert (row.phone_text, row.country, row.reference) == ("+14155550100", "US", "crm-7")


# kubectl


def parsed_by_kubectl(kubectl: Path, call: list[str], home: Path) -> str | None:
    """What kubectl says to a call before it asks any cluster; None if it would ask one."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(home), "KUBECONFIG": os.devnull}
    done = subprocess.run(
        [kubectl, "--server=http://127.0.0.1:1", *call],
        capture_output=True,
        text=True,
        env=environ,
        cwd=ROOT,
        check=False,
    )
    return None if "refused" in done.stderr else done.stderr or done.stdout


def selector_of(text: str) -> dict[str, Any]:
    """A selector as kubectl takes it on its command line, in the form that manifests have.

    Raises:
        ValueError: It is neither `key=value` nor `key in (value,value)`, nor a list of these.
    """
    labels, expressions = {}, []
    for part in re.split(r",(?![^(]*\))", text):
        if equal := re.fullmatch(r"([\w./-]+)=([\w.-]+)", part):
            labels[equal[1]] = equal[2]
        elif among := re.fullmatch(r"([\w./-]+) in \(([\w.,-]+)\)", part):
            expressions.append(
                {"key": among[1], "operator": "In", "values": among[2].split(",")},
            )
        else:
            raise ValueError(f"no selector: {part!r}")
    return {"matchLabels": labels, "matchExpressions": expressions}


def wrong_selector(call: list[str], text: str, manifest: Manifests) -> list[str]:
    """What a selector misses: all pods, or values; or what it waits for that does not go away."""
    selector = selector_of(text)
    chosen = manifest.selected(selector)
    if not chosen:
        return [text]
    wrong = [
        f"{expression['key']} {value}"
        for expression in selector["matchExpressions"]
        for value in expression["values"]
        if not any(pod.labels.get(expression["key"]) == value for pod in chosen)
    ]
    if "--for=delete" in call:
        # Scaling to 0 takes the programs' pods away; a Job's stay when it is done, Kafka's run on.
        ours = manifest.programs.values()
        wrong += [f"waits for {each.name} to go" for each in chosen if each not in ours]
    return wrong


def unknown_names(call: list[str], manifests: list[Manifests]) -> list[str]:
    """What a call of kubectl names that no manifest has."""
    wrong = []
    outer = call[: call.index("--")] if "--" in call else call
    for manifest in manifests:
        names = {
            f"{document['kind'].lower()}/{document['metadata']['name']}"
            for document in manifest.documents
        }
        for place, word in enumerate(outer):
            after = outer[place + 1] if place + 1 < len(outer) else ""
            if word == "-n" and f"namespace/{after}" not in names:
                wrong.append(f"namespace {after}")
            elif re.fullmatch(r"[a-z]+/[a-z-]+", word) and word not in names:
                wrong.append(word)
            elif word == "--selector":
                wrong += wrong_selector(outer, after, manifest)
    if "-k" not in outer and "-n" not in outer:
        wrong.append("no namespace")
    return wrong


def kubectl_calls(text: str) -> Iterator[list[str]]:
    for line in lines(filled_in(text)):
        yield from (call[1:] for call in calls(line) if call[0] == "kubectl")


@PAGES
def test_kubectl_takes_its_commands(page: Path, kubectl: Path, tmp_path: Path) -> None:
    """The real kubectl parses each, and gets as far as asking a cluster that is not there."""
    found = {" ".join(call): call for call in kubectl_calls(text_of(page))}
    refused = {
        line: error
        for line, call in found.items()
        if (error := parsed_by_kubectl(kubectl, call, tmp_path))
    }
    assert refused == {}


@pytest.mark.parametrize(
    "line",
    [
        "get pods --since=3m",
        "frobnicate pods",
        "rollout back deployment/lookup",
        "apply -k deploy/k8s/overlays/none",
        "logs",
    ],
)
def test_kubectl_refuses_a_wrong_command(line: str, kubectl: Path, tmp_path: Path) -> None:
    """An unknown flag, verb or directory, and a missing name, are seen without a cluster."""
    assert parsed_by_kubectl(kubectl, line.split(), tmp_path) is not None


@PAGES
def test_kubectl_names_what_is_there(page: Path, rendering: Callable[[str], Manifests]) -> None:
    """Namespace, workloads and labels are those of every overlay."""
    overlays = [rendering(name) for name in OVERLAYS]
    found = [
        wrong for call in kubectl_calls(text_of(page)) for wrong in unknown_names(call, overlays)
    ]
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "-n bulk get pods",
        "get pods",
        "-n bulk-lookup rollout undo deployment/lookups",
        "-n bulk-lookup logs --selector app.kubernetes.io/component=look",
        "-n bulk-lookup get pods --selector 'app.kubernetes.io/component in (lookup,look)'",
    ],
)
def test_a_name_that_is_nowhere_is_seen(line: str, prod: Manifests) -> None:
    """Another namespace, none, another workload, labels that no pod has."""
    assert unknown_names(shlex.split(line), [prod]) != []


WAIT = "-n bulk-lookup wait --for=delete pod --selector"


@pytest.mark.parametrize(
    ("selector", "overlay", "found"),
    [
        ("app.kubernetes.io/part-of=bulk-lookup", "prod", "Job/migrate-"),
        ("app.kubernetes.io/component in (lookup,migrate)", "prod", "Job/migrate-"),
        ("app.kubernetes.io/part-of=bulk-lookup", "dev", "StatefulSet/"),
    ],
)
def test_a_wait_for_what_stays_is_seen(
    selector: str, overlay: str, found: str, rendering: Callable[[str], Manifests]
) -> None:
    """A finished migration's pod stays for days, and Kafka is not stopped: such a wait would fail."""
    wrong = unknown_names([*WAIT.split(), selector], [rendering(overlay)])
    assert any(line.startswith(f"waits for {found}") for line in wrong)


@pytest.mark.parametrize("text", ["app.kubernetes.io/component notin (lookup)", "a in b", "lookup"])
def test_a_selector_of_another_form_is_refused(text: str) -> None:
    """What is not understood is not passed over."""
    with pytest.raises(ValueError, match="no selector"):
        selector_of(text)
