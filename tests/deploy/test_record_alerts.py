"""What `make record-alerts` does, as far as it needs no stack: its faults, its table, its typing."""

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.alerts.faults import FAULTS, Fault
from tests.alerts.follow import Follower
from tests.alerts.record import BEGIN, END, Seen, table, written
from tests.deploy.asked import rule_files, rules
from tests.deploy.runbooks import FOLDER, lines, sections, text_of

SEEN = Seen(
    fault="A fault",
    fired={"Second warning": 61.4, "First critical": 3.0},
    expected=frozenset({"First critical", "Second warning"}),
    runbook="First",
    not_shown=(),
    cleared_by="somebody",
    cleared={"First critical": 0.0, "Second warning": 360.2},
)


def alerts() -> set[str]:
    """Every alert that ships, as `Name severity`."""
    return {
        f"{rule['alert']} {rule['labels']['severity']}"
        for _, rule in rules(rule_files())
        if "alert" in rule
    }


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_expects_alerts_that_ship(fault: Fault) -> None:
    """Each with its severity, and the alert whose runbook is followed is among them."""
    assert fault.fires <= alerts()
    assert fault.runbook in {name.split()[0] for name in fault.fires}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_what_is_typed_stands_in_the_runbook(fault: Fault) -> None:
    """The lines of a mitigation are the page's own."""
    page = sections(text_of(FOLDER / f"{fault.runbook}.md"))
    assert {*fault.before, *fault.after} <= set(lines(page["Mitigation"]))


def test_five_runbooks_are_followed() -> None:
    """Each fault has another one."""
    assert len({fault.runbook for fault in FAULTS}) == len(FAULTS) == 5


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({}, None),
        ({"fired": {"First critical": 3.0}}, "Second warning did not fire"),
        ({"expected": frozenset({"First critical"})}, "Second warning fired"),
        ({"not_shown": ("20003",)}, "First.md did not show 20003"),
        ({"cleared": {"First critical": 0.0}}, "Second warning did not clear"),
    ],
)
def test_what_is_not_as_it_must_be_is_told(changed: dict[str, Any], problem: str | None) -> None:
    """An alert that is missing, one too many, a cause not found, and one that goes on."""
    assert replace(SEEN, **changed).problems == ([f"A fault: {problem}"] if problem else [])


def test_what_did_not_end_is_not_hidden() -> None:
    """An alert that still fires is `never` gone."""
    assert "never" in table([replace(SEEN, cleared={})])


def test_the_table_has_a_row_for_each_fault() -> None:
    """Alerts stand in the order in which they fired, and their ends beside them."""
    row = table([SEEN]).splitlines()[2]
    assert row == (
        "| A fault | `First` critical, after 3 s<br>`Second` warning, after 61 s "
        "| [First](runbooks/First.md) | somebody | after 0 s<br>after 360 s |"
    )


def test_the_table_takes_the_place_of_the_one_before() -> None:
    """Only what stands between the markers changes; a page without them is refused."""
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert written(page, "new") == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    with pytest.raises(ValueError, match="needs one line"):
        written("before\nafter\n", "new")


class _Typing(Follower):
    """Keeps what would be run."""

    def __init__(self, directory: Path) -> None:
        program = SimpleNamespace(kind="lookup", environ={"INSIDE": "lookup"})
        stack = SimpleNamespace(logs=directory / "programs", programs={"lookup-1": program})
        stage = SimpleNamespace(pipeline=SimpleNamespace(stack=stack), environ=lambda: {"OUR": "1"})
        super().__init__(stage, directory, lambda _: None)  # type: ignore[arg-type]  # no stage is needed to judge what was read
        self.words = {"ACCOUNT": "default", "POD_URL": "http://127.0.0.1:1"}
        self.run: list[tuple[str, bool]] = []

    def _run(self, command: list[str], environ: Any) -> str:
        self.run.append((command[-1], "INSIDE" in environ))
        return "said"


@pytest.mark.parametrize(
    ("line", "typed", "inside"),
    [
        (
            'bulk-lookup accounts resume ACCOUNT --why "ok"',
            'bulk-lookup accounts resume default --why "ok"',
            False,
        ),
        (
            "kubectl -n bulk-lookup exec deployment/lookup -- bulk-lookup check",
            "bulk-lookup check",
            True,
        ),
        (
            "kubectl -n bulk-lookup logs --selector app.kubernetes.io/component=results --since=15m | grep -E 'a|b'",
            "cat logs/results*.log | grep -E 'a|b'",
            False,
        ),
        (
            "curl -s http://127.0.0.1:8081/livez",
            "curl -sS http://127.0.0.1:1/livez",
            False,
        ),
        ("kubectl -n bulk-lookup port-forward POD 8081:8080", None, False),
        ("kubectl -n bulk-lookup get pods -o wide", None, False),
    ],
)
def test_a_line_is_typed_word_for_word_or_in_the_stacks_own_way(
    tmp_path: Path, line: str, typed: str | None, inside: bool
) -> None:
    """A command in a pod runs with its program's settings; what needs a cluster has a reason."""
    follower = _Typing(tmp_path)
    done = follower._line(line)

    assert follower.run == ([] if typed is None else [(typed, inside)])
    assert bool(done.left_out) == (typed is None)


def test_a_line_that_the_runbook_lacks_is_refused(tmp_path: Path) -> None:
    """So a changed page is noticed, and never followed from memory."""
    follower = _Typing(tmp_path)
    with pytest.raises(LookupError, match=re.escape("does not say: rm -r")):
        follower.mitigation("ResultsWriteErrors", ("rm -r",))
