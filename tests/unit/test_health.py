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


async def test_a_condition_may_be_asked_for_when_somebody_looks() -> None:
    """What it answers then is what holds: for readyz, and for Prometheus."""
    readiness, whys = Readiness("kafka"), ["no heartbeat", None]
    readiness.asks("kafka", lambda: whys[0])
    away = await _get("lookup", readiness, "/readyz")
    assert (away.status_code, away.json()["missing"]) == (503, {"kafka": "no heartbeat"})
    assert _unmet(await _get("lookup", readiness, "/metrics")) == {"kafka": "1"}
    del whys[0]
    assert (await _get("lookup", readiness, "/readyz")).status_code == 200
    assert _unmet(await _get("lookup", readiness, "/metrics")) == {"kafka": "0"}


def test_what_holds_is_noted_in_place_of_what_was_asked() -> None:
    """The last that was said of a condition counts."""
    readiness = Readiness("kafka")
    readiness.asks("kafka", lambda: "away")
    readiness.met("kafka")
    assert readiness.missing == {}
