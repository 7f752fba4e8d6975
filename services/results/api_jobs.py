"""Jobs over HTTP: how far they are, what came of them, and their contacts by the page."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import asyncpg
from asyncpg.pool import PoolConnectionProxy
from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from services.contracts.control import JOB_CAUSES, job_key
from services.contracts.packages import Package
from services.contracts.turns import State
from services.results import pages
from services.results.acts import Act, Actions, Done
from services.results.api_pages import DEFAULT_LIMIT, After, Limit, Page, page_of, start_of
from services.results.breakdown import Reason, package_outcomes
from services.results.contacts import Contact, contact_of
from services.results.exports import way_out
from services.results.jobs import Hold, Job, JobDetail, job_fields
from services.results.problem_types import ACT, UNKNOWN_JOB
from services.results.queries import QUERIES, snapshot
from services.runtime.api import Problem, caller, problem_responses
from services.runtime.database import Pool
from services.runtime.problem_descriptions import COMMON

_LAST = 5
_ONE_JOB = problem_responses(UNKNOWN_JOB)
_ACT_ON_JOB = problem_responses(UNKNOWN_JOB, *ACT)

PackageStatus = Annotated[
    str | None,
    Query(
        pattern=rf"^(({'|'.join(Package)}):)?(ok|failed|exhausted)$",
        description="Only contacts with a package answered like this: "
        "`failed`, or of one package, `caller_name:failed`.",
    ),
]


class Rejected(BaseModel):
    """A row that cannot be a number."""

    row: int
    column: str | None
    reason: str
    way_out: str = Field(description="What is wrong, and what to do.")
    text: str = Field(description="What stood there, masked.")
    rejected_at: datetime


class JobDone(Done):
    """What was done to a job."""

    job_id: UUID


def jobs_router(pool: Pool, actions: Actions) -> APIRouter:
    """The routes under `/v1/jobs`."""
    router = APIRouter(
        prefix="/v1/jobs",
        tags=["jobs"],
        dependencies=[Depends(caller)],
        responses=problem_responses(*COMMON),
    )

    @router.get("")
    async def list_jobs(limit: Limit = DEFAULT_LIMIT, after: After = None) -> Page[Job]:
        """Jobs, newest first."""
        place = start_of(pages.JOBS, after)
        found = await pool.fetch(QUERIES["jobs_page"], *place, limit + 1)
        return page_of(
            found,
            limit,
            pages.JOBS,
            lambda row: (row["created_at"], row["job_id"]),
            lambda row: Job(**job_fields(row)),
        )

    @router.get("/{job_id}", responses=_ONE_JOB)
    async def get_job(
        job_id: UUID,
        breakdown: Annotated[
            bool,
            Query(description="Whether to add up `reasons` and `outcomes`: slow for large jobs."),
        ] = True,
    ) -> JobDetail:
        """One job: totals, speed, time left, last contacts, and what came of it."""
        async with snapshot(pool) as connection:
            return await _detail(connection, job_id, datetime.now(UTC), breakdown=breakdown)

    @router.get("/{job_id}/results", responses=_ONE_JOB)
    async def list_results(
        job_id: UUID,
        state: State | None = None,
        package_status: PackageStatus = None,
        limit: Limit = DEFAULT_LIMIT,
        after: After = None,
    ) -> Page[Contact]:
        """Contacts of a job, in the order of the file."""
        place = start_of(pages.ROWS, after)
        name, filters = results_query(state, package_status)
        async with snapshot(pool) as connection:
            await job_row(connection, job_id)
            found = await connection.fetch(QUERIES[name], job_id, *place, limit + 1, *filters)
        return page_of(
            found,
            limit,
            pages.ROWS,
            row_place,
            contact_of,
        )

    @router.get("/{job_id}/rejected", responses=_ONE_JOB)
    async def list_rejected(
        job_id: UUID, limit: Limit = DEFAULT_LIMIT, after: After = None
    ) -> Page[Rejected]:
        """Rows of a job that cannot be a number, in the order of the file."""
        place = start_of(pages.ROWS, after)
        async with snapshot(pool) as connection:
            await job_row(connection, job_id)
            found = await connection.fetch(QUERIES["rejected_page"], job_id, *place, limit + 1)
        return page_of(
            found,
            limit,
            pages.ROWS,
            row_place,
            lambda row: Rejected(
                row=row["row_number"],
                column=row["column_name"],
                reason=row["reason"],
                way_out=way_out(row["reason"]),
                text=row["masked_text"],
                rejected_at=row["rejected_at"],
            ),
        )

    @router.post("/{job_id}/stop", responses=_ACT_ON_JOB)
    async def stop_job(job_id: UUID, act: Act, by: Annotated[str, Depends(caller)]) -> JobDone:
        """Stop a job: nothing more is asked for it until it is resumed."""
        async with snapshot(pool) as connection:
            await job_row(connection, job_id)
        await actions.set_hold(job_key(job_id, "person"), held=True, why=act.why, by=by)
        return JobDone(job_id=job_id, held=True, causes=["person"], by=by)

    @router.post("/{job_id}/resume", responses=_ACT_ON_JOB)
    async def resume_job(job_id: UUID, act: Act, by: Annotated[str, Depends(caller)]) -> JobDone:
        """Let a job go on: clears every cause of its own; what holds its account stays."""
        async with snapshot(pool) as connection:
            await job_row(connection, job_id)
        # All of them: a hold of a moment ago may not have been read back from Kafka yet.
        for cause in JOB_CAUSES:
            await actions.set_hold(job_key(job_id, cause), held=False, why=act.why, by=by)
        return JobDone(job_id=job_id, held=False, causes=list(JOB_CAUSES), by=by)

    return router


def results_query(state: State | None, package_status: str | None) -> tuple[str, list[Any]]:
    """The statement whose index serves these filters, and its arguments after the page's."""
    if package_status is None:
        return ("results_page", []) if state is None else ("results_page_by_state", [state])
    package, _, status = package_status.rpartition(":")
    # Both are of closed lists, so nothing of the caller's stands in the path.
    path = f'$.{package or "*"}.status ? (@ == "{status}")'
    states = [state] if state is not None else list(State)
    return f"results_page_by_{'answer' if status == 'ok' else 'failure'}", [states, path]


def row_place(row: asyncpg.Record) -> tuple[int, UUID]:
    """Where a contact or a rejected row stands in the order of its file, as `pages.ROWS` has it."""
    row_id: UUID = row.get("rejection_id") or row["request_id"]
    return (row["row_number"] or 0, row_id)


async def job_row(
    connection: PoolConnectionProxy | Pool, job_id: UUID, query: str = "job"
) -> asyncpg.Record:
    """A job's row, by the query of this name.

    Raises:
        Problem: 404; there is no such job.
    """
    row = await connection.fetchrow(QUERIES[query], job_id)
    if row is None:
        raise Problem(
            UNKNOWN_JOB, f"No job has the id {job_id}; GET /v1/jobs lists those there are."
        )
    return row


async def _detail(
    connection: PoolConnectionProxy, job_id: UUID, now: datetime, *, breakdown: bool
) -> JobDetail:
    row = await job_row(connection, job_id)
    fields = job_fields(row)
    ended = await connection.fetchval(QUERIES["job_ended_since"], job_id, now - pages.RATE_WINDOW)
    rate = pages.rate_per_second(ended, now - row["created_at"])
    holds = await connection.fetch(
        QUERIES["job_holds"], f"job:{job_id}:", f"account:{row['account']}:"
    )
    last = {
        state: await connection.fetch(QUERIES["job_last_ended"], job_id, state, _LAST)
        for state in (State.COMPLETED, State.DEAD)
    }
    reasons = outcomes = None
    if breakdown:
        counted = await connection.fetch(QUERIES["job_reasons"], job_id)
        reasons = [Reason(state=r["state"], reason=r["reason"], count=r["n"]) for r in counted]
        groups = await connection.fetch(QUERIES["job_packages"], job_id)
        outcomes = package_outcomes(dict(group) for group in groups)
    return JobDetail(
        **fields,
        at=now,
        rate_per_second=round(rate, 3),
        seconds_left=pages.seconds_left(fields["counts"], row["accepted"], rate),
        holds=[Hold(**dict(hold)) for hold in holds],
        last_successes=[contact_of(one) for one in last[State.COMPLETED]],
        last_failures=[contact_of(one) for one in last[State.DEAD]],
        reasons=reasons,
        outcomes=outcomes,
    )
