"""What the API reads: the statements of `queries.sql` by name, and the snapshot they see."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files

from asyncpg.pool import PoolConnectionProxy

from services.runtime.database import Pool

_NAME = re.compile(r"^-- name:", re.MULTILINE)
_BLOCK = re.compile(r"^-- name: (?P<name>[a-z_]+)\n-- (?P<purpose>.+)\n", re.MULTILINE)


def read_queries(text: str) -> dict[str, str]:
    """Queries by name, of blocks that each begin with a name and a line of purpose.

    Raises:
        ValueError: A name stands twice, or without its line of purpose.
    """
    heads = list(_BLOCK.finditer(text))
    if len(heads) != len(_NAME.findall(text)):
        raise ValueError("each `-- name: NAME` needs a line of purpose under it")
    ends = [head.start() for head in heads[1:]] + [len(text)]
    queries = {
        head["name"]: text[head.end() : end].strip() for head, end in zip(heads, ends, strict=True)
    }
    if len(queries) != len(heads):
        raise ValueError("two queries have one name")
    return queries


QUERIES = read_queries(files("services.results").joinpath("queries.sql").read_text("utf-8"))


@asynccontextmanager
async def snapshot(pool: Pool) -> AsyncIterator[PoolConnectionProxy]:
    """A connection on which every statement sees one and the same state of the database."""
    async with (
        pool.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        yield connection
