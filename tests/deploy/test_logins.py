"""The database's users, made in a real PostgreSQL by the script that a deployment runs."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from services.cli.database import Schema, look_at_schema
from services.local.postgres import PostgresServer
from services.results.migrate import migrate
from services.runtime.database import Program, role_of
from tests.deploy.render import ROOT
from tests.deploy.tools import ToolError, postgres_program, run

PROGRAMS: tuple[Program, ...] = ("ingest", "lookup", "results")
SCRIPT = ROOT / "deploy" / "postgres" / "logins.sql"


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """URL of a database with the users and the schema, as superuser.

    On a server of its own: users are the whole server's.
    """
    directory = Path(tempfile.mkdtemp(prefix="bulk-lookup-"))
    with PostgresServer(directory, durable=False) as server:
        yield server.create_database("bulk_lookup")
    shutil.rmtree(directory)


def make_users(database: str, passwords: Path | None = None) -> None:
    """Run the script as an administrator would."""
    told = {"PASSWORDS": str(passwords)} if passwords else {}
    psql = postgres_program("psql")
    run(psql, "--quiet", "--no-psqlrc", "--dbname", database, "--file", SCRIPT, environ=told)


def as_user(database: str, user: str) -> str:
    """The URL with another user."""
    return database.replace("//postgres@", f"//{user}@")


@pytest.fixture(scope="module")
def made(database: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The database after the script ran, twice, with the passwords that are made up for trials."""
    secrets = tmp_path_factory.mktemp("secrets")
    run(sys.executable, ROOT / "deploy" / "make_secrets.py", secrets)
    make_users(database, secrets / "postgres")
    make_users(database)
    return database


async def test_programs_log_in_as_themselves_only(made: str) -> None:
    """The owner migrates without a right to make roles; a user acts as its program alone."""
    await migrate(as_user(made, "bulk_lookup_owner"))
    for program in PROGRAMS:
        url = as_user(made, f"bulk_lookup_{program}_user")
        connection = await asyncpg.connect(url, server_settings={"role": role_of(program)})
        assert await connection.fetchval("SELECT current_user") == role_of(program)
        await connection.close()
        for other in set(PROGRAMS) - {program}:
            with pytest.raises(asyncpg.PostgresError, match=f"set role.*{role_of(other)}"):
                await asyncpg.connect(url, server_settings={"role": role_of(other)})
        alone = await asyncpg.connect(url)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await alone.fetch("SELECT * FROM jobs")
        await alone.close()


async def test_a_program_s_own_user_can_check_the_schema(made: str) -> None:
    """`bulk-lookup check` in a pod says of the database what is so, and whom its user serves."""
    owner = as_user(made, "bulk_lookup_owner")
    await migrate(owner)
    assert await look_at_schema(owner) == Schema(None, PROGRAMS)
    for program in PROGRAMS:
        found = await look_at_schema(as_user(made, f"bulk_lookup_{program}_user"))
        assert found == Schema(None, (program,))
    nobody = await look_at_schema(as_user(made, "bulk_lookup_grafana_user"))
    assert "may act as no program's role" in str(nobody.problem)


async def test_grafana_reads_and_no_more(made: str) -> None:
    """Counts and states, but nobody's number, and nothing is written."""
    await migrate(as_user(made, "bulk_lookup_owner"))
    connection = await asyncpg.connect(as_user(made, "bulk_lookup_grafana_user"))
    assert await connection.fetch("SELECT state FROM requests") == []
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.fetch("SELECT phone FROM requests")
    with pytest.raises(asyncpg.PostgresError):
        await connection.execute("DELETE FROM requests")
    await connection.close()


async def test_every_user_has_the_password_that_was_made(made: str) -> None:
    """And running the script again without passwords leaves them."""
    connection = await asyncpg.connect(made)
    users = await connection.fetch(
        "SELECT rolname FROM pg_authid WHERE rolcanlogin AND rolpassword IS NOT NULL "
        "AND NOT rolsuper AND NOT rolcreaterole AND NOT rolcreatedb"
    )
    await connection.close()
    assert {user["rolname"] for user in users} == {
        "bulk_lookup_owner",
        *(f"bulk_lookup_{who}_user" for who in (*PROGRAMS, "grafana")),
    }


async def test_a_missing_password_stops_the_script(made: str, tmp_path: Path) -> None:
    """No user is left with an empty one."""
    for who in ("owner", "ingest", "lookup", "results", "grafana"):
        (tmp_path / who).write_text("" if who == "lookup" else "secret", encoding="utf-8")
    with pytest.raises(ToolError, match="a password is missing"):
        make_users(made, tmp_path)
