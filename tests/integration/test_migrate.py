from __future__ import annotations

import asyncio

import asyncpg
import pytest

from services.local.postgres import PostgresServer
from services.results.migrate import Migration, MigrationError, migrate, outstanding, shipped
from services.runtime.database import Program, role_of

PROGRAMS: tuple[Program, ...] = ("ingest", "lookup", "results")


def migration(version: int, sql: str = "SELECT 1") -> Migration:
    return Migration(version, f"{version:04}_pre_x.sql", sql)


async def test_everything_is_applied_once(postgres: str) -> None:
    """The first run applies every file, the second finds nothing to do."""
    assert await migrate(postgres) == [m.name for m in shipped()]
    assert await migrate(postgres) == []


async def test_two_at_once_apply_once(postgres: str) -> None:
    """Of two runs at the same moment one applies, and the other waits and finds it done."""
    first, second = await asyncio.gather(migrate(postgres), migrate(postgres))
    assert sorted([first, second]) == [[], [m.name for m in shipped()]]


async def test_databases_of_one_server_do_not_disturb_each_other(
    postgres_server: PostgresServer, topic_prefix: str
) -> None:
    """Runs on several databases of one server all succeed, though the roles are shared."""
    names = [f"{topic_prefix[:-1]}_{number}" for number in range(4)]
    urls = [postgres_server.create_database(name) for name in names]
    done = await asyncio.gather(*(migrate(url) for url in urls))
    assert all(names == [m.name for m in shipped()] for names in done)


@pytest.mark.parametrize("program", PROGRAMS)
async def test_one_url_serves_every_program(postgres: str, program: Program) -> None:
    """A session that starts as a program's role has that role's rights and no more."""
    await migrate(postgres)
    connection = await asyncpg.connect(postgres, server_settings={"role": role_of(program)})
    try:
        assert await connection.fetchval("SELECT current_user") == role_of(program)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("DELETE FROM requests")
    finally:
        await connection.close()


async def test_a_user_without_rights_is_told(postgres: str, topic_prefix: str) -> None:
    """A user that may neither make roles nor act as them gets an error with the way out."""
    await migrate(postgres)
    user = f"u{topic_prefix[1:-1]}"
    admin = await asyncpg.connect(postgres)
    try:
        await admin.execute(f"CREATE ROLE {user} LOGIN")
        with pytest.raises(MigrationError, match="CREATEROLE"):
            await migrate(postgres.replace("postgres@", f"{user}@"))
    finally:
        await admin.execute(f"DROP ROLE {user}")
        await admin.close()


async def test_an_owner_who_may_make_roles_is_enough(
    postgres_server: PostgresServer, postgres: str, topic_prefix: str
) -> None:
    """A database's owner with CREATEROLE who may act as the roles migrates, no superuser needed."""
    await migrate(postgres)  # the roles are there, made by somebody else
    user = f"u{topic_prefix[1:-1]}"
    name = f"{user}_own"
    url = postgres_server.create_database(name).replace("postgres@", f"{user}@")
    admin = await asyncpg.connect(postgres)
    try:
        await admin.execute(f"CREATE ROLE {user} LOGIN CREATEROLE")
        await admin.execute(f"ALTER DATABASE {name} OWNER TO {user}")
        for program in PROGRAMS:
            await admin.execute(f"GRANT {role_of(program)} TO {user}")
        assert await migrate(url) == [m.name for m in shipped()]
    finally:
        await admin.execute(f"DROP DATABASE {name}")
        await admin.execute(f"DROP ROLE {user}")
        await admin.close()


async def test_an_applied_file_that_changed_is_refused(postgres: str) -> None:
    """A database whose file differs from the shipped one is left alone."""
    await migrate(postgres)
    connection = await asyncpg.connect(postgres)
    try:
        await connection.execute("UPDATE schema_migrations SET sha256 = 'other'")
        with pytest.raises(MigrationError, match="new migration"):
            await migrate(postgres)
    finally:
        await connection.close()


async def test_a_newer_database_is_refused(postgres: str) -> None:
    """A database that a later release migrated is left alone."""
    await migrate(postgres)
    connection = await asyncpg.connect(postgres)
    try:
        await connection.execute("INSERT INTO schema_migrations VALUES (9999, '9999_x.sql', '')")
        with pytest.raises(MigrationError, match="does not know"):
            await migrate(postgres)
    finally:
        await connection.close()


def test_only_what_is_missing_is_outstanding() -> None:
    """What is applied is not applied again; the rest comes in order."""
    known = [migration(1), migration(2), migration(3)]
    applied = {1: (known[0].name, known[0].sha256)}
    assert outstanding(known, applied) == known[1:]


def test_a_number_below_the_newest_is_refused() -> None:
    """A new file never slips in before one that is applied."""
    known = [migration(1), migration(2)]
    with pytest.raises(MigrationError, match="next number"):
        outstanding(known, {2: (known[1].name, known[1].sha256)})
