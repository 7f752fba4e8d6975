"""What a linter does not know of: the project's own habits."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE = sorted(
    file
    for part in ("services", "tests", "benchmarks", "deploy")
    for file in (ROOT / part).rglob("*.py")
)
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
#: Everything a person wrote, as text.
TEXTS = sorted(
    {
        *CODE,
        *PAGES,
        *(ROOT / "requirements").glob("*.txt"),
        *(
            file
            for part in ("services", "deploy")
            for file in (ROOT / part).rglob("*.*")
            if file.suffix in {".sql", ".txt", ".json", ".yaml", ".env"}
        ),
        ROOT / "Dockerfile",
        ROOT / "Makefile",
        ROOT / "pyproject.toml",
        ROOT / ".ci" / "run",
    }
    - {Path(__file__)}
)


def named(file: Path) -> str:
    return str(file.relative_to(ROOT))


def lines_with(pattern: str, files: list[Path]) -> Iterator[str]:
    found = re.compile(pattern)
    for file in files:
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
            if found.search(line):
                yield f"{named(file)}:{number}: {line.strip()}"


def test_every_test_states_its_rule() -> None:
    """A test's docstring says what it proves."""
    silent = [
        f"{named(file)}:{node.lineno}: {node.name}"
        for file in CODE
        if file.name.startswith("test_")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]
    assert silent == []


def test_files_are_small() -> None:
    """A file over 400 lines has more than one reason to exist."""
    files = [file for file in (ROOT / "services").rglob("*.*") if file.suffix in {".py", ".sql"}]
    lengths = {named(file): len(file.read_text(encoding="utf-8").splitlines()) for file in files}
    assert {name: length for name, length in lengths.items() if length > 400} == {}


def test_names_say_what_for() -> None:
    """A name that could hold anything will."""
    vague = {"base", "common", "core", "helper", "helpers", "misc", "util", "utils"}
    assert [named(file) for file in CODE if {file.stem, file.parent.name} & vague] == []


def test_every_exception_has_a_code_and_a_reason() -> None:
    """Whoever meets an exception to a rule reads beside it why."""
    noqa = r"# noqa(?!: [A-Z]+[0-9]+(, [A-Z]+[0-9]+)* [-#] \S)"
    ignore = r"# type: ignore(?!\[[a-z-]+(, ?[a-z-]+)*\]\s+# \S)"
    this = Path(__file__)
    found = lines_with(rf"{noqa}|{ignore}", [file for file in CODE if file != this])
    assert list(found) == []


def test_no_test_is_skipped() -> None:
    """A test that does not run proves nothing."""
    tests = [file for file in CODE if named(file).startswith("tests") and file != Path(__file__)]
    assert list(lines_with(r"pytest\.(skip|importorskip|xfail)|mark\.(skip|xfail)", tests)) == []


def test_no_machine_of_ours_is_named() -> None:
    """Where packages come from, and where files lie, is each machine's own."""
    hosts = r"https?://[^/\s]*(pypi|pythonhost|maven|npm|golang|crates)|--index-url|--find-links"
    paths = r"(?<![\w.}/])/(work|home|tmp|Users)/"
    assert list(lines_with(f"{hosts}|{paths}", TEXTS)) == []


def links() -> Iterator[tuple[Path, str]]:
    for page in PAGES:
        text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if not re.match(r"[a-z]+:", target):
                yield page, target


def anchors(page: Path) -> set[str]:
    """The places of a page that a link can name, as they are made from its headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    """File and heading are there."""
    broken = []
    for where, target in links():
        if where != page:
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []
