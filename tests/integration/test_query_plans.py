"""On a million contacts, every list is read by an index."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from deploy.grafana.queries import every_query
from services.local.postgres import PostgresServer
from services.results.migrate import migrate
from services.results.queries import QUERIES

# Half of a million contacts are of one job, the others of a hundred jobs. Indexes are made
# after the rows, as they stand in the schema, which takes half the time.
_FILL = """
SET maintenance_work_mem = '256MB';
ALTER TABLE requests SET UNLOGGED;
CREATE TEMP TABLE dropped AS
SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS made_by
FROM pg_index WHERE indrelid = 'requests'::regclass AND NOT indisprimary;
DO $$ DECLARE one record; BEGIN
    FOR one IN SELECT * FROM dropped LOOP EXECUTE 'DROP INDEX ' || one.name; END LOOP;
END $$;

CREATE FUNCTION id(n bigint) RETURNS uuid IMMUTABLE LANGUAGE sql
    RETURN lpad(to_hex(n), 32, '0')::uuid;

INSERT INTO jobs (job_id, source, state, account, packages, created_at)
SELECT id(n), 'tests', 'sealed', 'main', '{basic,caller_name}',
       timestamptz '2026-01-01Z' + n * interval '1 s'
FROM generate_series(1, 2000) n;
INSERT INTO job_counts SELECT job_id, s, 10 FROM jobs, unnest('{completed,dead}'::text[]) s;

INSERT INTO requests (request_id, job_id, source, account, phone, packages, row_number,
    accepted_at, state, generation, turn, answers, ended_at)
SELECT id(n), id(CASE WHEN n <= 500000 THEN 1 ELSE 2 + n % 100 END), 'tests', 'main',
       '+1415' || 2000000 + n % 900000, '{basic,caller_name}', n,
       timestamptz '2026-01-01Z' + n * interval '1 ms', state, 0, 1,
       CASE WHEN state <> 'completed' THEN '{}'
            WHEN n % 1000 = 550
            THEN '{"basic": {"status": "ok"}, "caller_name": {"status": "failed"}}'
            ELSE '{"basic": {"status": "ok"}, "caller_name": {"status": "ok"}}'
       END::jsonb,
       CASE WHEN state IN ('completed', 'dead')
            THEN timestamptz '2026-01-02Z' + n * interval '1 ms' END
FROM (
    SELECT n, CASE WHEN n % 100 = 0 THEN 'dead' WHEN n % 100 = 1 THEN 'parked'
                   WHEN n % 100 < 10 THEN 'pending' ELSE 'completed' END AS state
    FROM generate_series(1, 1000000) n
) drawn;
DO $$ DECLARE one record; BEGIN
    FOR one IN SELECT * FROM dropped LOOP EXECUTE one.made_by; END LOOP;
END $$;

INSERT INTO answers
SELECT 'main', '+1415' || 2000000 + n, 'basic', now(), '{}', id(n)
FROM generate_series(1, 200000) n;
INSERT INTO dead_letters (topic, partition, "offset", dead_letter_id, reason, detail, job_id,
    request_id, recorded_at)
SELECT 'lookup.dead-letters', n % 12, n, id(n),
       CASE WHEN n % 100 = 0 THEN 'undecodable' ELSE 'attempts-exhausted' END, '',
       id(1 + n % 100), id(100 * n), timestamptz '2026-01-01Z' + n * interval '1 s'
FROM generate_series(1, 10000) n;
INSERT INTO rejected
SELECT id(n), id(1 + n % 10), n, 'phone', 'too-short', '***', now()
FROM generate_series(1, 50000) n;
"""

LARGE = UUID(int=1)
SMALL = UUID(int=2)
ROW = (250_000, UUID(int=250_000))
AT = datetime(2026, 1, 1, 0, 30, tzinfo=UTC)
LETTER = (AT, "lookup.dead-letters", 3, 900)
ANY_STATE = ["completed", "dead", "pending"]
FAILED = '$.*.status ? (@ == "failed")'

#: Arguments of each statement, and the indexes it is read by.
PLANS: dict[str, tuple[tuple[Any, ...], set[str]]] = {
    "jobs_page": ((AT, SMALL, 101), {"jobs_by_creation"}),
    "job": ((LARGE,), {"jobs_pkey"}),
    "job_file": ((LARGE,), {"jobs_pkey"}),
    "job_ended_since": ((LARGE, AT), {"requests_ended"}),
    "job_last_ended": ((LARGE, "dead", 5), {"requests_ended"}),
    "job_packages": ((SMALL,), {"requests_by_job"}),
    "job_reasons": ((LARGE,), {"requests_by_job_state", "dead_letters_by_job"}),
    "job_holds": ((f"job:{LARGE}:", "account:main:"), set()),
    "results_page": ((LARGE, *ROW, 101), {"requests_by_job"}),
    "results_page_by_state": ((LARGE, *ROW, 101, "dead"), {"requests_by_job_state"}),
    "results_page_by_answer": ((LARGE, *ROW, 101, ANY_STATE, FAILED), {"requests_by_job"}),
    "results_page_by_failure": ((LARGE, *ROW, 101, ANY_STATE, FAILED), {"requests_with_failures"}),
    "rejected_page": ((LARGE, *ROW, 101), {"rejected_by_job"}),
    "rejected_cells_page": ((LARGE, *ROW, 501), {"rejected_by_job"}),
    "number_answers": (("+14152000007", None), {"answers_pkey"}),
    "number_requests": (("+14152000007", None, 51), {"requests_by_phone"}),
    "dead_letters_page": ((*LETTER, 101), {"dead_letters_by_time", "requests_pkey"}),
    "dead_letters_page_by_reason": (
        (*LETTER, 101, "undecodable"),
        {"dead_letters_by_reason", "requests_pkey"},
    ),
    "dead_letters_page_by_job": (
        (*LETTER, 101, SMALL, None),
        {"dead_letters_by_job", "requests_pkey"},
    ),
    "dead_letters_by_reason": ((), set()),
    "accounts": ((), {"requests_parked"}),
    "holds": ((), set()),
    "counts": ((), set()),
    "jobs_by_state": ((), set()),
    "oldest_unfinished": ((), {"requests_unfinished"}),
}


@pytest.fixture(scope="module")
def million(postgres_server: PostgresServer) -> Iterator[str]:
    """URL of a migrated database with a million contacts, dropped afterwards."""
    url = postgres_server.create_database("million")

    async def fill() -> None:
        await migrate(url)
        connection = await asyncpg.connect(url)
        await connection.execute(_FILL)
        await connection.execute("VACUUM ANALYZE")
        await connection.close()

    async def drop() -> None:
        connection = await asyncpg.connect(postgres_server.url())
        await connection.execute("DROP DATABASE million WITH (FORCE)")
        await connection.close()

    asyncio.run(fill())
    yield url
    asyncio.run(drop())


async def test_every_list_is_read_by_its_index(million: str) -> None:
    """Each statement takes the index that was made for it, and scans no large table whole.

    Also with the plan that PostgreSQL keeps for all arguments alike.
    """
    assert set(PLANS) == set(QUERIES)
    connection = await asyncpg.connect(million)
    wrong = []
    for name, (arguments, indexes) in PLANS.items():
        (plan,) = json.loads(
            await connection.fetchval(f"EXPLAIN (FORMAT JSON) {QUERIES[name]}", *arguments)
        )
        used = {node["Index Name"] for node in nodes(plan["Plan"]) if "Index Name" in node}
        if not indexes <= used:
            wrong.append(f"{name} takes {used or 'no index'} instead of {indexes}")
        wrong += [f"{name} scans {table}" for table in scanned(plan["Plan"])]
        for table in scanned(await generic_plan(connection, name, len(arguments))):
            wrong.append(f"{name} scans {table} by its generic plan")
    await connection.close()
    assert wrong == []


async def test_every_panel_is_read_by_its_index(million: str) -> None:
    """What Grafana asks scans no large table whole, for a time range that is a part of it."""
    connection = await asyncpg.connect(million)

    async def wrong() -> list[str]:
        found = []
        for query in every_query():
            if query.language == "sql":
                text = query.filled_in(since="timestamptz '2026-01-02 00:15Z'")
                (plan,) = json.loads(await connection.fetchval(f"EXPLAIN (FORMAT JSON) {text}"))
                found += [f"{query.place} scans {table}" for table in scanned(plan["Plan"])]
        return found

    sound = await wrong()
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("DROP INDEX requests_by_end, requests_failed_by_end")
    without_indexes = await wrong()
    await transaction.rollback()
    await connection.close()
    assert sound == []
    assert without_indexes != []


async def generic_plan(connection: asyncpg.Connection, name: str, arguments: int) -> dict[str, Any]:
    """The plan of a statement for arguments that are not known."""
    await connection.execute("SET plan_cache_mode = force_generic_plan")
    await connection.execute(f"PREPARE {name} AS {QUERIES[name]}")
    nulls = f"({', '.join(['NULL'] * arguments)})" if arguments else ""
    (plan,) = json.loads(await connection.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE {name}{nulls}"))
    await connection.execute("RESET plan_cache_mode")
    return dict(plan["Plan"])


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every node of a plan."""
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


def scanned(plan: dict[str, Any]) -> list[str]:
    """The large tables that a plan reads from end to end."""
    return [
        node["Relation Name"]
        for node in nodes(plan)
        if node["Node Type"] == "Seq Scan"
        and node["Relation Name"] in {"requests", "history", "answers"}
    ]
