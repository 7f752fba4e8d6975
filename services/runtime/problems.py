"""Errors of an HTTP API as problem details (RFC 9457), each of a stable type."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from services.contracts.masking import mask_text
from services.runtime.database import UNAVAILABLE
from services.runtime.health import Readiness
from services.runtime.logs import get_logger

log = get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
#: Seconds after which a caller may try again when PostgreSQL is away.
RETRY_AFTER = 5
_NOT_FOUND = 404
_TITLES = {
    404: ("not-found", "There is nothing here"),
    405: ("method-not-allowed", "This method is not for this address"),
}


class ProblemDocument(BaseModel):
    """What the body of every answer that is not a success looks like."""

    model_config = ConfigDict(extra="allow", title="Problem")

    type: str = Field(description="Says which problem it is, for programs; it does not change.")
    title: str = Field(description="The same for people.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What is wrong this time, and the way out.")
    request_id: str = Field(description="Stands in the service's log too.")


#: For a router's `responses`: every error is a problem.
PROBLEM_RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {
        "description": text,
        "content": {MEDIA_TYPE: {"schema": ProblemDocument.model_json_schema()}},
    }
    for status, text in (
        (401, "No token, or one that is not known."),
        (422, "Something in the request is not as it must be."),
        (503, "A part that is needed is away; try again after `Retry-After`."),
    )
}


class Problem(Exception):  # noqa: N818 - RFC 9457's own word
    """An answer that is not a success.

    Args:
        status: HTTP status.
        slug: Names the type: `urn:bulk-lookup:problem:SLUG`; callers rely on it.
        title: The type in words, the same each time.
        detail: What is wrong this time, and the way out; digits in it are masked.
        headers: Of the answer.
        members: More members of the document; `retry_after` (whole seconds) is also sent as
            the header `Retry-After`.
    """

    def __init__(
        self,
        status: int,
        slug: str,
        title: str,
        detail: str,
        *,
        headers: dict[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(f"{status} {slug}: {mask_text(detail)}")
        self.status = status
        self.type = f"urn:bulk-lookup:problem:{slug}"
        self.title = title
        self.detail = mask_text(detail)
        self.members = members
        self.headers = dict(headers or {})
        if "retry_after" in members:
            self.headers["Retry-After"] = str(members["retry_after"])

    def response(self, request_id: str) -> JSONResponse:
        """The answer to the request with this id."""
        document = {
            "type": self.type,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "request_id": request_id,
            **self.members,
        }
        return JSONResponse(
            document, status_code=self.status, headers=self.headers, media_type=MEDIA_TYPE
        )


def internal_problem() -> Problem:
    """Our own code failed; what it said stands in the log alone."""
    return Problem(
        500,
        "internal",
        "The service failed on this request",
        "This is a fault of the service; its log has more under this request's id.",
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
    for kind in UNAVAILABLE:
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
    missing = request.app.state.readiness.missing
    if error.status_code == _NOT_FOUND and missing:
        waits = ", ".join(f"{name} ({why})" for name, why in missing.items())
        detail = f"The service is starting and waits for {waits}. Try again soon."
        return _respond(
            request, Problem(503, "starting", "Not ready yet", detail, retry_after=RETRY_AFTER)
        )
    slug, title = _TITLES.get(error.status_code, ("http", "The request cannot be served"))
    headers = dict(error.headers or {})
    return _respond(
        request, Problem(error.status_code, slug, title, str(error.detail), headers=headers)
    )


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
    return _respond(
        request, Problem(422, "invalid-request", "The request is not valid", detail, errors=found)
    )


async def _answer_unavailable(request: Request, error: Exception) -> JSONResponse:
    log.warning("a part is unavailable", reason=f"{type(error).__name__}: {error}")
    return _respond(
        request,
        Problem(
            503,
            "unavailable",
            "A part that is needed is away",
            "PostgreSQL does not answer now; try again later.",
            retry_after=RETRY_AFTER,
        ),
    )
