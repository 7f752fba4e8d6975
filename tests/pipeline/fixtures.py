"""Starts pipelines for tests of any folder: see `tests.pipeline.harness` for how they are used."""

import os
import shutil
import tempfile
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from services.local.environment import without_settings
from services.local.stack import Plan, Stack
from services.local.twilio.config import SimulatorConfig
from tests.pipeline.harness import TOKEN, Pipeline, StartPipeline

_FAILED = pytest.StashKey[bool]()
#: Few, so that all the tests' topics together stay light for one broker.
_PARTITIONS = "4"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember whether a test failed, for what its fixtures leave behind."""
    del call
    report = yield
    item.stash[_FAILED] = item.stash.get(_FAILED, False) or report.failed
    return report


@pytest.fixture
def pipeline_directory(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A directory that is removed after a test that passed, and named after one that failed."""
    # pytest's tmp_path is closed to others, and PostgreSQL started by root runs as somebody else.
    directory = Path(tempfile.mkdtemp(prefix="bulk-lookup-pipeline-"))
    directory.chmod(0o711)
    yield directory
    if request.node.stash.get(_FAILED, False):
        print(f"\nLogs and ledger of {request.node.name}: {directory}")  # noqa: T201 - for the report
        for data in directory.glob("*/*/data"):
            shutil.rmtree(data, ignore_errors=True)
    else:
        shutil.rmtree(directory)


@pytest.fixture
def start_pipeline(
    kafka: str, postgres: str, topic_prefix: str, pipeline_directory: Path
) -> Iterator[StartPipeline]:
    """Start pipelines; they are stopped after the test."""
    with ExitStack() as stacks:

        def start(
            *,
            settings: Mapping[str, str] | None = None,
            simulator: SimulatorConfig | None = None,
            lookups: int = 2,
            own: tuple[str, ...] = (),
        ) -> Pipeline:
            environ = without_settings(os.environ)
            shared = {
                "kafka": {"KAFKA_BOOTSTRAP_SERVERS": kafka},
                "postgres": {"DATABASE_URL": postgres},
            }
            for server, setting in shared.items():
                environ |= {} if server in own else setting
            plan = Plan(
                environ=environ,
                settings={
                    "API_TOKENS": f"tests:{TOKEN}",
                    "KAFKA_TOPIC_PREFIX": topic_prefix,
                    "KAFKA_PARTITIONS": _PARTITIONS,
                    "LOG_LEVEL": "debug",
                    **(settings or {}),
                },
                lookups=lookups,
                simulator=simulator or SimulatorConfig(),
                durable=False,
            )
            directory = pipeline_directory / str(len(list(pipeline_directory.iterdir())))
            return Pipeline(stacks.enter_context(Stack(directory, plan)))

        yield start
