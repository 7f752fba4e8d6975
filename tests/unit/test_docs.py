"""What the pages name is there: guarantees, their homes and tests, commands, settings, metrics.

That links between pages lead somewhere stands in `test_conventions`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from services.cli.app import app
from services.ingest.settings import IngestSettings
from services.lookup.scheduler import SchedulerSettings
from services.lookup.settings import LookupSettings
from services.results.settings import ResultsSettings
from services.runtime.metrics import TABLE

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
OPERATIONS = ROOT / "docs" / "operations.md"
CONTRACTS = ROOT / "docs" / "contracts.md"
TUTORIAL = ROOT / "docs" / "tutorial.md"
RUNBOOKS = sorted((ROOT / "docs" / "runbooks").glob("*.md"))
WRITTEN = [
    README,
    ARCHITECTURE,
    OPERATIONS,
    CONTRACTS,
    TUTORIAL,
    ROOT / "CONTRIBUTING.md",
    *RUNBOOKS,
]
GUARANTEES = 15
SETTINGS = {
    name.upper()
    for model in (IngestSettings, LookupSettings, SchedulerSettings, ResultsSettings)
    for name in model.model_fields
}


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def spans(page: Path) -> list[str]:
    """What stands in code style within a line, outside of blocks."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text_of(page), flags=re.DOTALL))


def rows_under(page: Path, heading: str) -> list[list[str]]:
    """The cells of the table under a heading, without its first two lines."""
    section = text_of(page).partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


@cache
def guarantees() -> list[list[str]]:
    return rows_under(ARCHITECTURE, "The guarantees, their homes and their tests")


def members(tree: ast.Module | ast.ClassDef) -> Iterator[tuple[str, ast.AST]]:
    """The names that a module or a class defines."""
    for node in tree.body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name, node
            case (
                ast.Assign(targets=[ast.Name(id=name), *_])
                | ast.AnnAssign(target=ast.Name(id=name))
            ):
                yield name, node


def is_there(place: str) -> bool:
    """Whether `path/to/file.py::Name.member` names something that exists."""
    path, _, symbol = place.partition("::")
    if not (ROOT / path).is_file():
        return False
    tree: ast.AST = ast.parse(text_of(ROOT / path))
    for name in symbol.split("."):
        if not isinstance(tree, ast.Module | ast.ClassDef):
            return False
        found = dict(members(tree)).get(name)
        if found is None:
            return False
        tree = found
    return True


def test_every_guarantee_is_on_the_page() -> None:
    """Each has its number, its words, a home and a test."""
    assert [int(row[0]) for row in guarantees()] == list(range(1, GUARANTEES + 1))
    for row in guarantees():
        _, words, homes, tests = row
        assert words
        for cell, folder in ((homes, "services/"), (tests, "tests/")):
            places = cell.split("<br>")
            assert all(re.fullmatch(rf"`{folder}[\w/]+\.py::[\w.]+`", place) for place in places)


@pytest.mark.parametrize("number", range(1, GUARANTEES + 1))
def test_a_guarantee_has_its_home_and_its_tests(number: int) -> None:
    """The places named are in the code, and the tests are tests."""
    _, _, homes, tests = guarantees()[number - 1]
    places = re.findall(r"`([^`]+)`", homes + tests)
    assert [place for place in places if not is_there(place)] == []
    names = [place.partition("::")[2] for place in re.findall(r"`([^`]+)`", tests)]
    assert [name for name in names if not name.startswith("test_")] == []


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)
def test_the_files_that_a_page_names_are_there(page: Path) -> None:
    """A path in the code's own folders leads to something."""
    paths = [
        span.partition("::")[0]
        for span in spans(page)
        if re.fullmatch(r"(services|tests|docs|benchmarks|requirements)/[\w./-]+(::\S+)?", span)
    ]
    # A name with a number in it is an example of one to come.
    assert [p for p in paths if not (ROOT / p).exists() and "/migrations/" not in p] == []


def commands() -> dict[str, set[str]]:
    """The commands of `bulk-lookup`, each with its options and, below it, its own commands."""
    root = get_command(app)
    assert isinstance(root, typer.core.TyperGroup)
    found: dict[str, set[str]] = {"": _options(root)}
    for name, command in root.commands.items():
        found[name] = _options(command)
        for below, its in getattr(command, "commands", {}).items():
            found[f"{name} {below}"] = _options(its)
    return found


def _options(command: Any) -> set[str]:
    return {option for parameter in command.params for option in parameter.opts} | {"--help"}


def lines_of_code(page: Path) -> Iterator[str]:
    blocks = re.findall(r"```\w*\n(.*?)```", text_of(page), flags=re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    yield from (line.partition("  #")[0] for line in lines)
    yield from spans(page)


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)
def test_the_commands_that_a_page_names_are_there(page: Path) -> None:
    """Each `bulk-lookup ...` has its command, and the command its options."""
    known = commands()
    wrong = []
    for line in lines_of_code(page):
        # The namespace and a label of the manifests have the command's name, too.
        for words in re.findall(r"(?<![\w=/-])(?<!-n )bulk-lookup((?: [^\s|,;)]+)*)", line):
            parts = words.split()
            name = next(
                (n for n in (" ".join(parts[:2]), *parts[:1]) if n in known),
                "" if not parts or parts[0].startswith("-") else None,
            )
            options = {part for part in parts if part.startswith("--")}
            if name is None or not options <= known[name]:
                wrong.append(line)
    assert wrong == []


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)
def test_the_targets_that_a_page_names_are_there(page: Path) -> None:
    """Each `make ...` is a target of the Makefile."""
    targets = set(re.findall(r"^\.PHONY: (.+)$", text_of(ROOT / "Makefile"), flags=re.MULTILINE))
    known = {target for line in targets for target in line.split()}
    named = {
        target
        for line in lines_of_code(page)
        for words in re.findall(r"^(?:\$ )?make((?: [a-z-]+)+)", line)
        for target in words.split()
    }
    assert named - known == set()


@pytest.mark.parametrize(
    "page", [README, ARCHITECTURE, OPERATIONS, *RUNBOOKS], ids=lambda page: page.name
)
def test_the_settings_that_a_page_names_are_there(page: Path) -> None:
    """A name in capitals is a setting of a program, or one that the command or Grafana reads."""
    provisioning = ROOT / "deploy" / "grafana" / "provisioning"
    files = [*(ROOT / "services").rglob("*.py"), *provisioning.glob("*/*.yaml")]
    code = "".join(text_of(file) for file in files)
    named = {
        name
        for line in lines_of_code(page)
        for name in re.findall(r"(?<![\w$])[A-Z]{2,}(?:_[A-Z]+)+\b", line)
    }
    assert {n for n in named - SETTINGS if not re.search(rf"\b{n}\b", code)} == set()


@pytest.mark.parametrize(
    "page", [README, ARCHITECTURE, OPERATIONS, *RUNBOOKS], ids=lambda page: page.name
)
def test_the_metrics_that_a_page_names_are_there(page: Path) -> None:
    """A name that looks like a metric's is one."""
    known = {metric.name for metric in TABLE}
    like = r"(lookup|ingest|scheduler|results|twilio)_\w+_(total|seconds|bytes|records|held|info)"
    assert {span for span in spans(page) if re.fullmatch(like, span)} - known == set()


def test_the_errors_that_the_readme_explains_are_said_somewhere() -> None:
    """Whoever searches for a message that a program wrote finds it, as it is written."""
    said = [text_of(ROOT / "Makefile")]
    for file in (ROOT / "services").rglob("*.py"):
        said += [
            node.value.replace("`", "")
            for node in ast.walk(ast.parse(text_of(file)))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
    messages = [
        message
        for row in rows_under(README, "Troubleshooting")
        for message in re.findall(r"`([^`]{12,})`", row[0])
    ]
    assert len(messages) > 10
    # A message with a value in it is several pieces in the code.
    unsaid = [
        message
        for message in messages
        if not any(
            message in text or (len(text.strip()) > 12 and text.strip() in message) for text in said
        )
    ]
    assert unsaid == []
