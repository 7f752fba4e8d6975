"""PostgreSQL as a person's commands see it: its schema, and the programs' roles."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import get_args

import asyncpg
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.cli.exits import FAULT, SETTINGS, UNAVAILABLE, CommandError
from services.cli.logs import quiet_logs
from services.contracts.turns import UNFINISHED
from services.results.migrate import MigrationError, migrate, outstanding, shipped
from services.runtime.database import UNAVAILABLE as AWAY
from services.runtime.database import Program, role_of
from services.runtime.settings import DatabaseSettings, SettingsError, read_secret

_SECONDS = 10
_COUNT_STATES = """
SELECT state, count(*) AS n
FROM requests
WHERE state = ANY($1)
GROUP BY state"""
_MAY_ACT_AS = """
SELECT EXISTS (
    SELECT FROM pg_roles WHERE rolname = $1 AND pg_has_role(current_user, oid, 'SET')
)"""


class _Settings(BaseSettings, DatabaseSettings):
    """DATABASE_URL alone."""

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True)


def database_url() -> str:
    """DATABASE_URL, or what stands in the file DATABASE_URL_FILE.

    Raises:
        SettingsError: The file cannot be read.
    """
    settings = _Settings()
    return read_secret(settings.database_url, settings.database_url_file) or ""


async def bring_up_to_date() -> list[str]:
    """Apply the migrations that are missing; gives their names.

    Raises:
        CommandError: It cannot be done; says what to do.
    """
    try:
        with quiet_logs():
            return await migrate(database_url())
    except SettingsError as error:
        raise CommandError(f"DATABASE_URL_FILE: {error}", SETTINGS) from error
    except MigrationError as error:
        raise CommandError(str(error), FAULT) from error
    except AWAY as error:
        raise CommandError(
            f"PostgreSQL does not answer ({_said(error)}): check DATABASE_URL.", UNAVAILABLE
        ) from error


@dataclass(frozen=True, slots=True)
class Schema:
    """What a database is like to the user of DATABASE_URL."""

    #: What is wrong, and the way out; None if nothing is.
    problem: str | None
    #: Programs that may log in as this user: one each, or all where one user serves all.
    programs: tuple[Program, ...] = ()


async def look_at_schema(url: str) -> Schema:
    """Look at the schema and the roles of a database.

    Raises:
        OSError: PostgreSQL does not answer.
        asyncpg.PostgresError: It does not let us in.
        ValueError: The URL is none.
    """
    connection = await asyncpg.connect(url, timeout=_SECONDS)
    try:
        mine = await connection.fetch(
            "SELECT rolname FROM pg_roles "
            "WHERE rolname = ANY($1) AND pg_has_role(current_user, oid, 'SET')",
            [role_of(program) for program in get_args(Program)],
        )
        roles = {row["rolname"] for row in mine}
        programs = tuple(p for p in get_args(Program) if role_of(p) in roles)
        if programs:
            # A program's own user has no rights but its role's.
            await connection.execute(f"SET ROLE {role_of(programs[0])}")
        try:
            rows = await connection.fetch("SELECT version, name, sha256 FROM schema_migrations")
            missing = outstanding(
                shipped(), {row["version"]: (row["name"], row["sha256"]) for row in rows}
            )
        except asyncpg.UndefinedTableError:
            return Schema("it has no schema yet: run `bulk-lookup migrate`")
        except asyncpg.InsufficientPrivilegeError:
            if programs:
                return Schema("the schema is of an older release: run `bulk-lookup migrate`")
            names = ", ".join(role_of(program) for program in get_args(Program))
            return Schema(
                f"its user may act as none of {names}: run `bulk-lookup migrate` as a user with "
                "CREATEROLE, or deploy/postgres/logins.sql as an administrator"
            )
        except MigrationError as error:
            return Schema(str(error))
        if missing:
            names = ", ".join(migration.name for migration in missing)
            return Schema(f"the schema lacks {names}: run `bulk-lookup migrate`")
        if not programs:
            return Schema("its user may act as no program's role: run `bulk-lookup migrate`")
        return Schema(None, programs)
    finally:
        await connection.close(timeout=_SECONDS)


@dataclass(frozen=True, slots=True)
class Stored:
    """How far everything is, as PostgreSQL knows it, in one snapshot."""

    #: Requests without an end, by state.
    unfinished: Mapping[str, int]
    #: The next offset that results will store, by topic and partition.
    offsets: Mapping[tuple[str, int], int]


@asynccontextmanager
async def snapshot() -> AsyncIterator[asyncpg.Connection]:
    """Read everything as it is at one moment, with the rights of results if they may be had.

    Raises:
        CommandError: PostgreSQL does not tell; says what to do.
    """
    try:
        connection = await asyncpg.connect(database_url(), timeout=_SECONDS)
        try:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                reader = role_of("results")
                if await connection.fetchval(_MAY_ACT_AS, reader):
                    await connection.execute(f"SET LOCAL ROLE {reader}")
                yield connection
        finally:
            await connection.close(timeout=_SECONDS)
    except SettingsError as error:
        raise CommandError(f"DATABASE_URL_FILE: {error}", SETTINGS) from error
    except asyncpg.UndefinedTableError as error:
        raise CommandError("DATABASE_URL: it has no schema: is it the right one?") from error
    except (*AWAY, asyncpg.PostgresError, ValueError) as error:
        raise CommandError(
            f"PostgreSQL does not tell ({_said(error)}): check DATABASE_URL, whose user must be "
            f"{role_of('results')}, or allowed to read what that may.",
            UNAVAILABLE,
        ) from error


async def offsets_of(connection: asyncpg.Connection) -> dict[tuple[str, int], int]:
    """The next offset that results will store, by topic and partition."""
    places = await connection.fetch("SELECT topic, partition, next_offset FROM stored_offsets")
    return {(row["topic"], row["partition"]): row["next_offset"] for row in places}


async def stored() -> Stored:
    """How far everything is.

    Raises:
        CommandError: PostgreSQL does not tell; says what to do.
    """
    async with snapshot() as connection:
        states = await connection.fetch(_COUNT_STATES, list(UNFINISHED))
        return Stored({row["state"]: row["n"] for row in states}, await offsets_of(connection))


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__
