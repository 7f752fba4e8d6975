"""What the ledger keeps and adds up."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from services.local.twilio.ledger import Call, Ledger, read_calls, repeats

if TYPE_CHECKING:
    from pathlib import Path

ANSWERED = Call(
    started="2026-01-02T03:04:05.000006+00:00",
    ended="2026-01-02T03:04:05.100006+00:00",
    account="main",
    number="+12015550123",
    packages=("caller_name", "line_type_intelligence"),
    outcome="answered",
    status=200,
    answered=("line_type_intelligence",),
    codes={"caller_name": 60608},
    billed={"line_type_intelligence": "0.008"},
    faults=("f",),
)
CUT = Call(
    started="2026-01-02T03:04:06.000006+00:00",
    ended="2026-01-02T03:04:06.100006+00:00",
    account=None,
    number="+12015550124",
    packages=(),
    outcome="cut",
)


def test_a_ledger_goes_on_after_a_restart(tmp_path: Path) -> None:
    """Calls, sums and the faults' counts are those of all processes; a torn line is dropped."""
    path = tmp_path / "ledger.jsonl"
    first = Ledger(path)
    first.append(ANSWERED)
    first.append(CUT)
    first.close()
    with path.open("ab") as file:
        file.write(ANSWERED.to_json()[:30])
    assert read_calls(path) == [ANSWERED, CUT]
    second = Ledger(path)
    second.append(ANSWERED)
    summary = second.summary()
    second.close()
    assert read_calls(path) == [ANSWERED, CUT, ANSWERED]
    assert second.struck == {("f", "+12015550123"): 2}
    assert summary == {
        "calls": 3,
        "outcomes": {"answered": 2, "cut": 1},
        "statuses": {"200": 2, "None": 1},
        "codes": {"60608": 2},
        "accounts": {"main": 2, "None": 1},
        "faults": {"f": 2},
        "answered": {"line_type_intelligence": 2},
        "billed": {"line_type_intelligence": 2},
        "cost": "0.016",
    }


def test_a_ledger_is_read_in_whole_lines(tmp_path: Path) -> None:
    """A piece ends with a line, and the next begins where it ended."""
    ledger = Ledger(tmp_path / "ledger.jsonl")
    for call in (ANSWERED, CUT):
        ledger.append(call)
    size = len(ANSWERED.to_json())
    assert ledger.read(0, size + 5) == ANSWERED.to_json()
    assert ledger.read(size, 1 << 20) == CUT.to_json()
    assert ledger.read(size + len(CUT.to_json()), 1 << 20) == b""
    ledger.close()


def test_repeats_are_of_answers_only() -> None:
    """A package answered twice for an account and number is one repeat; a call cut off is none."""
    assert repeats([ANSWERED, CUT, CUT]) == {}
    assert repeats([ANSWERED] * 3) == {("main", "+12015550123", "line_type_intelligence"): 2}
    assert ANSWERED.cost == Decimal("0.008")
