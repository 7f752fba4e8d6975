"""What is said and how it is laid out; names that must be those of the contracts."""

import io
from datetime import UTC, datetime
from typing import Any, get_args

import pytest
from rich.console import Console

from services.cli import exits, wording
from services.cli.dead_letters import ReasonName
from services.cli.operate import ProgramName
from services.cli.output import Column, Screen
from services.cli.own_words import in_own_words
from services.cli.packages import PackageName
from services.cli.results import StateName
from services.cli.topic_report import Found, compare
from services.contracts.messages import DeadReason
from services.contracts.packages import Package
from services.contracts.topics import topic_table
from services.contracts.turns import State
from services.local.programs import Kind
from services.runtime import program


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("Correct `phone_column`.", "Correct `--phone-column`."),
        ("say it by `default_country` too", "say it by `--country` too"),
        ("query.packages: no; query.fresh_for: no", "--package: no; --fresh-for: no"),
        ("are taken with accept=possible.", "are taken with `--accept possible`."),
        ("GET /v1/jobs lists those", "`bulk-lookup jobs` lists those"),
        ("The sheet `Phone` is empty.", "The sheet `Phone` is empty."),
    ],
)
def test_what_the_apis_name_is_named_as_an_option(theirs: str, ours: str) -> None:
    """Who uses the command is told what to type there."""
    assert in_own_words(theirs) == ours


NOW = datetime(2025, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (tuple(PackageName), tuple(Package)),
        (get_args(StateName), tuple(State)),
        (get_args(ReasonName), get_args(DeadReason)),
        (get_args(ProgramName), get_args(Kind)),
        (
            (exits.OK, exits.FAULT, exits.SETTINGS, exits.INTERRUPTED),
            (
                program.EXIT_OK,
                program.EXIT_FAULT,
                program.EXIT_SETTINGS,
                program.EXIT_KILLED_BY_SECOND_SIGNAL,
            ),
        ),
    ],
)
def test_words_are_those_of_the_contracts(ours: Any, theirs: Any) -> None:
    """What the command repeats, so as to start quickly, is what the contracts say."""
    assert ours == theirs


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (3599, "59 min 59 s"),
        (3725, "1 h 2 min"),
        (30 * 86400, "30 d 0 h"),
    ],
)
def test_spans(seconds: float, said: str) -> None:
    """A length of time is said in its two largest units."""
    assert wording.span(seconds) == said


@pytest.mark.parametrize(
    ("at", "said"),
    [
        (None, "-"),
        ("2025-11-24T11:59:30Z", "30 s ago"),
        ("2025-11-24T12:00:30+00:00", "0 s ago"),  # another machine's clock
        ("2025-11-20T12:00:00Z", "2025-11-20"),
    ],
)
def test_moments(at: str | None, said: str) -> None:
    """A moment is told by its distance, and by its date when that is far."""
    assert wording.when(at, NOW).startswith(said)


@pytest.mark.parametrize(
    ("at", "said"),
    [
        ("2025-11-24T12:00:30Z", "0 s"),
        ("2025-11-24T11:59:01Z", "59 s"),
        ("2025-11-24T11:00:01Z", "59 min"),
        ("2025-11-23T12:00:01Z", "23 h"),
        ("2025-10-25T12:00:00Z", "30 d"),
    ],
)
def test_ages(at: str, said: str) -> None:
    """In a list, how old something is takes one unit."""
    assert wording.age(at, NOW) == said


@pytest.mark.parametrize(
    ("part", "said"),
    [(None, "-"), (0, "0 %"), (0.7976, "80 %"), (0.9991, "99.9 %"), (1.0, "100 %")],
)
def test_a_share_is_whole_only_at_the_end(part: float | None, said: str) -> None:
    """100 % is said of what is finished, and of nothing else."""
    assert wording.share(part) == said


def test_a_job_without_an_end(job: Any) -> None:
    """A job that is not sealed is measured by what is known of it."""
    unsealed = job(sealed=None, share=None, seconds_left=None, counts={"parked": 3})
    assert wording.progress(unsealed) == "3,988 of 5,000 finished (-), 310.0/s; 3 parked"


def screen(width: int) -> tuple[Screen, io.StringIO]:
    made, file = Screen(), io.StringIO()
    made.out = Console(
        file=file, width=width, force_terminal=True, color_system=None, soft_wrap=True
    )
    return made, file


COLUMNS = [Column("Job"), Column("Why", wraps=True), Column("Contacts", number=True)]
ROW = ["6f0c1f9e", "a reason that takes more room than there is in one line", "12"]


def test_a_wide_terminal_gets_a_table() -> None:
    """Where a row has room, it is one line."""
    shown, file = screen(100)
    shown.table(COLUMNS, [ROW])
    lines = [line.split() for line in file.getvalue().splitlines()]
    assert ["Job", "Why", "Contacts"] in lines
    assert " ".join(ROW).split() in lines


def test_a_table_takes_the_whole_width_and_no_more() -> None:
    """In as many columns as a row needs at least, only the text that may wrap does."""
    shown, file = screen(len("6f0c1f9e") + 2 + 12 + 2 + len("Contacts"))
    shown.table(COLUMNS, [ROW])
    heading, _, first, *_ = file.getvalue().splitlines()
    assert heading.split() == ["Job", "Why", "Contacts"]
    assert first == "6f0c1f9e  a reason            12"


def test_words_are_broken_over_lines_and_commands_are_not() -> None:
    """On a terminal a text wraps between words; a command stays one line, to be copied."""
    shown, file = screen(20)
    shown.err = shown.out
    shown.note("a text longer than a line")
    shown.command("one command that is longer")
    assert file.getvalue() == ("a text longer than a\nline\n  one command that is longer\n")


@pytest.mark.parametrize("width", [50, 30, 12])
def test_nothing_is_cut_on_a_narrow_terminal(width: int) -> None:
    """However narrow it is, every word of a row is there."""
    shown, file = screen(width)
    shown.table(COLUMNS, [ROW])
    said = "".join(file.getvalue().split())
    for word in " ".join(ROW).split():
        assert word in said


def test_texts_cannot_move_the_cursor() -> None:
    """What comes from a file or from outside is shown without control characters or markup."""
    shown, file = screen(80)
    shown.fields({"File": "a\x1b[2J\x07b [bold]c"})
    assert file.getvalue() == "File  a [2J b [bold]c\n"


TOPICS = topic_table(partitions=3)
GOOD = {topic.name: Found(topic.partitions, topic.config) for topic in TOPICS.all}


def test_equal_topics_are_fine() -> None:
    """A Kafka that has what the table says has no problem."""
    report = compare(TOPICS, GOOD)
    assert (report.problems, report.remarks) == ((), ())
    assert {line.cells()[-1] for line in report.lines} == {"ok"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"contacts": None}, "lacks the topics contacts"),
        ({"contacts": Found(4, {})}, "one number of partitions"),
        ({"lookup.control": Found(2, {})}, "it must have 1"),
        (
            {"contacts": Found(3, {"retention.ms": "1"})},
            "contacts: retention.ms is 1, should be 2592000000",
        ),
    ],
)
def test_differences_are_problems(change: dict[str, Found | None], said: str) -> None:
    """A topic that is missing or otherwise is a problem that says how."""
    found = {name: topic for name, topic in (GOOD | change).items() if topic is not None}
    assert any(said in problem for problem in compare(TOPICS, found).problems)


def test_another_number_of_partitions_is_a_remark() -> None:
    """The setting counts only for topics that are made; those that are there agree."""
    found = {
        topic.name: Found(5 if topic.aligned else topic.partitions, topic.config)
        for topic in TOPICS.all
    }
    report = compare(TOPICS, found)
    assert report.problems == ()
    assert "5 partitions" in report.remarks[0]
