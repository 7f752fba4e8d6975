"""What every program answers without a token: alive, ready, version, metrics."""

from __future__ import annotations

import os
from importlib.metadata import version

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from services.runtime.metrics import BUILD_INFO


class Readiness:
    """Named conditions, all of which must hold before the program is ready."""

    def __init__(self, *conditions: str) -> None:
        self._missing: dict[str, str] = dict.fromkeys(conditions, "not yet")

    def met(self, condition: str) -> None:
        """The condition holds from now on."""
        self._missing.pop(condition, None)

    def unmet(self, condition: str, why: str) -> None:
        """The condition does not hold, and why."""
        self._missing[condition] = why

    @property
    def missing(self) -> dict[str, str]:
        """The conditions that do not hold, with the reasons."""
        return dict(self._missing)


def health_router(service: str, readiness: Readiness, registry: CollectorRegistry) -> APIRouter:
    """The four routes. `livez` says only that the event loop runs, never a dependency's state."""
    router = APIRouter(tags=["health"])
    release = version("bulk-lookup")
    revision = os.environ.get("REVISION", "unknown")
    BUILD_INFO.labels(service=service, version=release, revision=revision).set(1)

    @router.get("/livez")
    async def livez() -> dict[str, str]:
        """Whether the process answers at all."""
        return {"status": "ok"}

    @router.get("/readyz")
    async def readyz() -> JSONResponse:
        """Whether the program can do its work now; if not, what it waits for."""
        missing = readiness.missing
        return JSONResponse(
            {"status": "waiting" if missing else "ok", "missing": missing},
            status_code=503 if missing else 200,
        )

    @router.get("/version")
    async def get_version() -> dict[str, str]:
        """Which release of which service this is."""
        return {"service": service, "version": release, "revision": revision}

    @router.get("/metrics")
    async def metrics() -> Response:
        """Everything the service measures, for Prometheus."""
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return router
