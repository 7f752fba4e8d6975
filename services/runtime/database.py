"""A pool of connections to PostgreSQL, as the role of one program."""

from __future__ import annotations

import asyncio
import json
from typing import Literal

import asyncpg

from services.runtime.ending import end
from services.runtime.health import Readiness
from services.runtime.logs import get_logger
from services.runtime.metrics import POOL_CONNECTIONS, POOL_MAX
from services.runtime.program import Stop
from services.runtime.settings import DatabaseSettings, SettingsError, read_secret

log = get_logger(__name__)

Program = Literal["ingest", "lookup", "results"]
Pool = asyncpg.Pool
#: What a connection raises when PostgreSQL is away, restarts, or refuses to write.
UNAVAILABLE = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    # asyncpg itself, when the connection ends in the middle of an operation.
    asyncpg.InternalClientError,
    asyncpg.exceptions.OperatorInterventionError,
    asyncpg.exceptions.InsufficientResourcesError,
    asyncpg.exceptions.ReadOnlySQLTransactionError,
    asyncpg.exceptions.DeadlockDetectedError,
    asyncpg.exceptions.SerializationError,
    asyncpg.exceptions.LockNotAvailableError,
    asyncpg.exceptions.QueryCanceledError,
)
#: The newest migration of the kind `pre`: what this release reads and writes is there after it.
SCHEMA = 3


class _OldSchemaError(Exception):
    """The schema is of an older release."""


#: The program's role or its tables are not there yet.
_NOT_MIGRATED = (asyncpg.InvalidParameterValueError, asyncpg.UndefinedTableError, _OldSchemaError)
_RETRY_AFTER = 1.0
#: Seconds between two looks at whether PostgreSQL still answers, and how long it has for it.
_LOOK_EVERY = 2.0
_ANSWER_WITHIN = 3.0


def role_of(program: Program) -> str:
    """The PostgreSQL role with just the rights a program needs."""
    return f"bulk_lookup_{program}"


async def open_pool(
    settings: DatabaseSettings, program: Program, readiness: Readiness, stop: Stop
) -> Pool:
    """Connect as the program's role, waiting for PostgreSQL and its schema as long as it takes.

    `readiness` loses and regains its condition `postgresql`.

    Raises:
        SettingsError: DATABASE_URL is not one, or a password is refused.
        asyncio.CancelledError: A stop was asked for while waiting.
    """
    try:
        url = read_secret(settings.database_url, settings.database_url_file)
    except SettingsError as error:
        raise SettingsError(f"DATABASE_URL_FILE={error}") from None
    while True:
        try:
            pool = await _connect(url, settings.database_pool_size, program)
        except (
            asyncpg.InvalidAuthorizationSpecificationError,
            asyncpg.InvalidCatalogNameError,
            ValueError,
        ) as error:
            raise SettingsError(
                f"DATABASE_URL: {error}; check user, password and database"
            ) from error
        except (*UNAVAILABLE, *_NOT_MIGRATED) as error:
            why = _why(error)
            readiness.unmet("postgresql", why)
            log.warning("waiting for postgresql", reason=why)
            await stop.pause(_RETRY_AFTER)
        else:
            readiness.met("postgresql")
            _measure(pool)
            return pool


async def watch_postgresql(pool: Pool, readiness: Readiness) -> None:
    """Look whether PostgreSQL still answers, until cancelled, also if nobody asks it anything.

    `readiness` loses and regains `postgresql`. Whoever asks more of it, such as to write, has
    the last word on that: what is found here is only taken back by what is found here.
    """
    away = False
    while True:
        await asyncio.sleep(_LOOK_EVERY)
        if pool.get_idle_size() == 0 and pool.get_size() == pool.get_max_size():
            continue  # all connections are in use, by those who will find out
        try:
            async with asyncio.timeout(_ANSWER_WITHIN):
                await pool.fetchval("SELECT 1")
        except UNAVAILABLE as error:
            away = True
            readiness.unmet("postgresql", _why(error))
            log.warning("postgresql does not answer", reason=_why(error))
        else:
            if away:
                readiness.met("postgresql")
                log.info("postgresql answers again")
            away = False


async def close_pool(pool: Pool, within: float) -> None:
    """Close it once nobody uses it any more; after `within` seconds whatever is under way ends."""
    await end("postgresql", pool.close(), within)


def _measure(pool: Pool) -> None:
    POOL_MAX.set(pool.get_max_size())
    POOL_CONNECTIONS.labels(state="idle").set_function(pool.get_idle_size)
    POOL_CONNECTIONS.labels(state="used").set_function(
        lambda: pool.get_size() - pool.get_idle_size()
    )


async def _connect(url: str | None, size: int, program: Program) -> Pool:
    pool = await asyncpg.create_pool(
        url,
        min_size=1,
        max_size=size,
        command_timeout=30,
        timeout=5,
        server_settings={
            "role": role_of(program),
            "application_name": f"bulk-lookup {program}",
            "lock_timeout": "20s",
            "idle_in_transaction_session_timeout": "60s",
        },
        init=_decode_json,
    )
    try:
        await _require_schema(pool)
    except BaseException:
        pool.terminate()
        raise
    return pool


async def _require_schema(pool: Pool) -> None:
    """Refuse a schema without the columns of this release: records would be buried for want of them."""
    try:
        applied = await pool.fetchval("SELECT max(version) FROM schema_migrations") or 0
    except asyncpg.InsufficientPrivilegeError:
        applied = 1  # the right to read this came with the second
    if applied < SCHEMA:
        raise _OldSchemaError(f"the schema has migration {applied}, not {SCHEMA}")


def _why(error: Exception) -> str:
    if isinstance(error, _NOT_MIGRATED):
        return f"{error}: run `bulk-lookup migrate` first"
    return f"{type(error).__name__}: {error}"


async def _decode_json(connection: asyncpg.Connection) -> None:
    """Read and write jsonb as Python's own values."""
    await connection.set_type_codec(
        "jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog"
    )
