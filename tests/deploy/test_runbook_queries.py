"""What a runbook asks PostgreSQL and Prometheus can be asked, and reads what is there."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path

import asyncpg
import pytest
import yaml

from services.results.migrate import GRAFANA_ROLE, migrate
from services.runtime.metrics import TABLE
from tests.deploy.asked import rule_files, rules
from tests.deploy.promql import metrics, tokens
from tests.deploy.runbooks import FILLED_IN, blocks, filled_in, runbooks, said, text_of
from tests.deploy.series import OURS
from tests.deploy.tools import ToolError, run

#: What Prometheus and every process of ours have besides the table's metrics.
OTHER_METRICS = {"up", "process_cpu_seconds_total", "process_resident_memory_bytes"}
#: Labels that Prometheus gives to what it scrapes, and the one of every bucket.
TARGET_LABELS = {"instance", "job", "le", "namespace", "pod"}
#: What stands for a program in a selector; a group's name may begin with a prefix.
PROGRAM = {
    "job": re.compile(r"bulk-lookup-(ingest|lookup|scheduler|results|\.\+)"),
    "group": re.compile(r"\.\*(ingest|lookup|scheduler|results)"),
}
RUNBOOKS = pytest.mark.parametrize("page", runbooks(), ids=lambda page: page.stem)


# PostgreSQL


@pytest.fixture
async def reader(postgres: str) -> AsyncIterator[asyncpg.Connection]:
    """A session as the role that the runbooks' queries are for, on the newest schema."""
    await migrate(postgres)
    connection = await asyncpg.connect(postgres)
    await connection.execute(f"SET ROLE {GRAFANA_ROLE}")
    await connection.execute("SET default_transaction_read_only = on")
    # An empty table is read as a whole if it may be: what is left cannot be done by an index.
    await connection.execute("SET enable_seqscan = off")
    yield connection
    await connection.close()


def statements(page: Path) -> list[str]:
    return [
        statement.strip()
        for block in blocks(filled_in(text_of(page)), "sql")
        for statement in block.text.split(";")
        if statement.strip()
    ]


async def wrong_with(reader: asyncpg.Connection, statement: str) -> str | None:
    """Why a statement should not be run in the night; None if nothing speaks against it."""
    try:
        plan = "\n".join(row[0] for row in await reader.fetch(f"EXPLAIN {statement}"))
    except asyncpg.PostgresError as error:
        return str(error)
    whole = re.search(r"Seq Scan on (requests|history|answers)\b", plan)
    return f"it reads all of {whole[1]}" if whole else None


async def test_queries_run_for_who_may_see_no_number(reader: asyncpg.Connection) -> None:
    """Each is planned by PostgreSQL for that role, and reads no large table from end to end."""
    found = [(page.stem, statement) for page in runbooks() for statement in statements(page)]
    assert len(found) > 10
    wrong = [
        f"{name}: {why}: {statement}"
        for name, statement in found
        if (why := await wrong_with(reader, statement)) is not None
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT no_such_column FROM requests",
        "SELECT count(*) FROM no_such_table",
        "SELECT phone FROM requests",
        "SELECT * FROM requests",
        "SELECT count(*) FROM requests WHERE updated_at > now() - interval '1 hour'",
        "UPDATE requests SET state = 'dead'",
    ],
)
async def test_a_wrong_query_is_refused(reader: asyncpg.Connection, statement: str) -> None:
    """A column or table that is not there, personal data, a table as a whole, a change."""
    assert await wrong_with(reader, statement) is not None


# PromQL


def queries(text: str) -> list[str]:
    return [block.text.strip() for block in blocks(filled_in(text), "promql")]


def checked_by_promtool(expressions: list[str], file: Path) -> None:
    """Have promtool parse expressions, each as a rule.

    Raises:
        ToolError: One is not PromQL.
    """
    made = [{"record": f"query:{n}", "expr": expr} for n, expr in enumerate(expressions)]
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": made}]}), "utf-8")
    run("promtool", "check", "rules", "--lint=none", file)


@pytest.mark.needs_prometheus
@RUNBOOKS
def test_queries_are_promql(page: Path, tmp_path: Path) -> None:
    """Prometheus's own parser takes each."""
    if expressions := queries(text_of(page)):
        checked_by_promtool(expressions, tmp_path / "queries.yaml")


@pytest.mark.needs_prometheus
def test_what_is_no_promql_is_refused(tmp_path: Path) -> None:
    """A range that is missing is seen."""
    with pytest.raises(ToolError):
        checked_by_promtool(["rate(up)"], tmp_path / "queries.yaml")


@cache
def known_metrics() -> set[str]:
    """What a query may read: the table's, what rules record, and what every process has."""
    return {*OTHER_METRICS, *OURS} | {
        rule["record"] for _, rule in rules(rule_files()) if "record" in rule
    }


def unknown_in(expression: str) -> list[str]:
    """Metrics that nobody exposes, labels that none has, values that nobody sets."""
    wrong = sorted(metrics(expression) - known_metrics())
    labels = {label for row in TABLE for label in row.labels} | TARGET_LABELS
    lists = re.findall(r"\b(?:by|on|group_left) ?\(([^)]*)\)", expression)
    wrong += [label for text in lists for label in re.findall(r"\w+", text) if label not in labels]
    for token in tokens(expression):
        if token.kind == "braces":
            for label, values in re.findall(r'(\w+)\s*[!=]~?\s*"([^"]*)"', token.text):
                wrong += [value for value in values.split("|") if not _is_set(label, value)]
    return wrong


def _is_set(label: str, value: str) -> bool:
    if label in PROGRAM:
        return bool(PROGRAM[label].fullmatch(value))
    # An HTTP status is a number in the code.
    return label == "code" or value in said() or value in FILLED_IN.values()


@RUNBOOKS
def test_queries_read_what_is_there(page: Path) -> None:
    """Each metric is exposed or recorded, each label has values that the code sets."""
    assert [wrong for query in queries(text_of(page)) for wrong in unknown_in(query)] == []


@pytest.mark.parametrize(
    "expression",
    [
        "sum(lookup_no_such_metric)",
        "rate(lookup_produce_duration_seconds[5m])",
        'rate(twilio_requests_total{outcome="throttled"}[5m])',
        'lookup_consumer_lag_records{job="bulk-lookup-results-1"}',
        "sum by (namespace, process) (lookup_consumer_lag_records)",
    ],
)
def test_a_query_of_nothing_is_seen(expression: str) -> None:
    """No such metric, a histogram without its suffix, no such value, job or label."""
    assert unknown_in(expression) != []
