"""The descriptions of both APIs, as the programs themselves serve them."""

from __future__ import annotations

from typing import Any, cast

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from services.ingest.api import jobs_router
from services.results.api import build_api
from services.runtime.api import Tokens, make_api
from services.runtime.health import Readiness
from services.runtime.metric_table import Service

# What the routes work with: nothing is asked of it while they are only described.
_NOTHING = cast("Any", None)


def ingest_api() -> dict[str, Any]:
    """The API of ingest, in OpenAPI."""
    app = _bare("ingest")
    app.include_router(jobs_router(_NOTHING, _NOTHING, _NOTHING))
    return app.openapi()


def results_api() -> dict[str, Any]:
    """The API of results, in OpenAPI."""
    app = _bare("results")
    build_api(app, _NOTHING, _NOTHING)
    return app.openapi()


def _bare(service: Service) -> FastAPI:
    return make_api(
        service, Readiness(), CollectorRegistry(), Tokens({}), f"Bulk Lookup: {service}"
    )
