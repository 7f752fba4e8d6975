"""results, dead-letters and accounts."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest

JOB = "6f0c1f9e-8d0c-5c5a-9d26-0b7a4d6c1a11"
RESULTS = f"GET /v1/jobs/{JOB}/results"


def test_results_as_csv(run: Any, apis: Any, contact: Any) -> None:
    """Every page becomes rows of one CSV file, answers and all."""
    apis.say(
        RESULTS,
        {"items": [contact()], "next": "c1"},
        {"items": [contact(row=3, state="dead", packages=[])], "next": None},
    )
    result = run("results", JOB)
    first, second = csv.DictReader(io.StringIO(result.stdout))
    assert (first["row"], first["phone"], first["basic.valid"]) == ("2", "+14155550100", "true")
    assert first["basic.national_format"] == "(415) 555-0100"
    assert (second["state"], second["basic.status"], second["caller_name.status"]) == (
        "dead",
        "",
        "",
    )
    assert [request.url.params.get("after") for request in apis.requests] == [None, "c1"]
    assert result.stderr == ""


def test_results_as_json_lines(run: Any, apis: Any, contact: Any, read_lines: Any) -> None:
    """With --json each contact is a line, as the API shows it, and filters reach it."""
    apis.say(RESULTS, {"items": [contact()], "next": None})
    words = ("--state", "completed", "--package-status", "caller_name:failed")
    assert read_lines(run("results", JOB, "--json", *words).stdout) == [contact()]
    params = apis.requests[0].url.params
    assert params["state"] == "completed"
    assert params["package_status"] == "caller_name:failed"


def test_a_file_is_whole_and_private(run: Any, apis: Any, contact: Any, tmp_path: Path) -> None:
    """The file has every contact, nobody else may read it, and standard output has nothing."""
    apis.say(RESULTS, {"items": [contact()] * 3, "next": None})
    out = tmp_path / "results.csv"
    result = run("results", JOB, "--out", str(out))
    assert len(out.read_text(encoding="utf-8").splitlines()) == 4
    assert out.stat().st_mode & 0o077 == 0
    assert result.stdout == ""
    assert "3 contacts" in result.stderr


def test_a_broken_file_is_none(run: Any, apis: Any, contact: Any, tmp_path: Path) -> None:
    """When a page fails, what stood in the file stays, and nothing is left beside it."""
    apis.say(RESULTS, {"items": [contact()], "next": "c1"}, (500, {"title": "Fault"}))
    out = tmp_path / "results.csv"
    out.write_text("of before", encoding="utf-8")
    assert run("results", JOB, "--out", str(out)).exit_code == 70
    assert out.read_text(encoding="utf-8") == "of before"
    assert list(tmp_path.iterdir()) == [out]


def test_a_file_that_cannot_be_made(run: Any, apis: Any, tmp_path: Path) -> None:
    """A place that is none is named, without a traceback."""
    out = tmp_path / "none" / "results.csv"
    result = run("results", JOB, "--out", str(out))
    assert (result.exit_code, apis.requests) == (1, [])
    assert "results.csv: No such file" in result.stderr.replace("\n", "")


LETTER = {
    "dead_letter_id": None,
    "reason": "number-not-found",
    "detail": "Twilio does not know it",
    "job_id": JOB,
    "request_id": None,
    "account": "default",
    "phone": "+14155550100",
    "reference": None,
    "row": 12,
    "state_now": "dead",
    "attempts": 2,
    "original_topic": "contacts",
    "original_partition": 1,
    "original_offset": 77,
    "first_failed_at": None,
    "last_failed_at": None,
    "recorded_at": "2025-11-24T09:00:00Z",
}


def test_dead_letters(run: Any, apis: Any, read_lines: Any) -> None:
    """Dead letters are filtered by the API and shown whole, or as JSON lines."""
    apis.say("GET /v1/dead-letters", {"items": [LETTER], "next": None})
    result = run("dead-letters", "--reason", "number-not-found", "--job", JOB)
    assert "Twilio does not know it" in result.stdout
    assert apis.requests[0].url.params["reason"] == "number-not-found"
    assert apis.requests[0].url.params["job"] == JOB
    assert read_lines(run("dead-letters", "--json").stdout) == [LETTER]


def test_dead_letters_by_reason(run: Any, apis: Any, read_lines: Any) -> None:
    """--summary counts them."""
    summary = {
        "total": 3,
        "reasons": [{"reason": "bad-request", "count": 3, "newest_at": "2025-11-24T09:00:00Z"}],
    }
    apis.say("GET /v1/dead-letters/summary", summary)
    lines = run("dead-letters", "--summary").stdout.splitlines()
    assert lines[1].split()[:2] == ["bad-request", "3"]
    assert lines[2].split() == ["all", "3"]
    assert read_lines(run("dead-letters", "--summary", "--json").stdout) == [summary]


def test_no_dead_letters(run: Any, apis: Any) -> None:
    """None is good news, and no output."""
    apis.say("GET /v1/dead-letters", {"items": [], "next": None})
    result = run("dead-letters")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "None.\n")


def test_accounts(run: Any, apis: Any, read_lines: Any) -> None:
    """An account that is held says by whom and why."""
    hold = {"cause": "person", "why": "budget", "by": "ann", "at": "2025-11-24T09:00:00Z"}
    account = {"name": "main", "running": False, "holds": [hold], "parked": 12}
    apis.say("GET /v1/accounts", {"accounts": [account]})
    line = run("accounts").stdout.splitlines()[1]
    assert line.split()[:3] == ["main", "no", "12"]
    assert "person: budget (ann, " in line
    assert read_lines(run("accounts", "--json").stdout) == [account]


@pytest.mark.parametrize(
    ("act", "held", "said"),
    [("stop", True, "main is stopped (ann)."), ("resume", False, "main goes on; cleared: person.")],
)
def test_a_person_acts(
    run: Any, apis: Any, read_lines: Any, act: str, held: bool, said: str
) -> None:
    """Stopping and resuming send why, and tell what was done."""
    done = {"name": "main", "held": held, "causes": ["person"], "by": "ann"}
    apis.say(f"POST /v1/accounts/main/{act}", done)
    assert run("accounts", act, "main", "--why", "budget").stdout.strip() == said
    assert apis.requests[0].content == b'{"why":"budget"}'
    result = run("accounts", act, "main", "--why", "budget", "--json")
    assert read_lines(result.stdout) == [done]
