"""A program waits for PostgreSQL and its schema, and says what it waits for."""

import asyncio
import uuid
from pathlib import Path

import asyncpg
import pytest
from prometheus_client import generate_latest
from pydantic import SecretStr

from services.local.postgres import PostgresServer
from services.results import migrate as migrations
from services.results.migrate import migrate, shipped
from services.runtime.database import SCHEMA, open_pool
from services.runtime.health import Readiness
from services.runtime.metrics import registry_for
from services.runtime.program import Stop
from services.runtime.settings import DatabaseSettings, SettingsError


async def test_a_program_waits_for_the_schema_and_says_so(postgres: str) -> None:
    """Without its tables readyz names the command that makes them; with them it goes on."""
    readiness, stop = Readiness("postgresql"), Stop()
    settings = DatabaseSettings(database_url=SecretStr(postgres))
    opening = asyncio.create_task(open_pool(settings, "lookup", readiness, stop))
    async with asyncio.timeout(60):
        while "bulk-lookup migrate" not in readiness.missing["postgresql"]:  # noqa: ASYNC110 - no event tells it
            await asyncio.sleep(0.05)
        await migrate(postgres)
        pool = await opening
    assert readiness.missing == {}
    assert await pool.fetchval("SELECT current_user") == "bulk_lookup_lookup"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await pool.execute("DELETE FROM requests")
    await pool.close()


async def test_a_program_waits_for_the_schema_of_its_own_release(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Started beside the migration it stores nothing that the older schema has no place for."""
    newest = max(migration.version for migration in shipped() if "_pre_" in migration.name)
    assert newest == SCHEMA
    readiness, stop = Readiness("postgresql"), Stop()
    settings = DatabaseSettings(database_url=SecretStr(postgres))
    for older in range(1, SCHEMA):
        with monkeypatch.context() as then:
            then.setattr(migrations, "shipped", lambda older=older: shipped()[:older])
            await migrate(postgres)
        opening = asyncio.create_task(open_pool(settings, "ingest", readiness, stop))
        async with asyncio.timeout(60):
            said = f"the schema has migration {older}, not {SCHEMA}: run `bulk-lookup migrate`"
            while said not in readiness.missing.get("postgresql", ""):  # noqa: ASYNC110 - no event tells it
                await asyncio.sleep(0.05)
        opening.cancel()
    await migrate(postgres)
    pool = await open_pool(settings, "ingest", readiness, stop)
    assert readiness.missing == {}
    await pool.close()


async def test_connections_are_counted_as_used_while_they_are(postgres: str) -> None:
    """A pool that is used up is seen before programs wait for it."""

    def shown() -> set[str]:
        lines = generate_latest(registry_for("results")).decode().splitlines()
        return {line.removeprefix("lookup_database_pool_") for line in lines if "_pool_" in line}

    await migrate(postgres)
    settings = DatabaseSettings(database_url=SecretStr(postgres))
    pool = await open_pool(settings, "results", Readiness(), Stop())
    try:
        size = f"connections_max {float(settings.database_pool_size)}"
        idle = {'connections{state="idle"} 1.0', 'connections{state="used"} 0.0', size}
        assert idle <= shown()
        async with pool.acquire():
            assert {'connections{state="idle"} 0.0', 'connections{state="used"} 1.0'} <= shown()
        assert idle <= shown()
    finally:
        await pool.close()


async def test_a_stop_ends_the_wait(postgres: str) -> None:
    """A program told to stop does not go on waiting for its schema."""
    readiness, stop = Readiness("postgresql"), Stop()
    settings = DatabaseSettings(database_url=SecretStr(postgres))
    opening = asyncio.create_task(open_pool(settings, "results", readiness, stop))
    await asyncio.sleep(0)
    stop.ask()
    with pytest.raises(asyncio.CancelledError):
        await opening


async def test_a_database_that_is_not_there_is_a_wrong_setting(postgres: str) -> None:
    """A name that PostgreSQL does not know is said at once, naming the setting."""
    settings = DatabaseSettings(database_url=SecretStr(f"{postgres}_nowhere"))
    with pytest.raises(SettingsError, match="DATABASE_URL"):
        await open_pool(settings, "lookup", Readiness(), Stop())


@pytest.mark.parametrize(
    ("user", "said"),
    [
        ("{name}:wrong", 'password authentication failed for user "{name}"'),
        ("{name}_other:any", 'role "{name}_other" does not exist'),
    ],
)
async def test_a_login_that_is_refused_is_a_wrong_setting(
    postgres_server: PostgresServer, postgres: str, user: str, said: str
) -> None:
    """PostgreSQL's own words are shown with the setting, the password is not."""
    name = f"u{uuid.uuid4().hex[:12]}"
    rules = postgres_server.directory / "data" / "pg_hba.conf"
    former = rules.read_text(encoding="utf-8")
    rules.write_text(f"host all {name} 127.0.0.1/32 scram-sha-256\n{former}", encoding="utf-8")
    superuser = await asyncpg.connect(postgres)
    await superuser.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'right'")
    await superuser.execute("SELECT pg_reload_conf()")
    place = postgres.rpartition("@")[2]
    url = SecretStr(f"postgresql://{user.format(name=name)}@{place}")
    try:
        with pytest.raises(SettingsError) as caught:
            await open_pool(DatabaseSettings(database_url=url), "lookup", Readiness(), Stop())
    finally:
        await superuser.execute(f"DROP ROLE {name}")
        await superuser.close()
        rules.write_text(former, encoding="utf-8")
    assert f"DATABASE_URL: {said.format(name=name)}; check user, password" in str(caught.value)
    assert "wrong" not in str(caught.value)


async def test_a_program_waits_for_a_postgresql_that_is_not_there(server_directory: Path) -> None:
    """Before it is there readyz says that nobody answers; then the program goes on by itself."""
    server = PostgresServer(server_directory, durable=False)
    with server:
        url = server.create_database("later")
        await migrate(url)
    readiness, stop = Readiness("postgresql"), Stop()
    settings = DatabaseSettings(database_url=SecretStr(url))
    opening = asyncio.create_task(open_pool(settings, "results", readiness, stop))
    async with asyncio.timeout(60):
        while "ConnectionRefusedError" not in readiness.missing["postgresql"]:  # noqa: ASYNC110 - no event tells it
            await asyncio.sleep(0.05)
        with server:
            pool = await opening
            assert readiness.missing == {}
            pool.terminate()
