"""submit and lookup."""

from pathlib import Path
from typing import Any

import pytest

from services.cli.file_found import how_read

JOB = "6f0c1f9e-8d0c-5c5a-9d26-0b7a4d6c1a11"
NUMBER = "+14155550100"
FOUND: dict[str, Any] = {
    "kind": "csv",
    "compressed": False,
    "encoding": "windows-1252",
    "encoding_by": "content",
    "delimiter": ";",
    "sheet": None,
    "header": True,
    "header_by": "heading",
    "phone": [{"column": "Tel", "by": "heading"}],
    "country": None,
    "reference": {"column": "Nr", "by": "option"},
}


def accepted(accepted: int = 2, rejected: int = 1) -> dict[str, Any]:
    return {
        "job_id": JOB,
        "accepted": accepted,
        "rejected": rejected,
        "duplicates": 0,
        "found": FOUND,
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
        *("--no-header", "--accept", "possible", "--delimiter", "tab", "--encoding", "utf-8"),
        *("--sheet", "May"),
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
        "header": "false",
        "accept": "possible",
        "delimiter": "tab",
        "encoding": "utf-8",
        "sheet": "May",
    }
    assert request.content == file.read_bytes()
    assert request.headers["Content-Length"] == str(file.stat().st_size)
    assert "Transfer-Encoding" not in request.headers
    assert request.headers["Content-Type"] == "application/octet-stream"
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


@pytest.mark.parametrize(("status", "before"), [(201, False), (200, True)])
def test_a_file_that_was_sent_before_is_said_to_be(
    run: Any, apis: Any, file: Path, status: int, before: bool
) -> None:
    """It is the same job, which costs nothing anew."""
    apis.say("POST /v1/jobs", (status, accepted()))
    assert ("It was sent before" in run("submit", str(file)).stderr) == before


@pytest.mark.parametrize(
    ("counts", "named"),
    [
        ((2, 1), ["status", "results", "rejected"]),
        ((2, 0), ["status", "results"]),
        ((0, 2), ["rejected"]),
    ],
)
def test_what_next_is_what_there_is_to_see(
    run: Any, apis: Any, file: Path, counts: tuple[int, int], named: list[str]
) -> None:
    """Commands are named that have something to show."""
    apis.say("POST /v1/jobs", (201, accepted(*counts)))
    said = run("submit", str(file)).stderr.partition("What next:\n")[2]
    assert [line.split()[1] for line in said.splitlines()] == named


def test_a_refusal_names_what_there_is(run: Any, apis: Any, file: Path) -> None:
    """What is wrong is said of the options, and the accounts that there are stand there."""
    problem = {
        "type": "urn:bulk-lookup:problem:unknown-account",
        "title": "There is no such account",
        "detail": "query.account: Name one of those listed.",
        "accounts": ["default", "second"],
    }
    apis.say("POST /v1/jobs", (422, problem))
    said = run("submit", str(file), "--account", "x").stderr
    assert "--account: Name one of those listed. There are: default, second." in said


def test_several_columns_are_sent_one_by_one(run: Any, apis: Any, file: Path) -> None:
    """Each --phone-column is a parameter of its own: a heading may hold any character."""
    apis.say("POST /v1/jobs", accepted())
    run("submit", str(file), "--phone-column", "Tel, work", "--phone-column", "Mobil")
    [request] = apis.requests
    assert request.url.params.get_list("phone_column") == ["Tel, work", "Mobil"]


def test_what_was_found_is_told(run: Any, apis: Any, file: Path) -> None:
    """People see how the file was read, and which columns; what is sure by itself is not explained."""
    apis.say("POST /v1/jobs", accepted())
    said = run("submit", str(file)).stdout
    assert "Read as CSV, Windows-1252 by its bytes, cells between semicolons" in said
    assert "\nNumbers in 'Tel' (by its heading)\nReferences in 'Nr' (as named)\n" in said
    apis.say("POST /v1/jobs", accepted() | {"found": None})
    assert "Read as" not in run("submit", str(file)).stdout


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"kind": "xlsx", "encoding": None, "delimiter": None, "sheet": "May"},
            "Read as an Excel workbook, sheet 'May'",
        ),
        ({"kind": "tsv", "delimiter": "\t", "encoding": "utf-16-le"}, "Read as TSV, UTF-16"),
        (
            {"compressed": True, "encoding": "utf-8", "header": False},
            "Read as CSV, compressed, UTF-8, cells between semicolons, no headings",
        ),
    ],
)
def test_how_a_file_is_read_in_words(changes: dict[str, Any], said: str) -> None:
    """Each kind of file is told by what matters for it."""
    assert how_read(FOUND | changes)[0] == said


DRY: dict[str, Any] = {
    "dry_run": True,
    "accepted": 1,
    "rejected": 1,
    "duplicates": 0,
    "found": FOUND,
    "reasons": [{"reason": "letters", "rows": 1, "way_out": "Write it in digits alone."}],
    "contacts": [
        {
            "row": 2,
            "column": "Tel",
            "text": "0415 5550100",
            "phone": NUMBER,
            "country": "US",
            "reference": "7",
            "reason": None,
        },
        {
            "row": 3,
            "column": "Tel",
            "text": "none",
            "phone": None,
            "country": None,
            "reference": None,
            "reason": "letters",
        },
    ],
}


def test_a_dry_run_is_shown(run: Any, apis: Any, file: Path, read_lines: Any) -> None:
    """Counts, reasons with the way out, columns, and the first contacts as they were read."""
    apis.say("POST /v1/jobs", DRY)
    result = run("submit", str(file), "--dry-run")
    assert result.exit_code == 0
    assert apis.requests[0].url.params["dry_run"] == "true"
    for said in ("nothing was stored", "'Tel'", "Write it in digits", "0415 5550100", NUMBER):
        assert said in result.stdout
    assert "status" not in result.stderr
    heading, *contacts = result.stdout.splitlines()[-3:]
    assert heading.split("  ")[0] == "Row"
    assert [line.split() for line in contacts] == [
        ["2", "0415", "5550100", NUMBER, "US", "7"],
        ["3", "none", "letters"],
    ]
    assert "without --dry-run" in result.stderr
    several = FOUND | {
        "phone": [{"column": "Tel", "by": "option"}, {"column": "M", "by": "option"}]
    }
    apis.say("POST /v1/jobs", DRY | {"found": several})
    last = run("submit", str(file), "--dry-run").stdout.splitlines()[-1]
    assert last.split() == ["3", "Tel", "none", "letters"]
    apis.say("POST /v1/jobs", DRY)
    assert read_lines(run("submit", str(file), "--dry-run", "--json").stdout) == [DRY]
    apis.say("POST /v1/jobs", DRY | {"accepted": 0})
    assert run("submit", str(file), "--dry-run").exit_code == 1


def refusal(code: str, *candidates: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    return 422, {
        "type": "urn:bulk-lookup:problem:bad-file",
        "title": "The file cannot be taken",
        "detail": "Several columns may hold the phone number. Name one by `phone_column`.",
        "request_id": "r",
        "code": code,
        "columns": ["Who", "Here", "There"],
        "candidates": list(candidates),
    }


HERE = {"column": "Here", "numbers": 9, "of": 10, "example": "+14*******00"}
THERE = {"column": "There", "numbers": None, "of": None, "example": None}


@pytest.fixture
def somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody sits at a terminal."""
    monkeypatch.setattr("services.cli.submit._somebody_is_there", lambda: True)


@pytest.mark.usefixtures("somebody")
def test_a_guessed_column_is_asked_for(run: Any, apis: Any, file: Path) -> None:
    """On a terminal a guess is shown before anything is taken; yes sends what --yes would send."""
    apis.say("POST /v1/jobs", refusal("uncertain-column", HERE), (201, accepted()))
    result = run("submit", str(file), input="y\n")
    assert result.exit_code == 0
    assert "'Here': 9 of 10 cells are numbers, such as +14*******00" in result.stderr
    asked, sent = apis.requests
    assert asked.url.params["guess"] == "false"
    assert "guess" not in sent.url.params
    assert sent.content == file.read_bytes()
    run("submit", str(file), "--yes")
    assert apis.requests[-1].url.params == sent.url.params


@pytest.mark.usefixtures("somebody")
def test_a_guess_can_be_turned_down(run: Any, apis: Any, file: Path) -> None:
    """No leaves everything as it was, and says how to name the column."""
    apis.say("POST /v1/jobs", refusal("uncertain-column", HERE))
    result = run("submit", str(file), input="n\n")
    assert (result.exit_code, len(apis.requests)) == (1, 1)
    assert "--phone-column" in result.stderr


@pytest.mark.usefixtures("somebody")
@pytest.mark.parametrize(
    ("answer", "columns"), [("2\n", ["There"]), ("9\nx\n2, 1,2\n", ["There", "Here"])]
)
def test_one_of_several_columns_is_chosen(
    run: Any, apis: Any, file: Path, answer: str, columns: list[str]
) -> None:
    """On a terminal the candidates are listed; what is no choice is asked again."""
    apis.say("POST /v1/jobs", refusal("ambiguous-column", HERE, THERE), (201, accepted()))
    result = run("submit", str(file), input=answer)
    assert result.exit_code == 0
    assert "  2  'There'" in result.stderr
    assert apis.requests[-1].url.params.get_list("phone_column") == columns


@pytest.mark.usefixtures("somebody")
@pytest.mark.parametrize("words", [["--yes"], ["--json"], ["--dry-run"]])
def test_nobody_is_asked_who_does_not_want_it(
    run: Any, apis: Any, file: Path, words: list[str]
) -> None:
    """What cannot be known is an error that names the candidates."""
    apis.say("POST /v1/jobs", refusal("ambiguous-column", HERE, THERE))
    result = run("submit", str(file), *words)
    assert (result.exit_code, len(apis.requests)) == (1, 1)
    assert "Several columns" in result.stderr
    assert "guess" not in apis.requests[0].url.params


@pytest.mark.usefixtures("somebody")
def test_other_refusals_are_told(run: Any, apis: Any, file: Path) -> None:
    """A refusal that no choice mends ends the command."""
    apis.say("POST /v1/jobs", refusal("unclosed-quote"))
    assert run("submit", str(file)).exit_code == 1


def test_without_a_terminal_nobody_is_asked(run: Any, apis: Any, file: Path) -> None:
    """A script gets what ingest decides: it goes on with a guess."""
    apis.say("POST /v1/jobs", accepted())
    run("submit", str(file))
    assert "guess" not in apis.requests[0].url.params


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


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("too-short", "(too-short). Say `--accept possible`."),
        ("no-country", "(no-country). Write it with + and the country code, or say --country."),
    ],
)
def test_what_cannot_be_a_number(run: Any, apis: Any, reason: str, said: str) -> None:
    """A rejected number ends with 1, with the reason and the way out, and without the number."""
    row = {"row": 2, "column": "phone", "reason": reason, "text": "**", "rejected_at": ""}
    row["way_out"] = "Say accept=possible."
    apis.say("POST /v1/jobs", accepted(0, 1))
    apis.say(f"GET /v1/jobs/{JOB}/rejected", {"items": [row], "next": None})
    result = run("lookup", "1234567")
    assert (result.exit_code, result.stdout) == (1, "")
    assert said in result.stderr
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
