"""A job as the API shows it: how far it is, how fast, what holds it, what came of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from pydantic import BaseModel, Field

from services.contracts.turns import State
from services.results.breakdown import PackageOutcome, Reason
from services.results.contacts import Contact
from services.results.pages import progress


class Sealed(BaseModel):
    """Totals of a job whose last record Kafka has acknowledged; they do not change again."""

    accepted: int
    rejected: int
    duplicates: int = Field(description="Of the accepted: numbers that stood in the file before.")


class Hold(BaseModel):
    """A cause for which something is held."""

    key: str
    why: str
    by: str
    at: datetime


class Job(BaseModel):
    """One upload, or one upstream source."""

    job_id: UUID
    source: str = Field(description="Name of the token, or of the upstream system.")
    state: str = Field(description="receiving, sealed, or standing (an upstream source's).")
    file_name: str | None
    account: str
    packages: list[str]
    created_at: datetime
    sealed_at: datetime | None
    sealed: Sealed | None
    counts: dict[State, int] = Field(description="Contacts by state, as far as they are read.")
    known: int = Field(description="The sum of `counts`; `sealed.accepted` once all are read.")
    rejected: int = Field(description="Rejected rows, as far as they are read.")
    finished: int
    share: float | None = Field(description="Finished share of all contacts, 0 to 1.")
    complete: bool = Field(description="Sealed, and every contact has its end.")


class JobDetail(Job):
    """A job with its speed, its holds and what came of it, all of one instant."""

    at: datetime
    rate_per_second: float = Field(description="Contacts that ended per second, last minute.")
    seconds_left: float | None = Field(
        description="At this rate, held contacts left out; null if nobody can tell."
    )
    holds: list[Hold] = Field(description="What holds this job or its account now.")
    last_successes: list[Contact]
    last_failures: list[Contact]
    reasons: list[Reason] | None = Field(description="Null without `breakdown`.")
    outcomes: list[PackageOutcome] | None = Field(
        description="Per package: answers, calls and bills. Null without `breakdown`."
    )


def job_fields(row: asyncpg.Record) -> dict[str, Any]:
    """The fields of a `Job`, from its row with its counts."""
    counts = {state: int(row["counts"].get(state, 0)) for state in State}
    now = progress(counts, row["accepted"])
    sealed = None
    if row["accepted"] is not None:
        sealed = Sealed(
            accepted=row["accepted"],
            rejected=row["rejected"] or 0,
            duplicates=row["duplicates"] or 0,
        )
    shown = ("job_id", "source", "state", "file_name", "account", "packages")
    return {
        **{name: row[name] for name in (*shown, "created_at", "sealed_at")},
        "sealed": sealed,
        "counts": counts,
        "known": now.known,
        "rejected": int(row["counts"].get("rejected", 0)),
        "finished": now.finished,
        "share": now.share,
        "complete": now.complete,
    }
