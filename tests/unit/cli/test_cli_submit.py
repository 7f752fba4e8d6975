"""submit and lookup."""

from pathlib import Path
from typing import Any

import pytest

JOB = "6f0c1f9e-8d0c-5c5a-9d26-0b7a4d6c1a11"
NUMBER = "+14155550100"


def accepted(accepted: int = 2, rejected: int = 1) -> dict[str, Any]:
    return {
        "job_id": JOB,
        "accepted": accepted,
        "rejected": rejected,
        "duplicates": 0,
        "links": {
            "self": f"/v1/jobs/{JOB}",
            "results": f"/v1/jobs/{JOB}/results",
            "rejected": f"/v1/jobs/{JOB}/rejected",
        },
    }


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of contacts."""
    file = tmp_path / "contacts.csv"
    file.write_bytes(b"Phone\n+14155550100\n+14155550101\nnone\n")
    return file


def test_a_file_is_sent_whole(run: Any, apis: Any, file: Path) -> None:
    """The file's bytes, its length and every option reach ingest."""
    apis.say("POST /v1/jobs", (201, accepted()))
    result = run(
        "submit",
        str(file),
        *("--package", "basic", "--package", "caller_name", "--country", "DE"),
        *("--account", "main", "--fresh-for", "12h", "--idempotency-key", "a b"),
        *("--phone-column", "Tel", "--country-column", "Land", "--reference-column", "Nr"),
    )
    [request] = apis.requests
    assert dict(request.url.params) == {
        "packages": "basic,caller_name",
        "default_country": "DE",
        "account": "main",
        "fresh_for": "12h",
        "file_name": "contacts.csv",
        "phone_column": "Tel",
        "country_column": "Land",
        "reference_column": "Nr",
    }
    assert request.content == file.read_bytes()
    assert request.headers["Content-Length"] == str(file.stat().st_size)
    assert "Transfer-Encoding" not in request.headers
    assert request.headers["Content-Type"] == "text/csv"
    assert request.headers["Idempotency-Key"] == "a b"
    assert result.exit_code == 0
    assert JOB in result.stdout
    assert f"bulk-lookup status {JOB} --watch" in result.stderr
    assert f"bulk-lookup rejected {JOB}" in result.stderr


def test_standard_input_is_sent(run: Any, apis: Any, read_lines: Any) -> None:
    """With -, what is piped in is sent; with --json the answer alone is printed."""
    apis.say("POST /v1/jobs", accepted())
    result = run("submit", "-", "--json", input=f"Phone\n{NUMBER}\n")
    [request] = apis.requests
    assert request.content == f"Phone\n{NUMBER}\n".encode()
    assert dict(request.url.params) == {}
    assert read_lines(result.stdout) == [accepted()]


def test_nothing_accepted_is_not_ok(run: Any, apis: Any, file: Path) -> None:
    """A file without one usable number ends with 1."""
    apis.say("POST /v1/jobs", accepted(accepted=0, rejected=3))
    assert run("submit", str(file)).exit_code == 1


def test_waiting_follows_the_job(
    run: Any, apis: Any, job: Any, file: Path, read_lines: Any
) -> None:
    """With --wait the answer comes with the job's end, and its exit code."""
    done = job(complete=True, counts={"completed": 1, "dead": 1})
    apis.say("POST /v1/jobs", accepted())
    apis.say(f"GET /v1/jobs/{JOB}", job(), done)
    result = run("submit", str(file), "--wait", "--json")
    assert read_lines(result.stdout) == [accepted() | {"job": done}]
    assert result.exit_code == 1
    people = run("submit", str(file), "--wait")
    assert "completed" in people.stdout


def test_a_key_that_no_header_carries(run: Any, apis: Any, file: Path) -> None:
    """A key with other than printable ASCII is wrong usage."""
    result = run("submit", str(file), "--idempotency-key", "schlüssel")
    assert (result.exit_code, apis.requests) == (2, [])


def test_one_number_is_a_file_of_one(run: Any, apis: Any, contact: Any) -> None:
    """A number goes out in the body alone, under a new key each time, and its answer is shown."""
    apis.say("POST /v1/jobs", accepted(1, 0))
    apis.say(
        f"GET /v1/jobs/{JOB}/results",
        {"items": [], "next": None},
        {"items": [contact(state="pending", packages=[])], "next": None},
        {"items": [contact()], "next": None},
    )
    result = run("lookup", NUMBER, "--package", "basic")
    assert result.exit_code == 0
    assert "(415) 555-0100" in result.stdout
    sent = apis.requests[0]
    assert sent.content == f"phone\r\n{NUMBER}\r\n".encode()
    assert all("4155550100" not in str(request.url) for request in apis.requests)
    run("lookup", "-", input=f"{NUMBER}\n")
    posts = [request for request in apis.requests if request.method == "POST"]
    assert posts[1].content == sent.content
    assert len({request.headers["Idempotency-Key"] for request in posts}) == 2


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, 0),
        ({"state": "invalid"}, 1),
        ({"state": "dead", "last_error": "20404", "packages": []}, 1),
    ],
)
def test_the_exit_code_tells_the_answer(
    run: Any, apis: Any, contact: Any, read_lines: Any, changes: dict[str, Any], code: int
) -> None:
    """0 says that the number is valid and all of it answered."""
    apis.say("POST /v1/jobs", accepted(1, 0))
    apis.say(f"GET /v1/jobs/{JOB}/results", {"items": [contact(**changes)], "next": None})
    result = run("lookup", NUMBER, "--json")
    assert (result.exit_code, read_lines(result.stdout)) == (code, [contact(**changes)])
    assert run("lookup", NUMBER).exit_code == code


def test_a_failed_package_is_not_ok(run: Any, apis: Any, contact: Any) -> None:
    """A completed number of which a package failed ends with 1, and says why."""
    failed = {
        "package": "caller_name",
        "status": "failed",
        "code": 60620,
        "reason": "no-data",
        "data": None,
        "reused": True,
        "billed": "yes",
        "looked_up_at": "2025-11-24T09:00:30Z",
    }
    shown = contact()
    shown["packages"].append(failed)
    apis.say("POST /v1/jobs", accepted(1, 0))
    apis.say(f"GET /v1/jobs/{JOB}/results", {"items": [shown], "next": None})
    result = run("lookup", NUMBER)
    assert result.exit_code == 1
    assert "failed: no-data 60620" in result.stdout
    assert "reused" in result.stdout


def test_what_cannot_be_a_number(run: Any, apis: Any) -> None:
    """A rejected number ends with 1, with the reason and without the number."""
    row = {"row": 2, "column": "phone", "reason": "too-short", "text": "**", "rejected_at": ""}
    apis.say("POST /v1/jobs", accepted(0, 1))
    apis.say(f"GET /v1/jobs/{JOB}/rejected", {"items": [row], "next": None})
    result = run("lookup", "1234567")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "too-short" in result.stderr
    assert "1234567" not in result.stderr


def test_no_answer_in_time(
    run: Any, apis: Any, contact: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waiting has an end, which says what the number waits for and how to see it later."""
    clock = iter(range(0, 1000, 30))
    monkeypatch.setattr("services.cli.number.time.monotonic", lambda: next(clock))
    hold = {"key": "account:default:refused", "why": "20003", "by": "lookup", "at": ""}
    apis.say(f"GET /v1/jobs/{JOB}", {"holds": [hold]}, {"holds": []})
    held = contact(state="parked", packages=[])
    apis.say("POST /v1/jobs", accepted(1, 0))
    apis.say(f"GET /v1/jobs/{JOB}/results", {"items": [held], "next": None})
    result = run("lookup", NUMBER)
    assert result.exit_code == 69
    assert "held by account:default:refused: 20003" in result.stderr
    assert JOB in result.stderr
    assert "4155550100" not in result.stderr
    assert "(parked)" in run("lookup", NUMBER).stderr
