"""`POST /v1/jobs`: a file of contacts becomes a job."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import BaseModel, Field

from services.ingest.body import TYPES, spool_body
from services.ingest.columns import ColumnError
from services.ingest.door import Door, away
from services.ingest.found import FoundFile
from services.ingest.job_request import (
    MAX_NAME,
    JobQuery,
    account_of,
    is_json,
    reading_of,
    upload_of,
)
from services.ingest.parse_error import ParseError
from services.ingest.preview import DryRun, DryRuns
from services.ingest.problem_types import BAD_FILE, IDEMPOTENCY_KEY_REUSED, IN_PROGRESS, OF_INGEST
from services.ingest.settings import IngestSettings
from services.ingest.spool import Spool, SpoolFullError
from services.ingest.submissions import (
    BusyError,
    ConflictError,
    HeldElsewhereError,
    Sealed,
    StalledError,
)
from services.runtime.api import caller, problem_responses
from services.runtime.problem_descriptions import COMMON
from services.runtime.problems import RETRY_AFTER, Problem

_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            **{kind: {"schema": {"type": "string", "format": "binary"}} for kind in TYPES},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            },
        },
    }
}


class JobLinks(BaseModel):
    """Where to see what becomes of a job; served by the program `results`."""

    self: str
    results: str
    rejected: str


class SubmittedJob(BaseModel):
    """A job whose contacts are all on their way."""

    job_id: UUID
    accepted: int = Field(description="Contacts to look up, duplicates among them.")
    rejected: int = Field(description="Rows that cannot be a number.")
    duplicates: int = Field(
        description="Accepted contacts whose number stands in an earlier row; paid once."
    )
    found: FoundFile | None = Field(
        description="How the file is read; not known of jobs of the first versions."
    )
    links: JobLinks


def jobs_router(door: Door, spool: Spool, settings: IngestSettings) -> APIRouter:
    """The route by which files come in."""
    router = APIRouter(prefix="/v1", tags=["jobs"])
    dry_runs = DryRuns()

    @router.post(
        "/jobs",
        status_code=201,
        openapi_extra=_BODY,
        responses=problem_responses(*COMMON, *OF_INGEST)
        | {
            201: {
                "model": SubmittedJob,
                "description": "A new job; its contacts are on their way.",
            },
            200: {
                "model": SubmittedJob | DryRun,
                "description": "It was sent before, and nothing is new; or it is a dry run.",
            },
        },
    )
    async def submit_job(
        request: Request,
        response: Response,
        query: Annotated[JobQuery, Query()],
        source: Annotated[str, Depends(caller)],
        idempotency_key: Annotated[
            str | None,
            Header(
                alias="Idempotency-Key",
                min_length=1,
                max_length=MAX_NAME,
                pattern=r"^[!-~]([ -~]*[!-~])?$",
                description="Makes sending again safe: one key, one job. Without it, the same "
                "file with the same options is one job.",
            ),
        ] = None,
    ) -> SubmittedJob | DryRun:
        """Look up all contacts of a file: CSV, JSON Lines, JSON or an Excel workbook.

        What it is, its content says; each may be compressed with gzip.

        Answered when all contacts are stored in Kafka. If you leave earlier, but after the
        whole file was sent, publishing goes on; send the same again to see how it ended.

        An option that is blank is as one that is not given.

        With `dry_run`, it is only said what would become of the file; that needs neither
        Kafka nor PostgreSQL.
        """
        account = account_of(query.account, settings)
        if query.dry_run:
            door.check_staying()
            body = await spool_body(request, spool)
            response.status_code = 200
            with body.file, _refusing():
                return await dry_runs.run(
                    body.file, reading_of(query, body), is_json=is_json(query, body)
                )
        submissions = door.enter()
        body = await spool_body(request, spool)
        upload = upload_of(query, account, body, source, idempotency_key, settings)
        try:
            with _refusing():
                submission = submissions.submit(upload)
                sealed = await submission.wait(settings.stall_limit.total_seconds())
        except ConflictError as error:
            raise _conflict(error, upload.job.job_id, given=idempotency_key is not None) from None
        except HeldElsewhereError:
            raise Problem(
                IN_PROGRESS,
                "Another process publishes this very job now; send the same again to see how "
                "it ended.",
                job_id=str(upload.job.job_id),
                retry_after=RETRY_AFTER,
            ) from None
        except StalledError:
            raise away(
                "The file is here and goes on to Kafka as soon as Kafka and PostgreSQL take it."
            ) from None
        answer = _answer(sealed, settings.results_url.rstrip("/"))
        response.headers["Location"] = answer.links.self
        if not sealed.published:
            response.status_code = 200
        return answer

    return router


@contextmanager
def _refusing() -> Iterator[None]:
    """Say why a file is not taken."""
    try:
        yield
    except ParseError as error:
        raise _bad_file(error) from None
    except SpoolFullError:
        raise away("There is no room on disk to work on the file now.") from None
    except BusyError:
        raise away("Too many files are on their way, or the service is stopping.") from None


def _bad_file(error: ParseError) -> Problem:
    members: dict[str, Any] = {}
    if isinstance(error, ColumnError):
        members["columns"] = error.columns
        members["candidates"] = [asdict(candidate) for candidate in error.candidates]
    return Problem(
        BAD_FILE,
        str(error),
        code=error.code,
        row=error.row,
        column=error.column,
        **members,
    )


def _conflict(error: ConflictError, job_id: UUID, *, given: bool) -> Problem:
    what = "The Idempotency-Key" if given else "The key made from the content"
    return Problem(
        IDEMPOTENCY_KEY_REUSED,
        f"{what} names a job with other {error.differs}. Send a new job under a new key, or "
        f"exactly what was sent before to see that job.",
        differs=error.differs,
        job_id=str(job_id),
    )


def _answer(sealed: Sealed, base: str) -> SubmittedJob:
    link = f"{base}/v1/jobs/{sealed.job_id}"
    return SubmittedJob(
        job_id=sealed.job_id,
        accepted=sealed.counts.accepted,
        rejected=sealed.counts.rejected,
        duplicates=sealed.counts.duplicates,
        found=sealed.found,
        links=JobLinks(self=link, results=f"{link}/results", rejected=f"{link}/rejected"),
    )
