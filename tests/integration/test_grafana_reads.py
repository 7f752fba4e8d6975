"""What the role that Grafana's user is granted may do in PostgreSQL: read the dashboards, no more."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from deploy.grafana.alerts import managed
from deploy.grafana.queries import Asked, every_query
from services.results.migrate import GRAFANA_ROLE, migrate

PANELS = [query for query in every_query() if query.language == "sql"]
#: The question of the one alert that PostgreSQL answers.
(PASSED_OVER,) = (
    query["model"]["rawSql"]
    for rule in managed()
    for query in rule["data"]
    if "rawSql" in query["model"]
)
NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)
PERSONAL = ("14155550100", "LOVELACE", "customer 7", "people.csv", "Ada asked", "'ada'")
EARLY, LATE, STANDING = UUID(int=1), UUID(int=2), UUID(int=3)

# Two uploads, one of which has had nothing for an hour, and what came by contacts.inbound.
_FILL = """
INSERT INTO jobs (job_id, source, state, idempotency_key, file_name, account, packages, created_at)
VALUES ($1, 'tests', 'sealed', 'key', 'people.csv', 'main', '{basic}', $4::timestamptz - interval '8 hours'),
       ($2, 'tests', 'sealed', 'key2', 'people.csv', 'main', '{basic}', $4::timestamptz - interval '2 hours'),
       ($3, 'crm', 'standing', NULL, NULL, 'main', '{basic}', $4::timestamptz - interval '9 days')"""
_CONTACT = """
INSERT INTO requests (request_id, job_id, source, account, phone, reference, packages, row_number,
    accepted_at, state, generation, turn, answers, ended_at, last_error)
VALUES ($1, $2, 'tests', 'main', '+14155550100', 'customer 7', '{basic,caller_name}', 1, $4, $3, 0,
    1, '{"basic": {"status": "ok", "billed": "no", "reused": true, "data": {"valid": true}},
         "caller_name": {"status": "failed", "code": 60600, "billed": "yes",
                         "data": {"caller_name": "ADA LOVELACE"}}}', $5, '60600')"""
_COUNT = """
INSERT INTO job_counts VALUES ($1, $2, 1)
ON CONFLICT (job_id, state) DO UPDATE SET n = job_counts.n + 1"""


async def add(
    connection: asyncpg.Connection, number: int, job: UUID, state: str, ended: datetime | None
) -> None:
    """One contact, and its counter."""
    accepted = NOW - timedelta(hours=9)
    await connection.execute(_CONTACT, UUID(int=number), job, state, accepted, ended)
    await connection.execute(_COUNT, job, state)


@pytest.fixture
async def admin(postgres: str) -> AsyncIterator[asyncpg.Connection]:
    """A session of the owner in a migrated database with three jobs."""
    await migrate(postgres)
    connection = await asyncpg.connect(postgres)
    await connection.execute(_FILL, EARLY, LATE, STANDING, NOW)
    await add(connection, 1, EARLY, "completed", NOW - 3 * HOUR)
    await add(connection, 2, LATE, "dead", NOW - HOUR / 2)
    await connection.execute(
        'INSERT INTO dead_letters (topic, partition, "offset", dead_letter_id, reason, detail,'
        " job_id, request_id, recorded_at, value) VALUES ('lookup.dead-letters', 0, 1, $1,"
        " 'attempts-exhausted', 'no +14155550100', $2, $1, now(), '+14155550100')",
        UUID(int=2),
        LATE,
    )
    await connection.execute(
        "INSERT INTO holds VALUES ('account:main:person', true, 'Ada asked', 'ada', now())"
    )
    yield connection
    await connection.close()


@pytest.fixture
async def grafana(admin: asyncpg.Connection, postgres: str) -> AsyncIterator[asyncpg.Connection]:
    """A session of a user that is granted the role, as Grafana's is."""
    user = f"g{postgres.rpartition('/')[2]}"
    await admin.execute(f"CREATE ROLE {user} LOGIN; GRANT {GRAFANA_ROLE} TO {user}")
    connection = await asyncpg.connect(postgres.replace("postgres@", f"{user}@"))
    yield connection
    await connection.close()
    await admin.execute(f"DROP ROLE {user}")


@pytest.mark.parametrize("query", PANELS, ids=lambda query: query.place)
async def test_every_panel_can_be_read(query: Asked, grafana: asyncpg.Connection) -> None:
    """Each query brings rows to a user with the role alone, and nothing that tells of a person."""
    rows = await grafana.fetch(query.filled_in())
    assert rows
    if " AS metric" in query.text:
        assert list(rows[0].keys()) == ["time", "metric", "value"]
    assert [secret for secret in PERSONAL if secret in repr(rows)] == []


def test_there_are_panels() -> None:
    """The test above is about something."""
    assert len(PANELS) > 5


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT phone FROM requests",
        "SELECT reference FROM requests",
        "SELECT answers FROM requests",
        "SELECT * FROM requests",
        "SELECT to_jsonb(r) FROM requests r",
        "SELECT state FROM requests WHERE phone = '+14155550100'",
        "SELECT 1 FROM answers",
        "SELECT extra FROM requests",
        "SELECT masked_text FROM rejected",
        "SELECT cells FROM rejected",
        "SELECT headings FROM jobs",
        "SELECT detail FROM dead_letters",
        "SELECT value FROM dead_letters",
        "SELECT file_name FROM jobs",
        "SELECT idempotency_key FROM jobs",
        "SELECT options FROM jobs",
        "SELECT why FROM holds",
        "SELECT by FROM holds",
        "INSERT INTO job_counts VALUES (gen_random_uuid(), 'completed', 1)",
        "UPDATE requests SET state = 'completed'",
        "UPDATE holds SET held = false",
        "DELETE FROM job_counts",
        "TRUNCATE job_counts",
        "CREATE TABLE mine (n integer)",
    ],
)
async def test_numbers_and_writing_are_refused(statement: str, grafana: asyncpg.Connection) -> None:
    """Neither a number, a name, a reference or a record's bytes can be read, nor anything changed."""
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await grafana.execute(statement)


async def test_a_job_that_later_ones_overtake_is_counted(
    admin: asyncpg.Connection, grafana: asyncpg.Connection
) -> None:
    """Only while it has contacts before lookup and none of them ends, and a later job's do."""

    async def passed() -> float:
        (row,) = await grafana.fetch(PASSED_OVER)
        assert list(row.keys()) == ["time", "value"]
        return float(row["value"])

    assert await passed() == 0, "nothing waits"
    await add(admin, 3, STANDING, "pending", None)
    assert await passed() == 0, "contacts.inbound goes on for ever"
    await add(admin, 4, EARLY, "retrying", None)
    assert await passed() == 0, "a retry waits on purpose"
    await add(admin, 5, EARLY, "pending", None)
    assert await passed() == 1
    await add(admin, 6, EARLY, "invalid", NOW - HOUR / 4)
    assert await passed() == 0, "it goes on"
    await admin.execute(
        "UPDATE requests SET ended_at = $1 WHERE request_id = $2", NOW - 2 * HOUR, UUID(int=6)
    )
    assert await passed() == 1
    await admin.execute("UPDATE requests SET ended_at = $1 WHERE job_id = $2", NOW - 2 * HOUR, LATE)
    assert await passed() == 0, "nothing goes on: that is for another alert"
