"""How the command ends when something is wrong."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.cli import app as cli_app
from services.cli import exits

JOBS = "GET /v1/jobs"


def problem(slug: str, status: int) -> tuple[int, dict[str, Any]]:
    return status, {
        "type": f"urn:bulk-lookup:problem:{slug}",
        "title": "It went wrong",
        "status": status,
        "detail": "Do it otherwise.",
        "request_id": "req-12345",
    }


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        (problem("unauthorized", 401), 77, "API_TOKEN"),
        (problem("unknown-job", 404), 1, "Do it otherwise."),
        (problem("invalid-request", 422), 2, "Do it otherwise."),
        (problem("bad-file", 422), 1, "It went wrong"),
        (problem("unavailable", 503), 69, "req-12345"),
        (problem("internal", 500), 70, "req-12345"),
        ((502, "<html>Bad gateway</html>"), 69, "RESULTS_URL"),
        ((200, "<html>Welcome</html>"), 70, "RESULTS_URL"),
        (httpx.ConnectError("refused"), 69, "bulk-lookup up"),
        (httpx.ReadTimeout("late"), 69, "in time"),
    ],
)
def test_errors_say_the_way_out(run: Any, apis: Any, answer: Any, code: int, said: str) -> None:
    """Every refusal has its exit code, its way out on standard error, and no traceback."""
    apis.say(JOBS, answer)
    result = run("jobs", "--json")
    assert (result.exit_code, result.stdout) == (code, "")
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_a_time_to_wait_is_told(run: Any, apis: Any) -> None:
    """What the service says of when to try again reaches the person."""
    status, body = problem("unavailable", 503)
    apis.say(JOBS, (status, body | {"retry_after": 5}))
    assert "Try again in 5 s" in run("jobs").stderr


def test_the_token_is_sent(run: Any, apis: Any, tmp_path: Path) -> None:
    """The file API_TOKEN_FILE wins over API_TOKEN, without the end of its line."""
    file = tmp_path / "token"
    file.write_text("of-the-file\n", encoding="utf-8")
    apis.say(JOBS, {"items": [], "next": None})
    run("jobs", env={"API_TOKEN": "of-the-environment"})
    run("jobs", env={"API_TOKEN": "of-the-environment", "API_TOKEN_FILE": str(file)})
    run("jobs")
    sent = [request.headers.get("Authorization") for request in apis.requests]
    assert sent == ["Bearer of-the-environment", "Bearer of-the-file", None]


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"API_TOKEN_FILE": "no/such/file"}, "no/such/file"),
        ({"API_TOKEN_FILE": "/dev/null"}, "empty"),
        ({"API_TOKEN": "two words"}, "without spaces"),
        ({"RESULTS_URL": "results:8004"}, "RESULTS_URL must be http"),
        ({"RESULTS_URL": "http://[::"}, "RESULTS_URL must be http"),
    ],
)
def test_wrong_settings(run: Any, apis: Any, env: dict[str, str], said: str) -> None:
    """A wrong setting ends with 78, is named, and no secret is shown."""
    result = run("jobs", env=env)
    assert result.exit_code == 78
    assert said in result.stderr
    assert "two words" not in result.stderr
    assert apis.requests == []


def test_an_option_wins_over_the_environment(run: Any, apis: Any) -> None:
    """Where results is can be said for one call."""
    apis.say(JOBS, {"items": [], "next": None})
    run(
        "--results-url", "http://other.example:1", "jobs", env={"RESULTS_URL": "http://one.example"}
    )
    assert apis.requests[0].url.host == "other.example"


@pytest.mark.parametrize(
    "words",
    [
        ["status", "not-a-uuid"],
        ["submit", "no-such-file.csv"],
        ["results", "not-a-uuid"],
        ["run", "everything"],
        ["dead-letters", "--summary", "--reason", "bad-request"],
        ["accounts", "stop", "main"],
        ["job", "stop", "6f0c1f9e-8d0c-5c5a-9d26-0b7a4d6c1a11"],
        ["job", "resume", "not-a-uuid", "--why", "mended"],
        ["no-such-command"],
    ],
)
def test_wrong_usage(run: Any, apis: Any, words: list[str]) -> None:
    """Wrong usage ends with 2 before anything is asked."""
    result = run(*words)
    assert (result.exit_code, result.stdout, apis.requests) == (2, "", [])


def test_a_fault_of_ours_shows_no_number(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unforeseen error ends with 70, with a traceback in which numbers are masked."""

    def fail(**_: Any) -> None:
        raise ValueError("cannot read +14155550100")

    monkeypatch.setattr(cli_app, "app", fail)
    assert cli_app.main() == exits.FAULT
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert "report" in said
    assert "4155550100" not in said


def test_help_is_quick() -> None:
    """Asking for help loads none of what the programs and the calls need."""
    code = (
        "import sys, services.cli\n"
        "heavy = {'faust', 'fastapi', 'phonenumbers', 'pydantic', 'aiokafka', 'asyncpg', 'httpx'}\n"
        "sys.exit(str(sorted(heavy & set(sys.modules)) or ''))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) in {(0, ""), (1, "\n")}


def test_help_tells_the_exit_codes(run: Any) -> None:
    """What a script can rely on stands in the help."""
    text = " ".join(run("--help").stdout.split())
    for code in (69, 70, 77, 78, 130):
        assert str(code) in text
