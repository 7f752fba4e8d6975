"""Lists by the page: how a caller asks for the next one, and what a page looks like."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Generic, TypeVar

import asyncpg
from fastapi import Query
from pydantic import BaseModel, Field

from services.results.pages import Cursor, CursorError
from services.runtime.problem_types import INVALID_REQUEST
from services.runtime.problems import Problem

T = TypeVar("T")
P = TypeVar("P", bound=tuple[Any, ...])

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000

Limit = Annotated[
    int, Query(ge=1, le=MAX_LIMIT, description="Most items of the page; `next` leads on.")
]
After = Annotated[
    str | None, Query(max_length=600, description="`next` of the page before; the first without.")
]


class Page(BaseModel, Generic[T]):
    """One page of a list."""

    items: list[T]
    next: str | None = Field(description="Send it as `after` for the next page; null at the end.")


def start_of(cursor: Cursor[P], after: str | None) -> P:
    """The place after which a page begins.

    Raises:
        Problem: 422, `after` is not a cursor of this list.
    """
    try:
        return cursor.read(after)
    except CursorError as error:
        raise Problem(
            INVALID_REQUEST,
            f"query.after: {error}",
            errors=[{"field": "query.after", "message": str(error)}],
        ) from None


def page_of(
    found: Sequence[asyncpg.Record],
    limit: int,
    cursor: Cursor[P],
    place: Callable[[asyncpg.Record], P],
    item: Callable[[asyncpg.Record], T],
) -> Page[T]:
    """The page of what was found, of which one more than `limit` was asked for."""
    shown = found[:limit]
    more = len(found) > limit
    return Page(
        items=[item(row) for row in shown], next=cursor.write(place(shown[-1])) if more else None
    )
