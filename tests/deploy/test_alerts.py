"""What an alert says, and which of them wake somebody."""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Iterable

import pytest

from deploy.grafana.alerts import managed
from services.runtime.metric_table import ALL
from tests.deploy.rules import Rule, alerts, groups, seconds

RUNBOOKS = "https://github.com/bulk-lookup/bulk-lookup/blob/main/docs/runbooks/"


# Each page is worth waking somebody

#: All alerts that may page, and what gets worse until morning. Any other is a ticket.
PAGES = {
    "IngestAvailabilityBudgetBurn": "senders are refused now",
    "IngestLatencyBudgetBurn": "a month's slow answers are used up within hours",
    "LookupConsumerGroupStalled": "a program does nothing, and has work",
    "LookupDeadLetterBudgetBurn": "contacts die by the thousand, each to be sent again",
    "LookupFreshnessBudgetBurn": "what is paid for reaches nobody in time",
    "LookupNotReady": "no process of ingest takes uploads",
    "LookupProduceFailing": "nothing moves on without Kafka",
    "LookupPrometheusGone": "no other page can come",
    "LookupTargetMissing": "a program has no process left",
    "LookupUnfinishedTooOld": "Kafka forgets what is not done when its retention is over",
    "ResultsWriteErrors": "nothing is stored, and lookup stops when its memory is full",
    "TwilioAccountFlooded": "nothing goes on over this account until a person acts",
    "TwilioAccountStopped": "nothing goes on over this account until somebody acts at Twilio",
}


def pages(rules: Iterable[Rule]) -> set[str]:
    """The alerts among them that wake somebody."""
    return {
        rule.get("alert") or rule["title"]
        for rule in rules
        if rule["labels"]["severity"] == "critical"
    }


def test_only_what_cannot_wait_for_morning_pages() -> None:
    """By a closed list with a reason each; of a failed migration the old release goes on."""
    assert pages([*alerts(), *managed()]) == set(PAGES)


def test_one_page_more_is_seen() -> None:
    """An alert that is made critical without a reason here."""
    changed = copy.deepcopy([*alerts(), *managed()])
    for rule in changed:
        if rule.get("alert") == "LookupMigrationFailed":
            rule["labels"]["severity"] = "critical"
    assert pages(changed) - set(PAGES) == {"LookupMigrationFailed"}


# Each alert says what a person needs


def faults(rule: Rule) -> list[str]:
    """What an alerting rule lacks."""
    return [fault for fault, met in _wanted(rule).items() if not met]


def _wanted(rule: Rule) -> dict[str, object]:
    name, labels, said = rule["alert"], rule["labels"], rule["annotations"]
    severity, service, description = labels["severity"], labels["service"], said["description"]
    shown = {"value", *re.findall(r"\$labels\.(\w+)", description)} - {"namespace"}
    if "$value" not in description:
        shown.discard("value")
    everywhere = "absent(" in rule["expr"]  # of no installation in particular
    plain_share = re.search(r"\s/ ", rule["expr"]) and "{{ $value }}" in description
    early, late = 60, {"critical": 900, "warning": 86400}.get(severity, 0)
    return {
        "name: not what it is about": re.fullmatch(
            r"(Ingest|Lookup|Twilio|Results)([A-Z][a-z]+)+", name
        ),
        "severity": severity in {"critical", "warning"},
        "service": service in ALL or re.fullmatch(r"\{\{ reReplaceAll .+ \}\}", service),
        "summary: no sentence that is the same each time": re.fullmatch(
            r"[A-Z][^\n{]{10,90}\.", said["summary"]
        ),
        "description: neither the value nor what is concerned": shown,
        "description: not which installation": "$labels.namespace" in description or everywhere,
        "description: no sentence": description.rstrip().endswith("."),
        "description: a share that is hard to read": not plain_share,
        "runbook_url": said["runbook_url"] == f"{RUNBOOKS}{name}.md",
        "for: too early or too late": early <= seconds(rule.get("for", "0s")) <= late,
    }


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_an_alert_says_what_a_person_needs(rule: Rule) -> None:
    """How bad, whose, what, how much, where to read on; and not at a single sample."""
    assert faults(rule) == []


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        (("alert",), "SomethingBad", "name"),
        (("labels", "severity"), "major", "severity"),
        (("labels", "service"), "billing", "service"),
        (("annotations", "summary"), "{{ $labels.topic }} has records.", "summary"),
        (("annotations", "description"), "Bad ({{ $labels.namespace }}).", "description: neither"),
        (("annotations", "description"), "{{ $value | humanize }}.", "description: not which"),
        (("annotations", "description"), "{{ $value }} of all.", "description: a share"),
        (("annotations", "runbook_url"), f"{RUNBOOKS}Other.md", "runbook_url"),
        (("for",), "0s", "for"),
    ],
)
def test_an_alert_that_does_not_is_seen(path: tuple[str, ...], value: str, fault: str) -> None:
    """Each fault is found in an alert that has it."""
    rule = copy.deepcopy(next(r for r in alerts() if r["alert"] == "LookupProduceFailing"))
    place = rule
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    assert any(found.startswith(fault) for found in faults(rule))


def test_names_are_there_once() -> None:
    """Groups by name; alerts by name and labels, where one name has several causes."""
    names = Counter(group["name"] for group in groups())
    of_alerts = Counter((rule["alert"], *sorted(rule["labels"].items())) for rule in alerts())
    assert [name for name, count in (names + of_alerts).items() if count > 1] == []


def test_no_lag_pages_by_its_size() -> None:
    """A backlog is no fault: a page on lag compares it with nothing but 0."""
    for rule in alerts():
        if rule["labels"]["severity"] == "critical" and "lag" in rule["expr"]:
            assert set(re.findall(r"[<>=]=? *(\d+)", rule["expr"])) == {"0"}
