"""What the sender of a file is told when PostgreSQL goes away under it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast
from uuid import UUID

import httpx
import pytest

from services.ingest.api import jobs_router
from services.ingest.door import Door
from services.ingest.jobs import Jobs
from services.ingest.publisher import FilePublisher
from services.ingest.settings import IngestSettings
from services.ingest.spool import Spool
from services.ingest.submissions import Submissions
from services.runtime.api import Tokens, make_api
from services.runtime.health import Readiness
from services.runtime.metrics import registry_for


class _GoneJobs:
    """Jobs in a PostgreSQL that was there a moment ago."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def find(self, _: UUID) -> Any:
        """Break off."""
        raise self._error


def _never(fault: BaseException) -> None:
    raise AssertionError from fault


@pytest.mark.parametrize("error", [TimeoutError(), ConnectionResetError()])
async def test_a_file_that_is_not_kept_is_not_said_to_be(tmp_path: Path, error: Exception) -> None:
    """Nothing of it goes on, so it is to be sent again, whether the connection ends or is silent."""
    jobs = cast("Jobs", _GoneJobs(error))
    nothing = cast("FilePublisher", None)
    door = Door(Readiness())
    door.open(Submissions(jobs, nothing, 4, _never))
    spool = Spool(tmp_path, 1_000, 1_000)
    app = make_api("ingest", Readiness(), registry_for("ingest"), Tokens({}), "Ingest")
    app.include_router(jobs_router(door, spool, IngestSettings()))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://ingest") as client:
        answer = await client.post("/v1/jobs", content=b"Phone\n+12025550123\n")
    assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)
    assert answer.json()["detail"] == "PostgreSQL does not answer now; try again later."
    spool.open(1_000).close()
