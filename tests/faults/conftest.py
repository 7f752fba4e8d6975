"""Fixtures of the fault tests, and the report of what they measured."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.faults.cases import Case
from tests.faults.scene import Scene
from tests.faults.starting import Servers, run_servers, start_case

StartCase = Callable[[Case], AbstractContextManager[Scene]]


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    """Servers of this module's own."""
    with run_servers() as started:
        yield started


@pytest.fixture
def start(servers: Servers, pipeline_directory: Path) -> StartCase:
    """Start what a case describes; it is ended with the context."""

    @contextmanager
    def started(case: Case) -> Iterator[Scene]:
        with ExitStack() as stack:
            yield start_case(case, servers, pipeline_directory, stack)

    return started


@pytest.fixture
def note_figures(request: pytest.FixtureRequest) -> Callable[[dict[str, object]], None]:
    """Keep what a case measured, for the end of the run and the file that FAULT_FIGURES names."""

    def note(figures: dict[str, object]) -> None:
        request.node.user_properties.append(("figures", figures))
        if file := os.environ.get("FAULT_FIGURES"):
            line = {"case": request.node.callspec.id, **figures}
            with Path(file).open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(line) + "\n")

    return note


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the cases measured."""
    told = [
        (report.nodeid.rsplit("[", 1)[-1].rstrip("]"), value)
        for report in terminalreporter.stats.get("passed", [])
        for name, value in report.user_properties
        if name == "figures"
    ]
    if told:
        terminalreporter.section("measured under faults")
    for name, figures in told:
        terminalreporter.line(f"{name}: {json.dumps(figures)}")
