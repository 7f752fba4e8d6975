"""Tells schemathesis what files look like; loaded by it."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import schemathesis
from schemathesis import Case, HookContext, Response
from schemathesis.core.failures import AcceptedNegativeData, Failure

from tests.fuzz import files

schemathesis.openapi.media_type("text/csv", files.CSV, aliases=["text/tab-separated-values"])
schemathesis.openapi.media_type("application/json", files.JSON_ARRAY)
schemathesis.openapi.media_type("application/x-ndjson", files.JSON_LINES)
schemathesis.openapi.media_type(
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", files.WORKBOOK
)
schemathesis.openapi.media_type("application/gzip", files.GZIP)
schemathesis.openapi.media_type("application/octet-stream", files.ANY)


@schemathesis.hook
def filter_failure(
    context: HookContext, failure: Failure, case: Case[Any], response: Response
) -> bool:
    """Bear that a blank option is taken: it is as one that is not given, whatever its form.

    By what was sent: of a list or an object that holds nothing, only the name is.
    """
    del context, case
    sent = parse_qsl(urlsplit(str(response.request.url)).query, keep_blank_values=True)
    blank = any(not value.strip() for _, value in sent)
    return not (blank and isinstance(failure, AcceptedNegativeData))
