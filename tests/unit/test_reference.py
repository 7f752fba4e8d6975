"""The reference pages are what the code says."""

from __future__ import annotations

from pathlib import Path

import pytest

from services import reference
from services.runtime.metrics import TABLE


def test_the_pages_are_the_code_s() -> None:
    """What is committed is what `make reference` would write."""
    for name, text in reference.pages().items():
        committed = (reference.DIRECTORY / name).read_text(encoding="utf-8")
        assert committed == text, f"{name}: run `make reference`"


def test_everything_is_on_a_page() -> None:
    """Each setting of each program, each metric, each field of each record."""
    pages = reference.pages()
    for model in reference.PROGRAMS.values():
        for name in model.model_fields:
            assert f"`{name.upper()}`" in pages["settings.md"]
    for metric in TABLE:
        assert f"`{metric.name}`" in pages["metrics.md"]
    for record in reference.RECORDS:
        for name in record.model_fields:
            assert f"`{name}`" in pages["messages.md"]


def test_a_page_that_is_not_the_code_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A check names the page and what to do, and writes nothing; writing mends it."""
    monkeypatch.setattr(reference, "DIRECTORY", tmp_path)
    assert reference.main(["--check"]) == 1
    assert "topics.md is not what the code says: run `make reference`" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    assert reference.main([]) == 0
    assert reference.main(["--check"]) == 0
    (tmp_path / "metrics.md").write_text("old", encoding="utf-8")
    assert reference.main(["--check"]) == 1
