"""What every program answers without a token: alive, ready, version, metrics."""

from __future__ import annotations

import os
from collections.abc import Iterable
from importlib.metadata import version
from typing import Literal

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from pydantic import BaseModel, Field

from services.runtime.measured import Sample
from services.runtime.metrics import BUILD_INFO, UNMET_CONDITIONS

Condition = Literal["kafka", "postgresql", "control", "partitions", "assignment"]


class Ready(BaseModel):
    """Whether a program can do its work."""

    status: Literal["ok", "waiting"]
    missing: dict[str, str] = Field(
        description="What it waits for, and why that is not there. With 200 it serves all the same."
    )


class Readiness:
    """Named conditions, all of which must hold for the program to be ready."""

    def __init__(self, *conditions: Condition) -> None:
        #: By condition, why it does not hold; None while it does.
        self._why: dict[Condition, str | None] = {}
        self._served_without: set[Condition] = set()
        for condition in conditions:
            self.unmet(condition, "not yet")

    def met(self, condition: Condition) -> None:
        """The condition holds from now on."""
        self._why[condition] = None

    def unmet(self, condition: Condition, why: str) -> None:
        """The condition does not hold, and why."""
        self._why[condition] = why

    def serve_without(self, condition: Condition) -> None:
        """From now on the condition is still told, and the program is ready without it."""
        self._served_without.add(condition)

    @property
    def ready(self) -> bool:
        """Whether the program can serve."""
        return not self.missing.keys() - self._served_without

    @property
    def missing(self) -> dict[str, str]:
        """The conditions that do not hold, with the reasons."""
        return {condition: why for condition, why in self._why.items() if why is not None}

    def samples(self) -> Iterable[Sample]:
        """Each condition with 1 while it does not hold, and 0 while it does."""
        missing = self.missing
        return [((condition,), float(condition in missing)) for condition in self._why]


def health_router(service: str, readiness: Readiness, registry: CollectorRegistry) -> APIRouter:
    """The four routes. `livez` says only that the event loop runs, never a dependency's state."""
    router = APIRouter(tags=["health"])
    release = version("bulk-lookup")
    revision = os.environ.get("REVISION", "unknown")
    BUILD_INFO.labels(service=service, version=release, revision=revision).set(1)
    UNMET_CONDITIONS.read_from(readiness.samples)

    @router.get("/livez")
    async def livez() -> dict[str, str]:
        """Whether the process answers at all."""
        return {"status": "ok"}

    @router.get("/readyz", responses={503: {"model": Ready, "description": "It cannot."}})
    async def readyz(response: Response) -> Ready:
        """Whether the program can do its work now; if not, what it waits for."""
        missing = readiness.missing
        response.status_code = 200 if readiness.ready else 503
        return Ready(status="waiting" if missing else "ok", missing=missing)

    @router.get("/version")
    async def get_version() -> dict[str, str]:
        """Which release of which service this is."""
        return {"service": service, "version": release, "revision": revision}

    @router.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> Response:
        """Everything the service measures, for Prometheus."""
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return router
