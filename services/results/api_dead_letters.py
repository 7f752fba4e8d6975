"""Dead letters over HTTP: what went no further, and why."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from services.contracts.turns import State
from services.results import pages
from services.results.api_pages import DEFAULT_LIMIT, After, Limit, Page, page_of, start_of
from services.results.queries import QUERIES
from services.runtime.api import caller, problem_responses
from services.runtime.database import Pool
from services.runtime.problem_descriptions import COMMON


class DeadLetterShown(BaseModel):
    """A record that goes no further; its bytes stay in PostgreSQL."""

    dead_letter_id: UUID
    reason: str
    detail: str = Field(description="What happened, numbers masked.")
    job_id: UUID | None
    request_id: UUID | None
    account: str | None
    phone: str | None = Field(description="Of the contact, if it is known.")
    reference: str | None
    row: int | None
    state_now: State | None = Field(
        description="Where the contact stands now: it may have been redriven since."
    )
    attempts: int | None
    original_topic: str | None
    original_partition: int | None
    original_offset: int | None
    first_failed_at: datetime | None
    last_failed_at: datetime | None
    recorded_at: datetime


class ReasonCount(BaseModel):
    """How many dead letters there are of one reason."""

    reason: str
    count: int
    newest_at: datetime


class DeadLetterSummary(BaseModel):
    """Dead letters by reason."""

    total: int
    reasons: list[ReasonCount]


def dead_letters_router(pool: Pool) -> APIRouter:
    """The routes under `/v1/dead-letters`."""
    router = APIRouter(
        prefix="/v1/dead-letters",
        tags=["dead letters"],
        dependencies=[Depends(caller)],
        responses=problem_responses(*COMMON),
    )

    @router.get("")
    async def list_dead_letters(
        reason: Annotated[str | None, Query(max_length=64, pattern=r"^[^\x00]*$")] = None,
        job: UUID | None = None,
        limit: Limit = DEFAULT_LIMIT,
        after: After = None,
    ) -> Page[DeadLetterShown]:
        """Dead letters, newest first."""
        place = start_of(pages.DEAD_LETTERS, after)
        name, filters = dead_letters_query(reason, job)
        found = await pool.fetch(QUERIES[name], *place, limit + 1, *filters)
        return page_of(
            found,
            limit,
            pages.DEAD_LETTERS,
            lambda row: (row["recorded_at"], row["topic"], row["partition"], row["offset"]),
            _shown,
        )

    @router.get("/summary")
    async def count_dead_letters() -> DeadLetterSummary:
        """How many there are of each reason."""
        counted = await pool.fetch(QUERIES["dead_letters_by_reason"])
        return DeadLetterSummary(
            total=sum(row["n"] for row in counted),
            reasons=[
                ReasonCount(reason=row["reason"], count=row["n"], newest_at=row["newest"])
                for row in counted
            ],
        )

    return router


def dead_letters_query(reason: str | None, job: UUID | None) -> tuple[str, list[Any]]:
    """The statement whose index serves these filters, and its arguments after the page's."""
    if job is not None:
        return "dead_letters_page_by_job", [job, reason]
    if reason is not None:
        return "dead_letters_page_by_reason", [reason]
    return "dead_letters_page", []


def _shown(row: asyncpg.Record) -> DeadLetterShown:
    return DeadLetterShown(**{**dict(row), "row": row["row_number"]})
