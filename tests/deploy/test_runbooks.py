"""Whoever is woken finds a runbook, whole, with commands of a kind that is checked."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
import yaml

from deploy.grafana.alerts import managed
from services.runtime.metric_table import ALL
from tests.deploy.asked import rule_files, rules
from tests.deploy.runbooks import (
    FILLED_IN,
    INDEX,
    SECTIONS,
    blocks,
    calls,
    lines,
    runbooks,
    said,
    sections,
    text_of,
    to_fill_in,
)

#: What a line, or the command that another runs, may begin with.
PROGRAMS = {"bulk-lookup", "curl", "export", "grep", "kubectl", "psql"}
PAGES = pytest.mark.parametrize("page", [*runbooks(), INDEX], ids=lambda page: page.stem)
RUNBOOKS = pytest.mark.parametrize("page", runbooks(), ids=lambda page: page.stem)


@cache
def alerts() -> dict[str, set[str]]:
    """Every alert that is shipped, Grafana's own too, with the severities it comes in."""
    found: dict[str, set[str]] = {}
    for _, rule in rules(rule_files()):
        if "alert" in rule:
            found.setdefault(rule["alert"], set()).add(rule["labels"]["severity"])
    return found | {rule["title"]: {rule["labels"]["severity"]} for rule in managed()}


def test_every_alert_has_a_runbook() -> None:
    """And every runbook an alert, without which nobody would come to it."""
    assert [page.stem for page in runbooks()] == sorted(alerts())


def test_the_index_lists_every_alert() -> None:
    """Each with its severities, as the rules have them, and a link to its page."""
    rows = re.findall(
        r"^\| \[(\w+)\]\((\w+)\.md\) \| ([a-z, ]+) \| \S", text_of(INDEX), re.MULTILINE
    )
    assert {name: set(severity.split(", ")) for name, _, severity in rows} == alerts()
    assert [name for name, page, _ in rows if name != page] == []


def wrong_matchers(text: str) -> list[str]:
    """Matchers in an example of Alertmanager's routes that would find none of our alerts."""
    known: dict[str, set[str]] = {"service": {*ALL}, "severity": {"critical", "warning"}}
    wrong = []
    for block in blocks(text, "yaml"):
        for route in yaml.safe_load(block.text)["route"]["routes"]:
            for matcher in route["matchers"]:
                label, values = re.fullmatch(r'(\w+)=~?"([\w|]+)"', matcher).groups()  # type: ignore[union-attr]  # None fails the test
                wrong += [matcher for value in values.split("|") if value not in known[label]]
    return wrong


@PAGES
def test_routes_find_our_alerts(page: Path) -> None:
    """By labels and values that alerts have."""
    assert wrong_matchers(text_of(page)) == []


def test_a_route_that_finds_nothing_is_seen() -> None:
    """A service that is none of ours."""
    text = "```yaml\nroute: {routes: [{matchers: ['service=~\"lookup|billing\"']}]}\n```\n"
    assert wrong_matchers(text) == ['service=~"lookup|billing"']


def test_the_index_explains_what_is_filled_in() -> None:
    """Every word in capitals that a page has to be filled in, and no other."""
    table = sections(text_of(INDEX))["Words in capitals"]
    assert set(re.findall(r"`([A-Z_]+)`", table)) == set(FILLED_IN)
    typed = " ".join(b.text for page in [*runbooks(), INDEX] for b in blocks(text_of(page)))
    assert set(FILLED_IN) <= to_fill_in(typed)


# Sections


def wrong_sections(text: str) -> list[str]:
    """What a runbook lacks of its form."""
    found = sections(text)
    wrong = [f"{name} is empty" for name, body in found.items() if not body]
    if list(found) != list(SECTIONS):
        wrong.append(f"sections: {', '.join(found)}")
    if not blocks(found.get("First five minutes", "")):
        wrong.append("nothing to do in the first five minutes")
    return wrong


@RUNBOOKS
def test_a_runbook_has_its_sections(page: Path) -> None:
    """All of them, in their order, none empty, under the alert's name."""
    assert text_of(page).startswith(f"# {page.stem}\n")
    assert wrong_sections(text_of(page)) == []


WHOLE = "# X\n" + "".join(f"\n## {name}\n\nwords\n" for name in SECTIONS).replace(
    "## First five minutes\n\nwords", "## First five minutes\n\n```console\n$ bulk-lookup jobs\n```"
)


@pytest.mark.parametrize(
    ("cut", "instead"),
    [
        ("## Rollback\n\nwords\n", ""),
        ("## Impact\n\nwords", "## Impact"),
        ("## Meaning\n\nwords\n\n## Impact", "## Impact\n\nwords\n\n## Meaning"),
        ("```console\n$ bulk-lookup jobs\n```", "look at it"),
    ],
)
def test_a_section_too_few_is_seen(cut: str, instead: str) -> None:
    """One that is missing, empty, at another place, or that says nothing to do."""
    assert wrong_sections(WHOLE) == []
    assert cut in WHOLE
    assert wrong_sections(WHOLE.replace(cut, instead)) != []


# Commands


def wrong_shape(text: str) -> list[str]:
    """Blocks and lines that no check below would read."""
    known = {"console", "sql", "promql", "yaml"}
    wrong = [b.text for b in blocks(text) if b.language not in known]
    for block in blocks(text, "console"):
        typed = block.text.replace("\\\n", "").splitlines()
        wrong += [line for line in typed if not line.startswith("$ ")]
    for line in lines(text):
        wrong += [line for call in calls(line) if call[0] not in PROGRAMS]
        wrong += sorted(to_fill_in(line) - set(FILLED_IN))
    if text.count("```") != 2 * len(blocks(text)):
        wrong.append("a fence that is not closed, or not at the start of its line")
    return wrong


@PAGES
def test_commands_are_of_a_known_shape(page: Path) -> None:
    """Of a known language, each line with its prompt, and of programs that are checked."""
    assert wrong_shape(text_of(page)) == []


@pytest.mark.parametrize(
    "text",
    [
        "```bash\nkubectl get pods\n```\n",
        "```console\nkubectl get pods\n```\n",
        "```console\n$ kubectl get pods | jq .\n```\n",
        "```console\n$ kubectl exec POD -- rm data\n```\n",
        "```console\n$ bulk-lookup status SOMETHING\n```\n",
        "```console\n$ bulk-lookup jobs\n",
    ],
)
def test_a_strange_command_is_seen(text: str) -> None:
    """Another language, no prompt, another program, a word that nobody explains, no end."""
    assert wrong_shape(text) != []


# What programs say


def unsaid(text: str) -> list[str]:
    """Messages to look for, and texts quoted in prose, that no program writes."""
    quoted = re.findall(
        r"`([A-Za-z][^`\n]* [^`\n]*)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    )
    wanted = [q for q in quoted if q.split()[0] not in {"kubectl", "bulk-lookup", "make"}]
    for line in lines(text):
        for call in calls(line):
            if call[0] == "grep":
                wanted += [part for part in call[-1].split("|") if not part.startswith('"')]
    wanted = [w for w in wanted if w not in FILLED_IN and '"' not in w]
    # A message with a value in it is several pieces in the code.
    return [
        w
        for w in wanted
        if not any(w in text or (len(text.strip()) > 12 and text.strip() in w) for text in said())
    ]


@PAGES
def test_programs_say_what_a_runbook_looks_for(page: Path) -> None:
    """A message that is searched for in a log, or quoted, is written so in the code."""
    assert unsaid(text_of(page)) == []


@pytest.mark.parametrize(
    "text",
    [
        "```console\n$ kubectl logs POD | grep 'stopped by an error'\n```\n",
        "```console\n$ kubectl logs POD | grep -E 'holding|stopped by an error'\n```\n",
        "the log says `stopped by an error`\n",
    ],
)
def test_a_message_that_nobody_writes_is_seen(text: str) -> None:
    """In a search, in one of several, and in prose."""
    assert unsaid(text) != []
    assert unsaid(text.replace("stopped by an error", "stopped by a fault")) == []
