"""A database with the schema, and pools on it as the results program's role."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from services.results.migrate import migrate
from services.results.store import Store
from services.runtime.database import Pool, open_pool
from services.runtime.health import Readiness
from services.runtime.program import Stop
from services.runtime.settings import DatabaseSettings
from tests.integration.results.made import READ


@pytest.fixture
async def database(postgres: str) -> DatabaseSettings:
    """An empty database with the schema."""
    await migrate(postgres)
    return DatabaseSettings(database_url=SecretStr(postgres))


@pytest.fixture
async def pool(database: DatabaseSettings) -> AsyncIterator[Pool]:
    """Connections to it as results."""
    opened = await open_pool(database, "results", Readiness(), Stop())
    yield opened
    await opened.close()


@pytest.fixture
async def store(pool: Pool) -> Store:
    """A store that stands at the start of partition 0 of every topic."""
    made = Store(pool)
    await made.places({(topic, 0): 0 for topic in READ})
    return made
