"""results, dead-letters and accounts."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

JOB = "6f0c1f9e-8d0c-5c5a-9d26-0b7a4d6c1a11"
RESULTS = f"GET /v1/jobs/{JOB}/results"
CSV = b'row,phone\n2,+14155550100\n3,+14155550101\n4,"two\nlines ""quoted"""\n'


@pytest.fixture(autouse=True)
def _ended(apis: Any, job: Any) -> None:
    """The job has ended."""
    apis.say(f"GET /v1/jobs/{JOB}", job(complete=True))


@pytest.mark.parametrize("words", [(), ("--out",)])
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "The job has not ended: 3,988 of 5,000 finished (80 %)"),
        ({"state": "standing", "sealed": None}, None),
        ({"complete": True}, None),
    ],
)
def test_results_of_a_job_under_way(
    run: Any,
    apis: Any,
    job: Any,
    tmp_path: Path,
    changes: dict[str, Any],
    said: str | None,
    words: tuple[str, ...],
) -> None:
    """A file that is not yet all of the job says so; an upstream source has no end."""
    apis.say(f"{RESULTS}.csv", [CSV])
    apis.say(f"GET /v1/jobs/{JOB}", job(**changes))
    result = run("results", JOB, *words, *[str(tmp_path / "r.csv") for _ in words])
    assert ("has not ended" in result.stderr) == (said is not None)
    assert (said or "") in result.stderr


def test_results_as_csv(run: Any, apis: Any) -> None:
    """The file of the API comes out as it is, with the filters that were given."""
    apis.say(f"{RESULTS}.csv", [CSV[:7], CSV[7:]])
    words = ("--state", "completed", "--package-status", "caller_name:failed")
    result = run("results", JOB, *words)
    assert (result.stdout_bytes, result.stderr) == (CSV, "")
    params = apis.requests[0].url.params
    assert params["state"] == "completed"
    assert params["package_status"] == "caller_name:failed"


def test_results_as_json_lines(run: Any, apis: Any, contact: Any, read_lines: Any) -> None:
    """With --json each contact is a line, as the API shows it; a file of them is counted too."""
    lines = [f"{json.dumps(contact(row=row, reference=chr(34)))}\n".encode() for row in (2, 3)]
    apis.say(f"{RESULTS}.jsonl", lines)
    assert read_lines(run("results", JOB, "--json").stdout) == [
        contact(row=2, reference='"'),
        contact(row=3, reference='"'),
    ]


@pytest.mark.parametrize(
    ("words", "kind", "content"),
    [((), "csv", CSV), (("--json",), "jsonl", b'{"a": "\\""}\n' * 3)],
)
def test_a_file_is_whole_and_private(
    run: Any, apis: Any, tmp_path: Path, words: tuple[str, ...], kind: str, content: bytes
) -> None:
    """The file has every contact, nobody else may read it, and standard output has nothing."""
    apis.say(f"{RESULTS}.{kind}", [content[:20], content[20:]])
    out = tmp_path / "results.csv"
    result = run("results", JOB, "--out", str(out), *words)
    assert out.read_bytes() == content
    assert out.stat().st_mode & 0o077 == 0
    assert result.stdout == ""
    assert "3 contacts" in result.stderr


BROKEN = httpx.RemoteProtocolError("peer closed connection")


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        ([CSV[:20], BROKEN], 69, "broke off in the middle"),
        (BROKEN, 69, "broke off before it answered"),
        (httpx.ConnectError("refused"), 69, "does not answer at all"),
        ((500, {"title": "Fault"}), 70, "Fault"),
        ("<html>", 70, "is not the API of results"),
    ],
)
def test_a_broken_file_is_none(
    run: Any, apis: Any, tmp_path: Path, answer: Any, code: int, said: str
) -> None:
    """When it does not come whole, what stood in the file stays, and nothing is left beside it."""
    apis.say(f"{RESULTS}.csv", (200, answer) if isinstance(answer, str) else answer)
    out = tmp_path / "results.csv"
    out.write_text("of before", encoding="utf-8")
    result = run("results", JOB, "--out", str(out))
    assert result.exit_code == code
    assert said in result.stderr.replace("\n", " ")
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
