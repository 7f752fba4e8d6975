"""Tells schemathesis of the jobs that there are, and of places in lists; loaded by it.

Without that, almost every id it makes up is that of no job, and no cursor is one.
"""

from __future__ import annotations

import base64
import json
import os
import zlib
from typing import Any
from uuid import UUID

import schemathesis
from schemathesis import Case, HookContext, Response
from schemathesis.core.failures import Failure
from schemathesis.openapi.checks import RejectedPositiveData

JOBS = "FUZZ_JOBS"

#: Places in lists, up to the ends of what there is.
_NO_ONE = str(UUID(int=0))
_PLACES: list[list[Any]] = [
    *([row, _NO_ONE] for row in (-1, 2, 2**63 - 1, 2**63)),
    *(
        [at, *rest]
        for at in ("2026-03-01T12:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z")
        for rest in ([_NO_ONE], ["lookup.dead-letters", 0, 2**63 - 1], ["\0", 0, 0])
    ),
]


@schemathesis.hook
def map_path_parameters(
    context: HookContext, path_parameters: dict[str, Any] | None
) -> dict[str, Any] | None:
    """Put one of our jobs where three quarters of the ids stand."""
    del context
    given = (path_parameters or {}).get("job_id")
    jobs = os.environ[JOBS].split(",")
    try:
        chosen = UUID(str(given)).int
    except ValueError:
        return path_parameters
    if path_parameters is None or chosen % 4 == 0:
        return path_parameters
    return path_parameters | {"job_id": jobs[chosen % len(jobs)]}


@schemathesis.hook
def map_query(context: HookContext, query: dict[str, Any] | None) -> dict[str, Any] | None:
    """Put something like a cursor where two thirds of the cursors stand."""
    del context
    given = (query or {}).get("after")
    if query is None or not isinstance(given, str):
        return query
    chosen = zlib.crc32(given.encode("utf-8", "replace"))
    if chosen % 3 == 0:
        return query
    place = json.dumps(_PLACES[chosen % len(_PLACES)]).encode()
    return query | {"after": base64.urlsafe_b64encode(place).decode().rstrip("=")}


@schemathesis.hook
def filter_failure(
    context: HookContext, failure: Failure, case: Case[Any], response: Response
) -> bool:
    """Bear that a made-up cursor is refused: what one looks like is nobody's business."""
    del context, case
    if not isinstance(failure, RejectedPositiveData):
        return True
    wrong = {error["field"] for error in response.json().get("errors", ())}
    return wrong != {"query.after"}
