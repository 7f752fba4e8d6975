"""What is known of one number. It stands in the body: paths and queries end up in logs."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Depends
from pydantic import AfterValidator, BaseModel, Field

from services.contracts.messages import AccountName
from services.contracts.packages import Answer, Package
from services.results.contacts import Contact, PackageAnswer, contact_of, package_answer
from services.results.queries import QUERIES, snapshot
from services.runtime.api import caller, problem_responses
from services.runtime.database import Pool
from services.runtime.problem_descriptions import COMMON
from services.runtime.problem_types import UNREADABLE

#: Most requests that a search shows.
MAX_REQUESTS = 50
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_DASHES = dict.fromkeys(map(ord, "-\u2010\u2011\u2012\u2013\u2014\u2212"))
#: What `e164` takes, for those who read the description.
_BETWEEN = r"[\s\u2010-\u2014\u2212-]*"
_WRITTEN = rf"^{_BETWEEN}\+{_BETWEEN}[1-9](?:{_BETWEEN}[0-9]){{6,14}}{_BETWEEN}$"


def e164(text: str) -> str:
    """A number in international form, without the spaces and dashes it was written with.

    Raises:
        ValueError: It is not of that form.
    """
    number = "".join(text.split()).translate(_DASHES)
    if not _E164.fullmatch(number):
        raise ValueError("write the number as +, the country's calling code and the number")
    return number


class NumberSearch(BaseModel):
    """What to search for."""

    phone: Annotated[str, Field(max_length=64), AfterValidator(e164)] = Field(
        description="E.164; spaces and dashes do not matter.",
        json_schema_extra={"pattern": _WRITTEN, "examples": ["+1 415-555-0100"]},
    )
    account: AccountName | None = Field(default=None, description="Only of this account.")


class NumberAnswer(PackageAnswer):
    """The newest answer of one package, from one account."""

    account: str
    request_id: UUID = Field(description="The contact that brought it.")


class NumberFound(BaseModel):
    """What is known of a number."""

    phone: str
    answers: list[NumberAnswer]
    requests: list[Contact] = Field(description="Who asked for it, newest first.")
    more_requests: bool = Field(description="Whether there are more than are shown.")
    newest_at: datetime | None = Field(description="When the newest answer came.")


def numbers_router(pool: Pool) -> APIRouter:
    """The route that searches for a number."""
    router = APIRouter(
        prefix="/v1/numbers",
        tags=["numbers"],
        dependencies=[Depends(caller)],
        responses=problem_responses(UNREADABLE, *COMMON),
    )

    @router.post("/search")
    async def search_number(wanted: NumberSearch) -> NumberFound:
        """The newest answers for a number, and the contacts that asked for it."""
        async with snapshot(pool) as connection:
            answers = await connection.fetch(
                QUERIES["number_answers"], wanted.phone, wanted.account
            )
            requests = await connection.fetch(
                QUERIES["number_requests"], wanted.phone, wanted.account, MAX_REQUESTS + 1
            )
        return NumberFound(
            phone=wanted.phone,
            answers=[NumberAnswer(**_answer_fields(row)) for row in answers],
            requests=[contact_of(row) for row in requests[:MAX_REQUESTS]],
            more_requests=len(requests) > MAX_REQUESTS,
            newest_at=max((row["looked_up_at"] for row in answers), default=None),
        )

    return router


def _answer_fields(row: asyncpg.Record) -> dict[str, Any]:
    answer = package_answer(Package(row["package"]), Answer.model_validate(row["answer"]))
    return {**dict(answer), "account": row["account"], "request_id": row["request_id"]}
