"""A database of a release, brought up to date: its rows, and both releases' statements."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from services.contracts.turns import State
from services.results import migrate as migrations
from services.results.migrate import Migration, migrate, shipped
from tests.contracts.record_release import RELEASED, read_statements, statements

#: The folder of each release.
EACH = pytest.mark.parametrize("release", sorted(RELEASED.glob("*.*")), ids=lambda r: r.name)
#: What would break the release before, which still runs, or lose what it stored.
NARROWING = re.compile(
    r"\b(DROP|RENAME|TRUNCATE|DELETE|REVOKE|SET\s+NOT\s+NULL|ALTER\s+COLUMN\s+\S+\s+(SET\s+DATA\s+)?TYPE"
    r"|ADD\s+(CONSTRAINT|CHECK|UNIQUE|PRIMARY|FOREIGN|EXCLUDE)|CREATE\s+UNIQUE)\b",
    re.IGNORECASE,
)
ADDED = re.compile(r"\bADD\s+COLUMN\b([^,;]*)", re.IGNORECASE)


def narrowed(sql: str) -> list[str]:
    """What of a migration is more than an addition."""
    code = re.sub(r"--.*|'(?:[^']|'')*'", "''", sql)
    found = [" ".join(match[0].split()) for match in NARROWING.finditer(code)]
    added = [column.upper() for column in ADDED.findall(code)]
    return found + [column for column in added if "NOT NULL" in column and "DEFAULT" not in column]


def of_release(release: Path) -> list[Migration]:
    """The migrations that a release had applied."""
    rows = (release / "rows.sql").read_text("utf-8")
    names = re.findall(r"schema_migrations .*VALUES \(\d+, '(\S+)'", rows)
    found = [migration for migration in shipped() if migration.name in names]
    assert [migration.name for migration in found] == names
    return found


async def content(connection: asyncpg.Connection, columns: dict[str, list[str]]) -> dict[str, Any]:
    """Every row of the tables, in any order, with these columns."""
    return {
        table: sorted(
            str(tuple(row))
            for row in await connection.fetch(f"SELECT {listed} FROM {table}")  # noqa: S608 - names of this file's own
        )
        for table, names in columns.items()
        for listed in [", ".join(f'"{name}"' for name in names)]
    }


async def columns_of(connection: asyncpg.Connection) -> dict[str, list[str]]:
    """The columns of each table that holds what the programs stored."""
    rows = await connection.fetch(
        "SELECT table_name, column_name FROM information_schema.columns JOIN "
        "information_schema.tables USING (table_schema, table_name) WHERE table_schema = 'public' "
        "AND table_type = 'BASE TABLE' AND table_name <> 'schema_migrations' ORDER BY 1, 2"
    )
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row["table_name"], []).append(row["column_name"])
    return found


async def refused(connection: asyncpg.Connection, said: list[tuple[str, str]]) -> list[str]:
    """The statements that PostgreSQL would not run as their program's role."""
    found = []
    for program, statement in said:
        try:
            async with connection.transaction():
                await connection.execute(f"SET LOCAL ROLE bulk_lookup_{program}")
                await connection.execute(f"EXPLAIN (GENERIC_PLAN) {statement}")
        except asyncpg.PostgresError as error:
            found.append(f"{program}: {error}: {statement}")
    return found


@pytest.fixture
async def connection(postgres: str) -> AsyncIterator[asyncpg.Connection]:
    """To an empty database, as its owner."""
    opened = await asyncpg.connect(postgres)
    yield opened
    await opened.close()


@pytest.fixture
def at_release(connection: asyncpg.Connection, postgres: str, monkeypatch: Any) -> Any:
    """Makes a database as a release left it."""

    async def make(release: Path) -> None:
        with monkeypatch.context() as then:
            then.setattr(migrations, "shipped", lambda: of_release(release))
            await migrate(postgres)
        # The release's own rows of it: they have the sums of the files as it applied them.
        await connection.execute("DELETE FROM schema_migrations")
        await connection.execute((release / "rows.sql").read_text("utf-8"))

    return make


@EACH
async def test_rows_outlive_the_upgrade(
    release: Path, at_release: Any, connection: asyncpg.Connection, postgres: str
) -> None:
    """Every table had rows, and has the same ones after today's migrations."""
    await at_release(release)
    columns = await columns_of(connection)
    before = await content(connection, columns)
    assert [table for table, rows in before.items() if not rows] == []

    applied = [migration.name for migration in shipped() if migration not in of_release(release)]
    assert await migrate(postgres) == applied
    assert await content(connection, columns) == before


@EACH
async def test_both_releases_run_on_the_new_schema(
    release: Path, at_release: Any, connection: asyncpg.Connection, postgres: str
) -> None:
    """Every statement of the release and of today is run by its program's role."""
    await at_release(release)
    await migrate(postgres)
    theirs = read_statements((release / "statements.sql").read_text("utf-8"))
    assert {program for program, _ in theirs} == {"ingest", "lookup", "results"}
    assert await refused(connection, theirs) == []
    assert await refused(connection, statements()) == []


@EACH
async def test_a_schema_that_narrowed_is_seen(
    release: Path, at_release: Any, connection: asyncpg.Connection, postgres: str
) -> None:
    """A column that is gone, or a right, is met by some statement of the release."""
    await at_release(release)
    await migrate(postgres)
    theirs = read_statements((release / "statements.sql").read_text("utf-8"))
    for change in (
        "ALTER TABLE requests DROP COLUMN kept",
        "ALTER TABLE stored_offsets RENAME COLUMN next_offset TO place",
        "REVOKE UPDATE ON jobs FROM bulk_lookup_ingest",
        "REVOKE SELECT ON answers FROM bulk_lookup_lookup",
    ):
        undone = connection.transaction()
        await undone.start()
        await connection.execute(change)
        assert await refused(connection, theirs), change
        await undone.rollback()


@EACH
async def test_the_counters_of_a_release_are_its_rows(
    release: Path, at_release: Any, connection: asyncpg.Connection, postgres: str
) -> None:
    """What was recorded adds up, before the upgrade and after it: it is a state that was real."""
    await at_release(release)
    await migrate(postgres)
    counted = await connection.fetch(
        "SELECT job_id, state, count(*) AS n FROM requests GROUP BY 1, 2 ORDER BY 1, 2"
    )
    counters = await connection.fetch(
        "SELECT job_id, state, n FROM job_counts WHERE n > 0 AND state <> 'rejected' ORDER BY 1, 2"
    )
    assert [tuple(row) for row in counted] == [tuple(row) for row in counters]
    assert {State(row["state"]) for row in counted} == {
        State.COMPLETED,
        State.DEAD,
        State.PARKED,
        State.RETRYING,
    }


def test_what_comes_before_the_code_only_adds() -> None:
    """The release before runs on while a `pre` migration is applied, and after it."""
    for migration in shipped():
        if "_pre_" in migration.name:
            assert narrowed(migration.sql) == [], migration.name


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE requests DROP COLUMN kept",
        "drop table history",
        "ALTER TABLE jobs RENAME TO uploads",
        "ALTER TABLE jobs ALTER COLUMN account TYPE varchar",
        "ALTER TABLE jobs ALTER COLUMN file_name\n    SET NOT NULL",
        "ALTER TABLE jobs ADD COLUMN tag text NOT NULL",
        "ALTER TABLE jobs ADD CHECK (accepted > 0)",
        "CREATE UNIQUE INDEX one ON jobs (file_name)",
        "REVOKE SELECT ON jobs FROM bulk_lookup_ingest",
        "DELETE FROM holds",
    ],
)
def test_more_than_an_addition_is_seen(sql: str) -> None:
    """Each of these would break a program of the release before, or lose rows."""
    assert narrowed(sql) != []


def test_an_addition_is_one() -> None:
    """Words in comments and texts are none; a column with a default may be NOT NULL."""
    assert (
        narrowed(
            "-- DROP is not meant\nALTER TABLE jobs ADD COLUMN tag text NOT NULL DEFAULT 'DROP';\n"
            "ALTER TABLE jobs ADD COLUMN note text; CREATE INDEX tags ON jobs (tag);"
        )
        == []
    )
