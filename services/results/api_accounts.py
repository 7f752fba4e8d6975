"""Accounts over HTTP: what holds them, and how a person stops one and lets it go on."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, Field

from services.contracts.control import account_key, account_keys, account_of
from services.results.acts import Act, Actions, Done
from services.results.problem_types import ACT
from services.results.queries import QUERIES, snapshot
from services.runtime.api import caller, problem_responses
from services.runtime.database import Pool
from services.runtime.problem_descriptions import COMMON


class AccountHold(BaseModel):
    """A cause for which an account, or a package of it, is held."""

    cause: str = Field(description="refused, flood, person, budget, or package:PACKAGE.")
    why: str
    by: str
    at: datetime


class Account(BaseModel):
    """A Twilio account by the name it has in the settings."""

    name: str
    running: bool = Field(description="Whether nothing holds it as a whole.")
    holds: list[AccountHold]
    parked: int = Field(description="Contacts that wait for it, for a package or for their job.")


class Accounts(BaseModel):
    """Every account that has a job, a hold, or something parked."""

    accounts: list[Account]


class AccountDone(Done):
    """What was done to an account."""

    name: str


AccountPath = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]


def accounts_router(pool: Pool, actions: Actions) -> APIRouter:
    """The routes under `/v1/accounts`."""
    router = APIRouter(
        prefix="/v1/accounts",
        tags=["accounts"],
        dependencies=[Depends(caller)],
        responses=problem_responses(*COMMON),
    )

    @router.get("")
    async def list_accounts() -> Accounts:
        """Accounts, what holds them, and how much waits for them."""
        async with snapshot(pool) as connection:
            found = await connection.fetch(QUERIES["accounts"])
            holds = await connection.fetch(QUERIES["holds"])
        accounts = []
        for row in found:
            name = row["account"]
            own = [hold for hold in holds if account_of(hold["key"]) == name]
            accounts.append(
                Account(
                    name=name,
                    running=not any(hold["key"] in account_keys(name) for hold in own),
                    holds=[
                        AccountHold(
                            cause=_cause(name, hold["key"]),
                            why=hold["why"],
                            by=hold["by"],
                            at=hold["at"],
                        )
                        for hold in own
                    ],
                    parked=row["parked"],
                )
            )
        return Accounts(accounts=accounts)

    @router.post("/{name}/stop", responses=problem_responses(*ACT))
    async def stop_account(
        name: AccountPath, act: Act, by: Annotated[str, Depends(caller)]
    ) -> AccountDone:
        """Stop an account: nothing more is asked of it until it is resumed."""
        await actions.set_hold(account_key(name, "person"), held=True, why=act.why, by=by)
        return AccountDone(name=name, held=True, causes=["person"], by=by)

    @router.post("/{name}/resume", responses=problem_responses(*ACT))
    async def resume_account(
        name: AccountPath, act: Act, by: Annotated[str, Depends(caller)]
    ) -> AccountDone:
        """Let an account go on: clears every cause that holds it, or a package of it."""
        held = await pool.fetch(QUERIES["holds"])
        keys = {row["key"] for row in held if account_of(row["key"]) == name}
        # A stop of a moment ago may not have been read back from Kafka yet.
        keys.add(account_key(name, "person"))
        for key in sorted(keys):
            await actions.set_hold(key, held=False, why=act.why, by=by)
        causes = [_cause(name, key) for key in sorted(keys)]
        return AccountDone(name=name, held=False, causes=causes, by=by)

    return router


def _cause(name: str, key: str) -> str:
    return key.removeprefix(f"account:{name}:")
