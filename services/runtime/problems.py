"""Errors of an HTTP API as problem details (RFC 9457), each of a stable type."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from services.contracts.masking import mask_text
from services.runtime.database import UNAVAILABLE as POSTGRESQL_AWAY
from services.runtime.health import Readiness
from services.runtime.logs import get_logger
from services.runtime.problem_types import (
    INTERNAL,
    INVALID_REQUEST,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    STARTING,
    UNAVAILABLE,
    UNREADABLE,
    ProblemType,
)

log = get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
#: Seconds after which a caller may try again when a part is away.
RETRY_AFTER = 5
_OF_FRAMEWORK = {kind.status: kind for kind in (UNREADABLE, NOT_FOUND, METHOD_NOT_ALLOWED)}


class ProblemDocument(BaseModel):
    """What the body of every answer that is not a success looks like."""

    model_config = ConfigDict(extra="allow", title="Problem")

    type: str = Field(description="Says which problem it is, for programs; it does not change.")
    title: str = Field(description="The same for people.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What is wrong this time, and the way out.")
    request_id: str = Field(
        description="The request's: the caller's own X-Request-ID, or one made for it. Stands "
        "in that header of the answer and in the service's log too."
    )


class Problem(Exception):  # noqa: N818 - RFC 9457's own word
    """An answer that is not a success.

    Args:
        kind: Its type.
        detail: What is wrong this time, and the way out; digits in it are masked.
        headers: Of the answer.
        members: More members of the document, those that the type names; `retry_after` (whole
            seconds) is also sent as the header `Retry-After`.
    """

    def __init__(
        self,
        kind: ProblemType,
        detail: str,
        *,
        headers: dict[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(f"{kind.status} {kind.slug}: {mask_text(detail)}")
        self.kind = kind
        self.detail = mask_text(detail)
        self.members = members
        self.headers = dict(headers or {})
        if "retry_after" in members:
            self.headers["Retry-After"] = str(members["retry_after"])

    def response(self, request_id: str) -> JSONResponse:
        """The answer to the request with this id."""
        document = document_of(self.kind, self.detail, request_id) | self.members
        return JSONResponse(
            document, status_code=self.kind.status, headers=self.headers, media_type=MEDIA_TYPE
        )


def document_of(kind: ProblemType, detail: str, request_id: str) -> dict[str, Any]:
    """A problem's members, without those of its type."""
    return {
        "type": kind.uri,
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
        "request_id": request_id,
    }


def internal_problem() -> Problem:
    """Our own code failed; what it said stands in the log alone."""
    return Problem(
        INTERNAL, "This is a fault of the service; its log has more under this request's id."
    )


def handle_problems(app: FastAPI, readiness: Readiness) -> None:
    """Answer every foreseen error with a problem: ours, FastAPI's, and PostgreSQL's absence.

    A program listens before it can serve: until `readiness` is whole, what is not there yet
    is answered as unavailable.
    """
    app.state.readiness = readiness
    app.add_exception_handler(Problem, _answer)
    app.add_exception_handler(HTTPException, _answer_framework)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    for kind in POSTGRESQL_AWAY:
        app.add_exception_handler(kind, _answer_unavailable)


def _respond(request: Request, problem: Problem) -> JSONResponse:
    return problem.response(getattr(request.state, "request_id", ""))


async def _answer(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, Problem):
        raise error
    return _respond(request, error)


async def _answer_framework(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    kind = _OF_FRAMEWORK.get(error.status_code)
    missing = request.app.state.readiness.missing
    if kind is NOT_FOUND and missing:
        waits = ", ".join(f"{name} ({why})" for name, why in missing.items())
        detail = f"The service is starting and waits for {waits}. Try again soon."
        return _respond(request, Problem(STARTING, detail, retry_after=RETRY_AFTER))
    if kind is None:
        # The framework has no other today; one that it learns is told as what it is.
        kind = replace(UNREADABLE, status=error.status_code)
    headers = dict(error.headers or {})
    return _respond(request, Problem(kind, f"{kind.meaning} {kind.way_out}", headers=headers))


async def _answer_invalid(request: Request, error: Exception) -> JSONResponse:
    """Name each field that is wrong; what stood there is not repeated, it may be a number."""
    if not isinstance(error, RequestValidationError):
        raise error
    found = [
        {
            "field": mask_text(".".join(str(part) for part in one["loc"])),
            "message": mask_text(str(one["msg"]).removeprefix("Value error, ")),
        }
        for one in error.errors()
    ]
    detail = "; ".join(f"{one['field']}: {one['message']}" for one in found)
    return _respond(request, Problem(INVALID_REQUEST, detail, errors=found))


async def _answer_unavailable(request: Request, error: Exception) -> JSONResponse:
    log.warning("a part is unavailable", reason=f"{type(error).__name__}: {error}")
    return _respond(
        request,
        Problem(
            UNAVAILABLE,
            "PostgreSQL does not answer now; try again later.",
            retry_after=RETRY_AFTER,
        ),
    )
