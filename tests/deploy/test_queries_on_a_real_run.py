"""Every query that we ship, on a real Prometheus and PostgreSQL that saw one run of the pipeline."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
import yaml
from aiokafka import AIOKafkaProducer

from services.local.prometheus import PrometheusServer, targets
from services.local.twilio.config import Account, Latency, SimulatorConfig
from services.local.twilio.faults import Fault
from services.lookup.twilio import PROBE_NUMBER
from tests.deploy.asked import of_panels, of_rules, rule_files, without_data
from tests.pipeline.books import PACKAGE
from tests.pipeline.harness import Pipeline, StartPipeline
from tests.pipeline.traffic import Traffic

#: A package that an account's quota ends in the run.
_STOPPED = "caller_name"
_ROLE = "bulk_lookup_grafana"
#: Room of all uploads together; a file that is larger gets 503.
_SPOOL_BYTES = 1_000_000
#: Of a refused account: so many that they fall into several scrapes.
_PROBES = 3
#: What is no number, each in a way of its own.
_ROWS_REJECTED = ["", "4.15E+09", "none"]


def _only(number: str) -> Any:
    return "\\" + number + "$"


def _simulator(gone: str, over_quota: str, broken: str) -> SimulatorConfig:
    """Two accounts, and a little of everything that goes wrong at Twilio."""
    once = {"times_per_number": 1}
    return SimulatorConfig(
        accounts=tuple(
            Account(name=name, sid="SK" + digit * 32, secret="simulated", concurrency=20)
            for name, digit in (("default", "0"), ("second", "1"))
        ),
        latency=Latency(median_seconds=0.02),
        faults=(
            Fault(name="gone", kind="not_found", number=_only(gone)),
            Fault(name="broken", kind="http_500", number=_only(broken)),
            Fault(
                name="quota",
                kind="package_error",
                number=_only(over_quota),
                package=_STOPPED,
                code=60611,
                **once,
            ),
            Fault(name="503", kind="http_503", share=0.1, **once),
            Fault(name="429", kind="rate_limited", share=0.1, **once),
            Fault(name="cut", kind="cut", share=0.1, **once),
            Fault(name="unknown", kind="http_error", status=418, code=1, share=0.05, **once),
            Fault(
                name="package",
                kind="package_error",
                package=PACKAGE,
                code=60610,
                share=0.1,
            ),
        ),
    )


async def _produce(pipeline: Pipeline, *values: bytes) -> None:
    servers = pipeline.settings["KAFKA_BOOTSTRAP_SERVERS"]
    topic = f"{pipeline.settings['KAFKA_TOPIC_PREFIX']}contacts.inbound"
    async with AIOKafkaProducer(bootstrap_servers=servers) as producer:
        for value in values:
            await producer.send_and_wait(topic, value)


def _send_more_than_fits(pipeline: Pipeline) -> None:
    with pipeline.api as api, pytest.raises(httpx.HTTPStatusError, match="503"):
        api.submit(b"phone" + b"\n" * _SPOOL_BYTES)


def _show_variety(pipeline: Pipeline, numbers: list[str]) -> None:
    """A file that is refused, rejected rows, reuse, bad records, and what is held, by whom."""
    _send_more_than_fits(pipeline)
    first = [numbers[0], *numbers[3:20]]
    pipeline.wait_complete(pipeline.submit([*first, *_ROWS_REJECTED], packages=PACKAGE))
    pipeline.submit(first, packages=PACKAGE, key="reused")
    pipeline.submit(numbers[2:3], packages=PACKAGE)
    asyncio.run(
        _produce(pipeline, b"no JSON", json.dumps({"phone": "none", "source": "crm"}).encode())
    )
    _act(pipeline, "stop")
    held = pipeline.submit(numbers[20:40], packages=PACKAGE, account="second")
    pipeline.wait_until("a job is held", lambda: pipeline.counts(held).get("parked"))
    _act(pipeline, "resume")
    pipeline.wait_complete(held)
    _refuse_for_a_while(pipeline, numbers[20:40])
    over_quota = pipeline.submit(numbers[1:2], packages=_STOPPED, account="second")
    pipeline.wait_until("a package is held", lambda: pipeline.counts(over_quota).get("parked"))
    # It stays so: panels that show what is held show something.
    _act(pipeline, "stop")


def _refuse_for_a_while(pipeline: Pipeline, numbers: list[str]) -> None:
    """Until it was probed often enough for a rate."""
    control = pipeline.simulator.control
    control.set_account("second", state="refused")
    options = {"packages": PACKAGE, "account": "second", "fresh_for": "0s"}
    refused = pipeline.submit(numbers, key="refused", **options)

    def probes() -> int:
        return sum(call.number == PROBE_NUMBER for call in pipeline.calls())

    pipeline.wait_until("the account is probed", lambda: probes() >= _PROBES)
    control.set_account("second", state="ok")
    pipeline.wait_complete(refused)


def _act(pipeline: Pipeline, what: str) -> None:
    with pipeline.api as api:
        api.post(f"/v1/accounts/second/{what}", {"why": "to see a hold"})


def _at_once(directory: Path) -> list[Path]:
    """The shipped rules, evaluated as often as Prometheus is told, and alerts without a delay."""
    directory.mkdir()
    written = []
    for name, content in rule_files().items():
        for group in content["groups"]:
            group.pop("interval", None)
            for rule in group["rules"]:
                rule.pop("for", None)
        written.append(directory / name)
        written[-1].write_text(yaml.safe_dump(content), encoding="utf-8")
    return written


class _Sources:
    """Everything that we ask, of whom, and what is asked."""

    def __init__(self, prometheus: PrometheusServer, database_url: str) -> None:
        self._prometheus = prometheus
        self._database_url = database_url
        self._promql, self._sql = _promql(), of_panels("sql")

    @property
    def names(self) -> set[str]:
        """Every query."""
        return self._promql.keys() | self._sql.keys()

    def silent(self, names: Iterable[str]) -> set[str]:
        """Those of the queries that give nothing now."""
        names = set(names)
        return {
            name
            for name in names & self._promql.keys()
            if not _gives_number(self._prometheus, self._promql[name])
        } | asyncio.run(_without_rows(self._database_url, self._sql, names & self._sql.keys()))


def _promql() -> dict[str, str]:
    return of_rules(rule_files()) | of_panels("promql")


def _gives_number(prometheus: PrometheusServer, query: str) -> bool:
    """Whether a query gives a number: an empty answer is none, and neither is 0/0."""
    data = prometheus.ask("query", {"query": query})
    scalar = data["resultType"] == "scalar"
    values = [data["result"]] if scalar else [series["value"] for series in data["result"]]
    return any(not math.isnan(float(value)) for _, value in values)


async def _without_rows(url: str, queries: Mapping[str, str], names: Iterable[str]) -> set[str]:
    """Those of the queries whose answer, to the role of the dashboards, has no value in it."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f"SET ROLE {_ROLE}")
        return {
            name
            for name in names
            if not any(
                any(value is not None for value in row)
                for row in await connection.fetch(queries[name])
            )
        }
    finally:
        await connection.close()


@pytest.mark.needs_prometheus
def test_every_query_gives_data(start_pipeline: StartPipeline, pipeline_directory: Path) -> None:
    """Each query of a rule or a panel gives data in a healthy run, or is listed with a reason.

    One that is listed gives none: else its entry is needed no more.
    """
    numbers = Pipeline.numbers(1_000)
    pipeline = start_pipeline(
        # In the last one a contact waits to the end: its partition has lag, and stands still.
        settings={
            "RETRY_DELAYS": "300ms,600ms,1h",
            "SPOOL_LIMIT_BYTES": str(_SPOOL_BYTES),
            "PROBE_INTERVAL": "1s",
        },
        simulator=_simulator(numbers[0], numbers[1], numbers[2]),
    )
    prometheus = PrometheusServer(
        pipeline_directory / "prometheus",
        scraped=targets(pipeline.stack.programs.values()),
        rules=_at_once(pipeline_directory / "rules"),
        scrape_seconds=1,
        evaluation_seconds=1,
    )
    sources = _Sources(prometheus, pipeline.settings["DATABASE_URL"])
    listed = without_data().keys()
    wanted = sources.names - listed

    def all_spoken() -> bool:
        wanted.intersection_update(sources.silent(wanted))
        return not wanted

    with (
        prometheus,
        Traffic(pipeline, numbers[40:], rows=10, records=2, packages=PACKAGE),
    ):
        _show_variety(pipeline, numbers)
        pipeline.wait_until("every query gives data", all_spoken, explain=lambda: wanted)
        assert sources.silent(listed) == listed, "what gives data is listed for nothing"


def test_what_is_listed_is_asked() -> None:
    """The list of queries without data names only queries that there are, each with its fault."""
    asked = _promql().keys() | of_panels("sql").keys()
    for name, fault in without_data().items():
        assert name in asked
        assert len(fault.split()) > 2
