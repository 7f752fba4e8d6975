"""Brings the schema up to date: numbered SQL files, each applied once, never backwards.

A file is `NNNN_pre_what.sql` or `NNNN_post_what.sql`: `pre` is written so that the code
of the release before still runs on it, `post` may need that code to be gone.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from dataclasses import dataclass
from importlib.resources import files
from itertools import pairwise

import asyncpg

from services.runtime.database import Program, role_of
from services.runtime.logs import get_logger
from services.runtime.program import FaultError

log = get_logger(__name__)

_PROGRAMS: tuple[Program, ...] = ("ingest", "lookup", "results")
#: What Grafana's own user is granted: it reads counts, states and times, and nobody's number.
GRAFANA_ROLE = "bulk_lookup_grafana"
_NAME = re.compile(r"(?P<version>\d{4})_(?:pre|post)_[a-z0-9_]+\.sql")
# Any number does; it is the same for every release, so that two never migrate at once.
_LOCK = 7_230_441_115
_ATTEMPTS = 20
_APPLIED = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    version    integer PRIMARY KEY,
    name       text NOT NULL,
    sha256     text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)"""


class MigrationError(FaultError):
    """The schema cannot be brought up to date; nothing of the failing file was kept."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of the migrations folder."""

    version: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """Of its text; a file that was applied never changes again."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def shipped() -> list[Migration]:
    """The migrations of this release, in their order.

    Raises:
        MigrationError: A file is not named as it must be, or two have one number.
    """
    found = []
    for file in files("services.results").joinpath("migrations").iterdir():
        if not file.name.endswith(".sql"):
            continue
        match = _NAME.fullmatch(file.name)
        if match is None:
            raise MigrationError(f"{file.name}: name it NNNN_pre_what.sql or NNNN_post_what.sql")
        found.append(Migration(int(match["version"]), file.name, file.read_text(encoding="utf-8")))
    found.sort(key=lambda migration: migration.version)
    for one, other in pairwise(found):
        if one.version == other.version:
            raise MigrationError(f"{one.name} and {other.name} have one number: renumber the later")
    return found


def outstanding(known: list[Migration], applied: dict[int, tuple[str, str]]) -> list[Migration]:
    """The migrations still to apply.

    Args:
        known: Those of this release, in their order.
        applied: Name and SHA-256 of those in the database, by version.

    Raises:
        MigrationError: The database is of a newer release, or an applied file has changed.
    """
    by_version = {migration.version: migration for migration in known}
    for version, (name, sha256) in sorted(applied.items()):
        mine = by_version.get(version)
        if mine is None:
            raise MigrationError(
                f"the database has migration {name}, which this release does not know: "
                "run the release that made it, or a later one"
            )
        if mine.sha256 != sha256:
            raise MigrationError(
                f"{mine.name} is not the file that was applied to this database as {name}: "
                "put the old file back, and make the change in a new migration"
            )
    newest = max(applied, default=0)
    late = [m.name for m in known if m.version < newest and m.version not in applied]
    if late:
        raise MigrationError(
            f"{', '.join(late)} would come before {applied[newest][0]}, which is applied: "
            "give the new file the next number"
        )
    return [migration for migration in known if migration.version not in applied]


async def migrate(url: str) -> list[str]:
    """Apply what is missing, and make the programs' and Grafana's roles; returns the names applied.

    Raises:
        MigrationError: It cannot be done; says what to change.
        OSError: PostgreSQL does not answer.
    """
    try:
        connection = await asyncpg.connect(url, timeout=10)
    except (
        asyncpg.InvalidAuthorizationSpecificationError,
        asyncpg.InvalidCatalogNameError,
        asyncpg.ClientConfigurationError,
    ) as error:
        raise MigrationError(f"DATABASE_URL: {error}; check user, password and database") from error
    try:
        # Held by the session: it goes with the connection, however that ends.
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        await _make_roles(connection)
        return await _apply(connection, shipped())
    finally:
        await connection.close(timeout=10)


async def _apply(connection: asyncpg.Connection, known: list[Migration]) -> list[str]:
    await connection.execute(_APPLIED)
    rows = await connection.fetch("SELECT version, name, sha256 FROM schema_migrations")
    applied = {row["version"]: (row["name"], row["sha256"]) for row in rows}
    names = []
    for migration in outstanding(known, applied):
        try:
            async with connection.transaction():
                await connection.execute(migration.sql)
                await connection.execute(
                    "INSERT INTO schema_migrations (version, name, sha256) VALUES ($1, $2, $3)",
                    migration.version,
                    migration.name,
                    migration.sha256,
                )
        except asyncpg.PostgresError as error:
            raise MigrationError(
                f"{migration.name}: {error}; nothing of this file was kept"
            ) from error
        log.info("migrated", migration=migration.name)
        names.append(migration.name)
    return names


async def _make_roles(connection: asyncpg.Connection) -> None:
    """Make each program's role and let the one of DATABASE_URL act as it; make Grafana's.

    Roles belong to the whole server and the advisory lock to one database, so migrations
    of two databases can meet here: whoever comes second looks again.
    """
    for role in (*map(role_of, _PROGRAMS), GRAFANA_ROLE):
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                await _make_role(connection, role)
                break
            except asyncpg.InsufficientPrivilegeError as error:
                raise MigrationError(
                    f"the user of DATABASE_URL may not make or act as the role {role} ({error}): "
                    f"run the migration as a user with CREATEROLE, or have an administrator say "
                    f"CREATE ROLE {role} NOLOGIN; GRANT {role} TO the user"
                ) from error
            except (
                asyncpg.UniqueViolationError,
                asyncpg.DuplicateObjectError,
                asyncpg.InternalServerError,  # "tuple concurrently updated"
            ):
                if attempt == _ATTEMPTS:
                    raise
                await asyncio.sleep(0.05 * attempt)


async def _make_role(connection: asyncpg.Connection, role: str) -> None:
    # The names are this file's own, never a caller's.
    if not await connection.fetchval(
        "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", role
    ):
        await connection.execute(f"CREATE ROLE {role} NOLOGIN")
    # Nobody who migrates acts as Grafana.
    if role != GRAFANA_ROLE and not await connection.fetchval(
        "SELECT pg_has_role(current_user, $1, 'SET')", role
    ):
        await connection.execute(f"GRANT {role} TO CURRENT_USER")
