"""What a program waits for, as readyz and Prometheus are told."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI

from services.runtime.health import Readiness, health_router
from services.runtime.metric_table import ALL, Service
from services.runtime.metrics import registry_for


async def _get(service: Service, readiness: Readiness, path: str) -> httpx.Response:
    app = FastAPI()
    app.include_router(health_router(service, readiness, registry_for(service)))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.get(path)


def _unmet(metrics: httpx.Response) -> dict[str, str]:
    name = "lookup_unmet_conditions{condition="
    lines = [line for line in metrics.text.splitlines() if line.startswith(name)]
    return {
        line.removeprefix(name).split('"')[1]: line.rpartition(" ")[2].removesuffix(".0")
        for line in lines
    }


@pytest.mark.parametrize("service", ALL)
async def test_each_condition_is_told_from_the_start(service: Service) -> None:
    """1 before it was ever met, 0 while it is met, 1 again once it is lost; never no series."""
    readiness = Readiness("kafka", "postgresql")
    assert _unmet(await _get(service, readiness, "/metrics")) == {"kafka": "1", "postgresql": "1"}
    readiness.met("kafka")
    assert _unmet(await _get(service, readiness, "/metrics")) == {"kafka": "0", "postgresql": "1"}
    readiness.met("postgresql")
    readiness.unmet("kafka", "OSError")
    assert _unmet(await _get(service, readiness, "/metrics")) == {"kafka": "1", "postgresql": "0"}


async def test_readyz_is_red_with_the_reason() -> None:
    """503 while a condition does not hold, and why; 200 from when the last one does."""
    readiness = Readiness("kafka")
    readiness.unmet("kafka", "nobody listens there")
    away = await _get("lookup", readiness, "/readyz")
    assert (away.status_code, away.json()["missing"]) == (503, {"kafka": "nobody listens there"})
    readiness.met("kafka")
    there = await _get("lookup", readiness, "/readyz")
    assert (there.status_code, there.json()["missing"]) == (200, {})


async def test_what_a_program_serves_without_is_told_all_the_same() -> None:
    """It keeps its place behind a load balancer, and neither readyz nor Prometheus hides it."""
    readiness = Readiness("kafka", "postgresql")
    readiness.met("postgresql")
    readiness.serve_without("kafka")
    away = await _get("results", readiness, "/readyz")
    assert (away.status_code, away.json()) == (
        200,
        {"status": "waiting", "missing": {"kafka": "not yet"}},
    )
    assert _unmet(await _get("results", readiness, "/metrics"))["kafka"] == "1"
    readiness.unmet("postgresql", "OSError")
    assert (await _get("results", readiness, "/readyz")).status_code == 503
