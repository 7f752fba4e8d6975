"""The HTTP API of results: reads what the writer stored, and takes a person's acts."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from services.contracts.turns import State
from services.results.acts import Actions
from services.results.api_accounts import accounts_router
from services.results.api_dead_letters import dead_letters_router
from services.results.api_exports import exports_router
from services.results.api_jobs import jobs_router
from services.results.api_numbers import numbers_router
from services.results.jobs import Hold
from services.results.problem_types import REFUSED_BY_KAFKA
from services.results.queries import QUERIES, snapshot
from services.runtime.api import Problem, caller, problem_responses
from services.runtime.database import Pool
from services.runtime.kafka import ProduceError
from services.runtime.logs import get_logger
from services.runtime.problem_descriptions import COMMON
from services.runtime.problems import RETRY_AFTER

__all__ = ["Actions", "build_api"]

log = get_logger(__name__)


class Oldest(BaseModel):
    """The contact that waits longest for its end."""

    request_id: UUID
    job_id: UUID
    account: str
    state: State
    accepted_at: datetime
    age_seconds: float


class Summary(BaseModel):
    """The whole system at one instant."""

    at: datetime
    counts: dict[State, int] = Field(description="Contacts by state, over all jobs.")
    known: int = Field(description="The sum of `counts`.")
    rejected: int
    jobs: dict[str, int] = Field(description="Jobs by state: receiving, sealed, standing.")
    oldest_unfinished: Oldest | None
    holds: list[Hold]


def build_api(app: FastAPI, pool: Pool, actions: Actions) -> None:
    """Add the routes of results to an application made by `make_api`."""
    app.include_router(jobs_router(pool, actions))
    app.include_router(exports_router(pool))
    app.include_router(numbers_router(pool))
    app.include_router(dead_letters_router(pool))
    app.include_router(accounts_router(pool, actions))
    app.include_router(_summary_router(pool))
    app.add_exception_handler(ProduceError, _answer_refused)
    # The program serves before it is ready: somebody may have read the description by then.
    app.openapi_schema = None


async def _answer_refused(request: Request, error: Exception) -> JSONResponse:
    log.error("kafka refuses what a person does", reason=str(error))
    problem = Problem(
        REFUSED_BY_KAFKA,
        "Kafka refuses to keep this: what was held, or ran, does so still, in part at least. "
        "The service's log says why, under this request's id; mend that and try again.",
        retry_after=RETRY_AFTER,
    )
    return problem.response(request.state.request_id)


def _summary_router(pool: Pool) -> APIRouter:
    router = APIRouter(
        prefix="/v1",
        tags=["summary"],
        dependencies=[Depends(caller)],
        responses=problem_responses(*COMMON),
    )

    @router.get("/summary")
    async def get_summary() -> Summary:
        """Totals over all jobs, the oldest unfinished contact, and what is held."""
        async with snapshot(pool) as connection:
            now = datetime.now(UTC)
            counted = {r["state"]: r["n"] for r in await connection.fetch(QUERIES["counts"])}
            jobs = await connection.fetch(QUERIES["jobs_by_state"])
            oldest = await connection.fetchrow(QUERIES["oldest_unfinished"])
            holds = await connection.fetch(QUERIES["holds"])
        counts = {state: counted.get(state, 0) for state in State}
        return Summary(
            at=now,
            counts=counts,
            known=sum(counts.values()),
            rejected=counted.get("rejected", 0),
            jobs={row["state"]: row["n"] for row in jobs},
            oldest_unfinished=None
            if oldest is None
            else Oldest(**dict(oldest), age_seconds=(now - oldest["accepted_at"]).total_seconds()),
            holds=[Hold(**dict(hold)) for hold in holds],
        )

    return router
