"""The reference pages and the published contracts are what the code says."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from services import reference
from services.contracts.reject_reasons import SENTENCES
from services.reference.problems import PROBLEMS
from services.reference.writing import main
from services.runtime.metrics import TABLE

ROOT = Path(__file__).parents[2]


def test_the_pages_are_the_code_s() -> None:
    """What is committed is what `make reference` would write."""
    for name, text in reference.files().items():
        committed = (reference.DIRECTORY / name).read_text(encoding="utf-8")
        assert committed == text, f"{name}: run `make reference`"


def test_everything_is_on_a_page() -> None:
    """Each setting, each metric, each field of each record, each problem and rejection."""
    pages = reference.files()
    for model in reference.PROGRAMS.values():
        for name in model.model_fields:
            assert f"`{name.upper()}`" in pages["settings.md"]
    for metric in TABLE:
        assert f"`{metric.name}`" in pages["metrics.md"]
    for record in reference.RECORDS:
        for name in record.model_fields:
            assert f"`{name}`" in pages["messages.md"]
    for kinds in PROBLEMS.values():
        for kind in kinds:
            assert f"| `{kind.slug}` | {kind.status} |" in pages["problems.md"]
    for reason in SENTENCES:
        assert f"| `{reason}` |" in pages["problems.md"]


def test_a_page_that_is_not_the_code_s(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A check names the page and what to do, and writes nothing; writing mends it."""
    assert main(["--check"], tmp_path) == 1
    assert "topics.md is not what the code says: run `make reference`" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    assert main([], tmp_path) == 0
    assert main(["--check"], tmp_path) == 0
    (tmp_path / "metrics.md").write_text("old", encoding="utf-8")
    assert main(["--check"], tmp_path) == 1


def _drop_a_path(document: dict[str, dict[str, object]]) -> None:
    document["paths"]["/v1/gone"] = {"get": {"responses": {}}}


def _ask_for_less(document: dict[str, list[str]]) -> None:
    document["required"] = []


@pytest.mark.parametrize(
    ("name", "as_published", "problem"),
    [
        ("openapi-results.json", _drop_a_path, "openapi-results.json: GET /v1/gone: is gone"),
        (
            "schemas/inbound-contact.json",
            _ask_for_less,
            "schemas/inbound-contact.json: record.phone: is required, and was not",
        ),
    ],
)
def test_a_broken_contract_is_not_written(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    as_published: Callable[[object], None],
    problem: str,
) -> None:
    """If what was published promised more than the code keeps, all stays as it was."""
    main([], tmp_path)
    published = json.loads((tmp_path / name).read_text(encoding="utf-8"))
    as_published(published)
    (tmp_path / name).write_text(json.dumps(published), encoding="utf-8")
    (tmp_path / "metrics.md").write_text("old", encoding="utf-8")
    assert main([], tmp_path) == 1
    assert problem in capsys.readouterr().err
    assert (tmp_path / "metrics.md").read_text(encoding="utf-8") == "old"


def test_a_contract_that_nothing_makes_is_broken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A version that was published stays published."""
    main([], tmp_path)
    (tmp_path / "schemas" / "lookup-result-0.json").write_text("{}", encoding="utf-8")
    assert main([], tmp_path) == 1
    assert "schemas/lookup-result-0.json: is gone" in capsys.readouterr().err


def test_no_two_problems_have_one_type() -> None:
    """A type stands for one thing, whichever program answers with it."""
    slugs = [kind.slug for kinds in PROBLEMS.values() for kind in kinds]
    assert len(slugs) == len(set(slugs))


def test_a_problem_has_the_members_that_its_type_names() -> None:
    """What a caller is told of a problem's members is all that there is."""
    kinds = {
        name: value
        for module in ("ingest", "results", "runtime")
        for name, value in vars(
            __import__(f"services.{module}.problem_types", fromlist=["*"])
        ).items()
    }
    found = 0
    for file in (ROOT / "services").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Name(id="Problem"), args=[ast.Name(id=name), *_], keywords=given
                ) if name in kinds:
                    found += 1
                    members = {word.arg for word in given if word.arg} - {"headers"}
                    assert members <= set(kinds[name].members), (file, node.lineno)
    assert found > 10
