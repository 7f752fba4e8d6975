"""A real Prometheus as the local stack runs it."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Gauge, start_http_server

from services.local.processes import ServerError
from services.local.prometheus import PrometheusServer, Target
from tests.pipeline.left_over import running_below

pytestmark = pytest.mark.needs_prometheus

_GUARD_SECONDS = 60.0


class _Program:
    """A program with one metric, as far as Prometheus can tell."""

    def __init__(self, value: float) -> None:
        registry = CollectorRegistry()
        Gauge("made_up_records", "For this test.", registry=registry).set(value)
        self._server, self._thread = start_http_server(0, "127.0.0.1", registry)
        self.target = Target("lookup", "lookup-1", f"127.0.0.1:{self._server.server_port}")

    def end(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def program() -> Iterator[_Program]:
    """Something to scrape."""
    program = _Program(7)
    yield program
    program.end()


def watching(directory: Path, *scraped: Target, rules: tuple[Path, ...] = ()) -> PrometheusServer:
    """A Prometheus that looks often."""
    return PrometheusServer(
        directory, scraped=scraped, rules=rules, scrape_seconds=0.2, evaluation_seconds=0.2
    )


def series(server: PrometheusServer, query: str) -> list[dict[str, Any]]:
    """What a query gives now."""
    found: list[dict[str, Any]] = server.ask("query", {"query": query})["result"]
    return found


def until(condition: Callable[[], Any]) -> Any:
    """Poll until it is true, and give what it was."""
    deadline = time.monotonic() + _GUARD_SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def test_it_scrapes_evaluates_and_keeps_its_series(
    server_directory: Path, tmp_path: Path, program: _Program
) -> None:
    """A metric comes with the labels that rules select by, and is there after a stop.

    A program that has ended is seen as down.
    """
    gone = _Program(1)
    gone.end()
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        "groups: [{name: test, rules: ["
        "{record: 'made:up', expr: 'sum by (job) (made_up_records) * 2'},"
        "{alert: MadeUp, expr: 'made_up_records > 5'}]}]\n",
        encoding="utf-8",
    )
    server = watching(
        server_directory,
        program.target,
        replace(gone.target, name="lookup-2"),
        rules=(rules,),
    )

    with server:
        (found,) = until(lambda: series(server, "made_up_records"))
        assert found["metric"] == {
            "__name__": "made_up_records",
            "instance": program.target.address,
            "job": "bulk-lookup-lookup",
            "namespace": "local",
            "pod": "lookup-1",
        }
        assert found["value"][1] == "7"
        (recorded,) = until(lambda: series(server, "made:up"))
        assert (recorded["metric"]["job"], recorded["value"][1]) == ("bulk-lookup-lookup", "14")
        until(lambda: [a for a in server.ask("alerts")["alerts"] if a["state"] == "firing"])
        until(lambda: series(server, 'up{pod="lookup-2"} == 0'))
        assert series(server, 'up{pod="lookup-1"} == 1') != []
        assert running_below(server_directory) != []

    assert running_below(server_directory) == []
    with server:
        assert series(server, "max_over_time(made_up_records[1h])") != []


def test_its_page_of_alerts_is_there(server_directory: Path) -> None:
    """The address that `up` shows answers, whichever pages this Prometheus was built with."""
    with PrometheusServer(server_directory) as server:
        page = server.alerts_page()
        assert page.startswith(server.url)
        assert server._get(page.removeprefix(server.url))[0] == 200


def test_rules_that_cannot_be_read_end_it_at_its_start(
    server_directory: Path, tmp_path: Path
) -> None:
    """The error carries what Prometheus says of them, and nothing is left running."""
    rules = tmp_path / "rules.yaml"
    rules.write_text("groups: [{name: test, rules: [{record: 'a', expr: 'sum('}]}]\n", "utf-8")

    with pytest.raises(ServerError, match=r"ended at its start(?s:.*)unclosed left parenthesis"):
        PrometheusServer(server_directory, rules=[rules]).start()

    assert running_below(server_directory) == []


def test_a_query_that_cannot_be_read_is_refused(server_directory: Path) -> None:
    """What Prometheus says against it is passed on."""
    with (
        PrometheusServer(server_directory) as server,
        pytest.raises(ServerError, match="parse error"),
    ):
        server.ask("query", {"query": "sum("})
