"""`POST /v1/jobs`: a file of contacts becomes a job."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import BaseModel, BeforeValidator, Field

from services.contracts.messages import AccountName
from services.contracts.packages import Package
from services.ingest import ids
from services.ingest.accept import with_basic
from services.ingest.body import spool_body
from services.ingest.door import RETRY_AFTER, Door, away
from services.ingest.jobs import NewJob
from services.ingest.parse import Options
from services.ingest.parse_error import ParseError
from services.ingest.settings import IngestSettings, split_names
from services.ingest.spool import Spool, SpooledFile
from services.ingest.submissions import (
    BusyError,
    ConflictError,
    HeldElsewhereError,
    Sealed,
    Upload,
)
from services.runtime.api import PROBLEM_RESPONSES, Problem, caller
from services.runtime.settings import Duration

_MAX_NAME = 255
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "text/csv": {"schema": {"type": "string", "format": "binary"}},
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


class JobQuery(Options):
    """How to read the file, and what to ask for each of its contacts."""

    packages: Annotated[tuple[Package, ...] | None, BeforeValidator(split_names)] = Field(
        default=None,
        description="Packages of Twilio Lookup, comma-separated; `basic` is always with them. "
        "Without it, what DEFAULT_PACKAGES says.",
    )
    account: AccountName | None = Field(
        default=None,
        description="Twilio account to ask, one of ACCOUNTS; DEFAULT_ACCOUNT without it.",
    )
    fresh_for: Duration | None = Field(
        default=None,
        description="How old an earlier answer may be to be taken, such as 12h or 30d; 0s asks "
        "anew. Without it, what FRESH_FOR says.",
    )
    file_name: str | None = Field(
        default=None,
        max_length=_MAX_NAME,
        pattern=r"^[^\x00-\x1f\x7f]*$",
        description="The file's name, for people to know the job by.",
    )


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
    links: JobLinks


def jobs_router(door: Door, spool: Spool, settings: IngestSettings) -> APIRouter:
    """The route by which files come in."""
    router = APIRouter(prefix="/v1", tags=["jobs"])

    @router.post(
        "/jobs",
        status_code=201,
        openapi_extra=_BODY,
        responses=PROBLEM_RESPONSES
        | {
            200: {"model": SubmittedJob, "description": "It was sent before; nothing is new."},
            409: {"description": "The key was used for another file, or the job is under way."},
            413: {"description": "The file is too large."},
            415: {"description": "The body is no CSV file by its type."},
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
                max_length=_MAX_NAME,
                pattern=r"^[!-~]([ -~]*[!-~])?$",
                description="Makes sending again safe: one key, one job. Without it, the same "
                "file with the same options is one job.",
            ),
        ] = None,
    ) -> SubmittedJob:
        """Look up all contacts of a CSV file.

        Answered when all contacts are stored in Kafka. If you leave earlier, but after the
        whole file was sent, publishing goes on; send the same again to see how it ended.
        """
        account = _account(query.account, settings)
        submissions = await door.enter()
        file, name = await spool_body(request, spool)
        upload = _upload(query, account, file, name, source, idempotency_key, settings)
        try:
            submission = submissions.submit(upload)
            sealed = await submission.wait(settings.stall_limit.total_seconds())
        except ParseError as error:
            raise Problem(
                422,
                "bad-file",
                "The file cannot be taken",
                str(error),
                code=error.code,
                row=error.row,
                column=error.column,
            ) from None
        except ConflictError as error:
            raise _conflict(error, upload.job.job_id, given=idempotency_key is not None) from None
        except HeldElsewhereError:
            raise Problem(
                409,
                "in-progress",
                "The job is under way",
                "Another process publishes this very job now; send the same again to see how "
                "it ended.",
                job_id=str(upload.job.job_id),
                retry_after=RETRY_AFTER,
            ) from None
        except BusyError:
            raise away("Too many files are on their way, or the service is stopping.") from None
        except TimeoutError:
            raise away(
                "The file is here and goes on to Kafka as soon as Kafka and PostgreSQL take it."
            ) from None
        answer = _answer(sealed, settings.results_url.rstrip("/"))
        response.headers["Location"] = answer.links.self
        if not sealed.published:
            response.status_code = 200
        return answer

    return router


def _account(named: str | None, settings: IngestSettings) -> str:
    account = named or settings.default_account
    nameable = settings.nameable_accounts
    if account not in nameable:
        raise Problem(
            422,
            "unknown-account",
            "There is no such account",
            f"account: '{account}' is neither DEFAULT_ACCOUNT nor among ACCOUNTS of ingest. "
            "Name one of those listed, or none.",
            accounts=sorted(nameable),
        )
    return account


def _upload(
    query: JobQuery,
    account: str,
    file: SpooledFile,
    name: str | None,
    source: str,
    key: str | None,
    settings: IngestSettings,
) -> Upload:
    reading = Options(**query.model_dump(include=set(Options.model_fields)))
    packages = with_basic(query.packages or settings.default_packages)
    fresh_for = (settings.fresh_for if query.fresh_for is None else query.fresh_for).total_seconds()
    options = reading.model_dump() | {
        "account": account,
        "packages": list(packages),
        "fresh_for": fresh_for,
    }
    fingerprint = ids.content_key(file.sha256, options)
    job = NewJob(
        job_id=ids.job_id(source, key or fingerprint),
        source=source,
        idempotency_key=key,
        fingerprint=fingerprint,
        content_sha256=file.sha256,
        file_name=query.file_name or _printable(name),
        account=account,
        packages=packages,
        options=options,
    )
    return Upload(job, reading, fresh_for, file)


def _printable(name: str | None) -> str | None:
    return "".join(filter(str.isprintable, name or ""))[:_MAX_NAME] or None


def _conflict(error: ConflictError, job_id: UUID, *, given: bool) -> Problem:
    what = "The Idempotency-Key" if given else "The key made from the content"
    return Problem(
        409,
        "idempotency-key-reused",
        "The key was used for something else",
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
        links=JobLinks(self=link, results=f"{link}/results", rejected=f"{link}/rejected"),
    )
