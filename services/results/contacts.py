"""A contact as the API shows it: who was asked about, where it stands, what was answered."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import asyncpg
from pydantic import BaseModel, Field

from services.contracts.packages import Answer, Billed, Package
from services.contracts.turns import State
from services.results.request_table import read_extra


class PackageAnswer(BaseModel):
    """What came of one package for a contact."""

    package: Package
    status: Literal["ok", "failed", "exhausted", "owed"] = Field(
        description="ok: answered; failed: refused for good; exhausted: transient failures until "
        "attempts or age ran out; owed: not yet answered."
    )
    code: int | None = Field(default=None, description="Twilio's error code, if it gave one.")
    reason: str | None = None
    data: dict[str, Any] | None = Field(
        default=None, description="Twilio's own object for the package."
    )
    reused: bool = Field(default=False, description="Paid for by another contact, or earlier.")
    billed: Billed | None = None
    looked_up_at: datetime | None = Field(default=None, description="When Twilio answered.")


class Contact(BaseModel):
    """One contact of a job."""

    request_id: UUID
    job_id: UUID
    reference: str | None = Field(description="The client's own name for the contact.")
    row: int | None = Field(description="Row of the file, the header being row 1.")
    column: str | None = Field(description="Heading of the column of the number.")
    phone: str = Field(description="E.164.")
    country: str | None = Field(description="ISO 3166 region of the number, if it has one.")
    extra: dict[str, str] = Field(
        description="Columns of the file that were asked to be kept, by heading; or what came "
        "as `extra` on contacts.inbound."
    )
    account: str
    state: State
    packages: list[PackageAnswer]
    attempts: int = Field(description="Calls that failed for the contact's own sake.")
    last_error: str | None
    waits_for: list[str] = Field(description="Holds that a parked contact waits for.")
    generation: int = Field(description="One more for each redrive.")
    turn: int
    accepted_at: datetime
    due_at: datetime | None = Field(description="When a retry is due.")
    ended_at: datetime | None


def contact_of(row: asyncpg.Record) -> Contact:
    """A row of `requests`, with a package for all that were asked for or answered."""
    answers = {Package(name): Answer.model_validate(a) for name, a in row["answers"].items()}
    asked = [Package(name) for name in row["packages"]]
    return Contact(
        request_id=row["request_id"],
        job_id=row["job_id"],
        reference=row["reference"],
        row=row["row_number"],
        column=row["column_name"],
        phone=row["phone"],
        country=row["country"],
        extra=read_extra(row["extra"]),
        account=row["account"],
        state=row["state"],
        packages=[package_answer(package, answers.get(package)) for package in dict.fromkeys(asked)]
        + [package_answer(p, answer) for p, answer in answers.items() if p not in asked],
        attempts=row["attempts"],
        last_error=row["last_error"],
        waits_for=sorted(row["causes"]),
        generation=row["generation"],
        turn=row["turn"],
        accepted_at=row["accepted_at"],
        due_at=row["due_at"],
        ended_at=row["ended_at"],
    )


def package_answer(package: Package, answer: Answer | None) -> PackageAnswer:
    """The answer of a package, or that it is owed."""
    if answer is None:
        return PackageAnswer(package=package, status="owed")
    return PackageAnswer(
        package=package,
        status=answer.status,
        code=answer.code,
        reason=answer.reason,
        data=answer.data,
        reused=answer.reused,
        billed=answer.billed,
        looked_up_at=answer.looked_up_at,
    )
