"""jobs, job, status and rejected."""

from pathlib import Path
from typing import Any

import httpx
import pytest

JOB = "6f0c1f9e-8d0c-5c5a-9d26-0b7a4d6c1a11"


def test_jobs_for_people(run: Any, apis: Any, job: Any) -> None:
    """A job is a line with its id, its file and how far it is."""
    apis.say("GET /v1/jobs", {"items": [job()], "next": None})
    result = run("jobs")
    heading, line = result.stdout.splitlines()
    assert heading.split() == ["Job", "File", "Contacts", "Done", "Age"]
    assert line.startswith(f"{JOB}  contacts.csv     5,000  80 %")
    assert (result.stderr, result.exit_code) == ("", 0)


def test_jobs_for_programs(run: Any, apis: Any, job: Any, read_lines: Any) -> None:
    """With --json, standard output is the API's jobs, one a line."""
    apis.say("GET /v1/jobs", {"items": [job(), job(state="standing")], "next": None})
    assert read_lines(run("jobs", "--json").stdout) == [job(), job(state="standing")]


@pytest.mark.parametrize(
    ("limit", "sizes", "shown", "more"),
    [
        ("2", ["2"], 2, True),
        ("0", ["1000", "1000"], 4, False),
        ("1500", ["1000", "1000"], 4, False),
    ],
)
def test_a_limit_is_kept(
    run: Any,
    apis: Any,
    job: Any,
    read_lines: Any,
    limit: str,
    sizes: list[str],
    shown: int,
    more: bool,
) -> None:
    """A list goes over as many pages as are needed, and a cut one says so."""
    page = {"items": [job(), job()], "next": "cursor"}
    apis.say("GET /v1/jobs", page, page | {"next": None})
    result = run("jobs", "--json", "--limit", limit)
    assert len(read_lines(result.stdout)) == shown
    assert ("--limit 0" in result.stderr) == more
    assert [request.url.params["limit"] for request in apis.requests] == sizes
    assert [request.url.params.get("after") for request in apis.requests[1:]] == ["cursor"] * (
        len(sizes) - 1
    )


def test_no_jobs(run: Any, apis: Any) -> None:
    """An empty list says what to do, and not on standard output."""
    apis.say("GET /v1/jobs", {"items": [], "next": None})
    result = run("jobs")
    assert result.stdout == ""
    assert "bulk-lookup submit" in result.stderr


def test_status_for_people(run: Any, apis: Any, job: Any) -> None:
    """A job's states, speed, time left, holds and outcomes are all there."""
    shown = job(
        holds=[
            {
                "key": "account:default:person",
                "why": "month's end",
                "by": "ann",
                "at": "2025-11-24T09:00:00Z",
            }
        ],
        outcomes=[
            {
                "package": "caller_name",
                "ok": 3900,
                "failed": 80,
                "exhausted": 8,
                "reused": 12,
                "asked": 3976,
                "billed_yes": 3888,
                "billed_no": 80,
                "billed_unknown": 8,
                "failures": [],
            }
        ],
        reasons=[{"state": "retrying", "reason": "20500", "count": 12}],
    )
    apis.say(f"GET /v1/jobs/{JOB}", shown)
    result = run("status", JOB)
    assert result.exit_code == 0
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    for expected in (
        "Accepted 5,000",
        "Progress 3,988 of 5,000 finished (80 %), 310.0/s, about 3 s left; 12 retrying",
        "completed 3,988",
        "caller_name 3,900 80 8 12 3,888 8",
        "retrying 20500 12",
    ):
        assert expected in lines
    assert any(line.startswith("Held by account:default:person month's end") for line in lines)


def test_status_for_programs(run: Any, apis: Any, job: Any, read_lines: Any) -> None:
    """With --json, the API's own document is printed."""
    apis.say(f"GET /v1/jobs/{JOB}", job())
    assert read_lines(run("status", JOB, "--json").stdout) == [job()]


@pytest.mark.parametrize(("dead", "code"), [(0, 0), (3, 1)])
def test_watch_goes_to_the_end(
    run: Any, apis: Any, job: Any, read_lines: Any, dead: int, code: int
) -> None:
    """Watching ends with the job; progress is no part of the output, the dead of the exit code."""
    counts = {"pending": 0, "completed": 5000 - dead, "dead": dead}
    done = job(complete=True, finished=5000, share=1.0, counts=counts, seconds_left=0.0)
    apis.say(
        f"GET /v1/jobs/{JOB}",
        job(),
        httpx.ConnectError("restarting"),
        done | {"rejected": 6},
        done,
        done | {"outcomes": []},
    )
    result = run("status", JOB, "--watch", "--json")
    assert result.exit_code == code
    assert read_lines(result.stdout) == [done | {"outcomes": []}]
    assert "3,988 of 5,000" in result.stderr
    assert "5,000 of 5,000 finished (100 %)" in result.stderr


@pytest.fixture
def stored(apis: Any, job: Any) -> None:
    """All rejected rows are stored."""
    apis.say(f"GET /v1/jobs/{JOB}", job())


@pytest.mark.parametrize("words", [(), ("--out",)])
def test_rejected_rows_are_waited_for(
    run: Any, apis: Any, job: Any, tmp_path: Path, words: tuple[str, ...]
) -> None:
    """Some of them are never shown as all there are."""
    file = [str(tmp_path / "r.csv") for _ in words]
    apis.say(f"GET /v1/jobs/{JOB}", job(rejected=6), job())
    apis.say(f"GET /v1/jobs/{JOB}/rejected", {"items": [], "next": None})
    apis.say(f"GET /v1/jobs/{JOB}/rejected.csv", [REJECTED[0]])
    assert run("rejected", JOB, *words, *file).exit_code == 0
    assert [request.url.path.rpartition("/")[2] for request in apis.requests[:2]] == [JOB, JOB]


def test_rejected_rows_that_do_not_come(
    run: Any, apis: Any, job: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait has an end, which says how many there are."""
    monkeypatch.setattr("services.cli.watch.PATIENCE_SECONDS", 0.0)
    apis.say(f"GET /v1/jobs/{JOB}", job(rejected=6))
    result = run("rejected", JOB)
    assert (result.exit_code, result.stdout) == (69, "")
    assert "6 of 7 rejected rows" in result.stderr


@pytest.mark.usefixtures("stored")
def test_rejected_rows(run: Any, apis: Any) -> None:
    """A rejected row is shown with its place and why, masked as it came."""
    row = {
        "row": 17,
        "column": "Phone",
        "reason": "too-short",
        "way_out": "Check for missing digits.",
        "text": "**3",
        "rejected_at": "2025-11-24T09:00:00Z",
    }
    apis.say(f"GET /v1/jobs/{JOB}/rejected", {"items": [row, row], "next": None})
    result = run("rejected", JOB)
    assert result.stdout.splitlines()[1].split() == ["17", "Phone", "too-short", "**3"]
    assert result.stderr.count("too-short: Check for missing digits.") == 1
    assert f"bulk-lookup rejected {JOB} --out" in result.stderr


REJECTED = (
    b"\xef\xbb\xbfrejected.row,rejected.column,rejected.reason,rejected.way_out,Phone,Note\n",
    b'7,Phone,too-short,Check it.,12,"two\nli',
    b'nes ""quoted"""\n8,Phone,empty,Fill it in.,,\n',
)


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    ("delimiter", "second", "named"),
    [
        (b",", b"", " --phone-column Phone"),
        (b";", b"Tel work", " --phone-column Phone --phone-column 'Tel work'"),
        (b"\t", b"'=Tel", " --phone-column Phone --phone-column =Tel"),
    ],
)
def test_rejected_rows_to_mend(
    run: Any, apis: Any, tmp_path: Path, delimiter: bytes, second: bytes, named: str
) -> None:
    """The whole rows become a private file, byte by byte, and how to send it again is said."""
    file = [part.replace(b"8,Phone", b"8," + second).replace(b",", delimiter) for part in REJECTED]
    apis.say(f"GET /v1/jobs/{JOB}/rejected.csv", [*file])
    out = tmp_path / "to mend.csv"
    result = run("rejected", JOB, "--out", str(out))
    assert out.read_bytes() == b"".join(file)
    assert out.stat().st_mode & 0o077 == 0
    assert result.stdout == ""
    assert "2 rejected rows in" in result.stderr
    assert f"\n  bulk-lookup submit '{out}'{named}\n" in result.stderr
    assert "without --sheet, --encoding and --idempotency-key" in result.stderr


@pytest.mark.usefixtures("stored")
def test_no_rejected_rows_to_mend(run: Any, apis: Any, tmp_path: Path) -> None:
    """Of a job without any, the file has its headings, and nothing is said to be done."""
    apis.say(f"GET /v1/jobs/{JOB}/rejected.csv", [REJECTED[0]])
    result = run("rejected", JOB, "--out", str(tmp_path / "rejected.csv"))
    assert "0 rejected rows in" in result.stderr
    assert "submit" not in result.stderr


@pytest.mark.parametrize(
    ("act", "causes", "said"),
    [
        ("stop", ["person"], f"{JOB} is stopped (ann)."),
        ("resume", ["person", "configuration"], f"{JOB} goes on; cleared: person, configuration."),
    ],
)
def test_a_person_acts_on_a_job(
    run: Any, apis: Any, read_lines: Any, act: str, causes: list[str], said: str
) -> None:
    """Stopping and resuming a job send why, and tell what was done."""
    done = {"job_id": JOB, "held": act == "stop", "causes": causes, "by": "ann"}
    apis.say(f"POST /v1/jobs/{JOB}/{act}", done)
    result = run("job", act, JOB, "--why", "month's end")
    assert result.stdout.strip() == said
    assert ("bulk-lookup job resume" in result.stderr) == (act == "stop")
    assert apis.requests[0].content == b'{"why":"month\'s end"}'
    assert read_lines(run("job", act, JOB, "--why", "month's end", "--json").stdout) == [done]
