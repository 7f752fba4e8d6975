"""Real servers and pipelines for the tests: started at the first use, ended with the process."""

import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import settings

from services.local.kafka import KafkaServer
from services.local.postgres import PostgresServer
from tests.needs_programs import (
    pytest_collection_modifyitems,
    pytest_configure,
    pytest_runtest_setup,
    pytest_terminal_summary,
)
from tests.pipeline.fixtures import (
    pipeline_directory,
    pytest_runtest_makereport,
    start_pipeline,
)

__all__ = [
    "pipeline_directory",
    "pytest_collection_modifyitems",
    "pytest_configure",
    "pytest_runtest_makereport",
    "pytest_runtest_setup",
    "pytest_terminal_summary",
    "start_pipeline",
]

# How long an example may take depends on what else the machine does.
settings.register_profile("untimed", parent=settings(), deadline=None)
settings.load_profile("untimed")


@contextmanager
def _temporary_directory() -> Iterator[Path]:
    # pytest's tmp_path is closed to others, and PostgreSQL started by root runs as somebody else.
    directory = Path(tempfile.mkdtemp(prefix="bulk-lookup-"))
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


@pytest.fixture
def server_directory() -> Iterator[Path]:
    """An empty directory that any local server can live in, removed after the test."""
    with _temporary_directory() as directory:
        yield directory


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """Bootstrap servers of a real Kafka that all tests share: use `topic_prefix` with it."""
    with _temporary_directory() as directory:
        server = KafkaServer(directory)
        server.start()
        try:
            yield server.bootstrap_servers
        finally:
            # An orderly stop writes down the logs of all tests, which nobody reads: a minute.
            server.kill()


@pytest.fixture
def topic_prefix() -> str:
    """A prefix for topics, groups and transactional ids that no other test uses."""
    return f"t{uuid.uuid4().hex[:12]}."


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A real PostgreSQL that all tests share."""
    with _temporary_directory() as directory, PostgresServer(directory, durable=False) as server:
        yield server


@pytest.fixture
def postgres(postgres_server: PostgresServer) -> str:
    """URL of an empty database of the test's own in a real PostgreSQL, as superuser."""
    return postgres_server.create_database(f"t{uuid.uuid4().hex[:12]}")
