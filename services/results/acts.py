"""What a person may do over HTTP, and how it is told."""

from __future__ import annotations

from typing import Annotated, Protocol

from pydantic import BaseModel, Field, StringConstraints


class Actions(Protocol):
    """What a person may do, in the hands of whoever writes to Kafka."""

    async def set_hold(self, key: str, *, held: bool, why: str, by: str) -> None:
        """Set or clear one cause; returns when Kafka has acknowledged it.

        Raises:
            ProduceError: Kafka refuses it.
        """


class Act(BaseModel):
    """Why a person does it."""

    why: Annotated[
        str,
        StringConstraints(
            min_length=1,
            max_length=500,
            # PostgreSQL keeps no NUL, and what is blank says nothing.
            pattern=r"^[^\x00]*[^\x00\s][^\x00]*$",
        ),
    ] = Field(description="Shown to others beside the hold.")


class Done(BaseModel):
    """What was done; every process hears of it within a second."""

    held: bool
    causes: list[str] = Field(description="The causes that were set, or cleared.")
    by: str
