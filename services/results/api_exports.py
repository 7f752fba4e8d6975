"""Whole jobs over HTTP, as files; written as they are read, so that no job is too large."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Protocol
from uuid import UUID

from fastapi import APIRouter, Depends
from fastapi.responses import StreamingResponse

from services.contracts.turns import State
from services.results import pages
from services.results.api_jobs import PackageStatus, job_row, results_query, row_place
from services.results.exports import RejectedCsv, ResultsCsv, ResultsJson
from services.results.problem_types import TOO_MANY_EXPORTS, UNKNOWN_JOB
from services.results.queries import QUERIES
from services.runtime.api import Problem, caller, problem_responses
from services.runtime.database import Pool
from services.runtime.problem_descriptions import COMMON
from services.runtime.problems import RETRY_AFTER

#: Rows read and written at a time.
PAGE = 500
#: Files written at a time; each holds a page or two.
MAX_AT_ONCE = 20

_CSV = "text/csv"
_JSON_LINES = "application/jsonl"


class _Form(Protocol):
    """How the rows of a file are written."""

    def begin(self) -> str:
        """What stands before them."""

    def page(self, rows: Iterable[Any]) -> str:
        """Some of them."""


class _Exports:
    """The files that are being written."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._at_work = 0

    async def answer(
        self,
        job_id: UUID,
        name: str,
        form_of: Callable[[Any], _Form],
        query: str,
        *filters: Any,
    ) -> StreamingResponse:
        """Answer with a file of a job: of what a query of pages gives, in the form for the job.

        Raises:
            Problem: There is no such job, or too many files are being written.
        """
        form = form_of(await job_row(self._pool, job_id, "job_file"))
        # After what is waited for, during which others may have begun.
        if self._at_work >= MAX_AT_ONCE:
            raise Problem(
                TOO_MANY_EXPORTS,
                f"{MAX_AT_ONCE} files are being written; try again when one of them is done.",
                retry_after=RETRY_AFTER,
            )
        stem, _, kind = name.partition(".")
        return StreamingResponse(
            self._written(form, job_id, query, *filters),
            media_type=_CSV if kind == "csv" else _JSON_LINES,
            headers={
                "Content-Disposition": f'attachment; filename="{stem}-{job_id}.{kind}"',
                # Personal data.
                "Cache-Control": "no-store",
            },
        )

    async def _written(
        self, form: _Form, job_id: UUID, query: str, *filters: Any
    ) -> AsyncIterator[bytes]:
        """Write it in parts; if one cannot be had, the connection is broken off.

        A connection to PostgreSQL is held for a page alone, however slowly the caller reads.
        """
        self._at_work += 1
        try:
            yield form.begin().encode()
            place = pages.ROWS.read(None)
            more = True
            while more:
                found = await self._pool.fetch(QUERIES[query], job_id, *place, PAGE, *filters)
                more = len(found) == PAGE
                if found:
                    place = row_place(found[-1])
                    yield (await asyncio.to_thread(form.page, found)).encode()
        finally:
            self._at_work -= 1


def exports_router(pool: Pool) -> APIRouter:
    """The routes of files under `/v1/jobs/{job_id}`."""
    router = APIRouter(
        prefix="/v1/jobs/{job_id}",
        tags=["files"],
        dependencies=[Depends(caller)],
        responses=problem_responses(*COMMON, UNKNOWN_JOB, TOO_MANY_EXPORTS),
        default_response_class=StreamingResponse,
    )
    exports = _Exports(pool)

    @router.get("/results.csv", responses=_file_of(_CSV))
    async def results_as_csv(
        job_id: UUID, state: State | None = None, package_status: PackageStatus = None
    ) -> StreamingResponse:
        """Contacts of a job with their answers as CSV, in the order of the file.

        Columns that were asked to be kept stand among the others under their own headings; one
        that is called as one of ours has `extra.` before it. Of contacts from
        `contacts.inbound`, all that came as `extra` stands in one column of that name, as JSON.

        What a spreadsheet would take for a formula has an apostrophe before it.
        """
        name, filters = results_query(state, package_status)
        return await exports.answer(job_id, "results.csv", ResultsCsv, name, *filters)

    @router.get("/results.jsonl", responses=_file_of(_JSON_LINES))
    async def results_as_json_lines(
        job_id: UUID, state: State | None = None, package_status: PackageStatus = None
    ) -> StreamingResponse:
        """Contacts of a job as JSON Lines, each as in the list of results."""
        name, filters = results_query(state, package_status)
        return await exports.answer(
            job_id, "results.jsonl", lambda _: ResultsJson(), name, *filters
        )

    @router.get("/rejected.csv", responses=_file_of(_CSV))
    async def rejected_as_csv(job_id: UUID) -> StreamingResponse:
        """Rejected rows of a job as they stood in its file, to be mended and sent again.

        Four columns before those of the file say the row, the column, the reason and the way
        out; ingest passes over them. Of several columns of numbers a row shows only the number
        that was rejected, so that the others are not asked for again.

        In UTF-8 with a byte order mark, with the delimiter of the file. What a spreadsheet
        would take for a formula has an apostrophe before it, which ingest takes off again.
        """
        return await exports.answer(job_id, "rejected.csv", RejectedCsv, "rejected_cells_page")

    return router


def _file_of(media_type: str) -> dict[int | str, dict[str, Any]]:
    content = {media_type: {"schema": {"type": "string"}}}
    return {200: {"description": "The file.", "content": content}}
