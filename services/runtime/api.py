"""What every HTTP API of ours has: bearer tokens, problem details, request ids, measures."""

from __future__ import annotations

import re
import time
import uuid
from typing import Annotated, Any

from fastapi import FastAPI, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from prometheus_client import CollectorRegistry, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from services.contracts.masking import mask_text
from services.runtime.health import Readiness, health_router
from services.runtime.logs import get_logger
from services.runtime.metric_table import Service
from services.runtime.metrics import INGEST_HTTP_DURATION, RESULTS_HTTP_DURATION
from services.runtime.problem_descriptions import problem_responses, share_problems
from services.runtime.problem_types import UNAUTHORIZED
from services.runtime.problems import Problem, handle_problems, internal_problem
from services.runtime.tokens import Tokens

__all__ = ["Problem", "Tokens", "caller", "make_api", "problem_responses"]

log = get_logger(__name__)

#: What needs no token: probes, and Prometheus.
OPEN_PATHS = frozenset({"/livez", "/readyz", "/version", "/metrics"})
REQUEST_ID_HEADER = "X-Request-ID"
#: Of the description: within it what `docs/contracts.md` promises holds. Routes say it as `/v1`.
API_VERSION = "1"
_DESCRIPTION = (
    "Errors are problem details (RFC 9457), of types that do not change. Every answer carries "
    "the request's id in `X-Request-ID`: the caller's own, if it sent a sane one in that header."
)
_SANE_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_DURATIONS: dict[Service, Histogram] = {
    "ingest": INGEST_HTTP_DURATION,
    "results": RESULTS_HTTP_DURATION,
}

_bearer = HTTPBearer(auto_error=False, description="One of API_TOKENS.")


async def caller(
    request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]
) -> str:
    """Name of the caller's token; `local` where none is set. A dependency of routes."""
    return str(request.state.caller)


def make_api(
    service: Service,
    readiness: Readiness,
    registry: CollectorRegistry,
    tokens: Tokens,
    title: str,
) -> FastAPI:
    """An application with the health routes, in which everything else needs a token."""
    app = _Api(
        title=title,
        version=API_VERSION,
        description=_DESCRIPTION,
        license_info={"name": "Apache 2.0", "identifier": "Apache-2.0"},
        docs_url="/docs",
        redoc_url=None,
        openapi_url="/openapi.json",
        # One address for one thing: a redirect would be an answer that no description has.
        redirect_slashes=False,
        # Clients are made with these names.
        generate_unique_id_function=lambda route: route.name,
    )
    app.include_router(health_router(service, readiness, registry))
    handle_problems(app, readiness)
    app.add_middleware(_Edge, tokens=tokens, duration=_DURATIONS.get(service))
    return app


class _Api(FastAPI):
    """Describes problems once, for all routes that answer with them."""

    def openapi(self) -> dict[str, Any]:
        """The application's description in OpenAPI, made at its first use."""
        if self.openapi_schema is None:
            share_problems(super().openapi())
        return super().openapi()


class _Edge:
    """Around every request: its id, its caller, its duration, and the last resort.

    Plain ASGI, so that bodies stream both ways and a context variable reaches the route.
    """

    def __init__(self, app: ASGIApp, tokens: Tokens, duration: Histogram | None) -> None:
        self._app = app
        self._tokens = tokens
        self._duration = duration

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = request_id_of(headers.get(REQUEST_ID_HEADER))
        scope.setdefault("state", {})["request_id"] = request_id
        code = 0

        async def tell(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID_HEADER] = request_id
            await send(message)

        started = time.perf_counter()
        with bound_contextvars(http_request_id=request_id):
            try:
                await self._answer(scope, receive, tell, headers)
            except Exception:
                log.exception("a request failed", route=_route(scope))
                if code:
                    raise  # too late for a problem: the server breaks the connection off
                await internal_problem().response(request_id)(scope, receive, tell)
            finally:
                self._note(scope, code, time.perf_counter() - started)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, headers: Headers) -> None:
        if scope["path"] not in OPEN_PATHS:
            name = self._tokens.name_of(headers.get("Authorization"))
            if name is None:
                problem = _unauthorized(given="Authorization" in headers)
                await problem.response(scope["state"]["request_id"])(scope, receive, send)
                return
            scope["state"]["caller"] = name
        await self._app(scope, receive, send)

    def _note(self, scope: Scope, code: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "other"
        route = _route(scope)
        if self._duration is not None:
            # 499: the client left before it was answered.
            self._duration.labels(method=method, route=route, code=str(code or 499)).observe(
                seconds
            )
        if scope["path"] not in OPEN_PATHS:
            log.info(
                "http request",
                method=method,
                route=route,
                code=code,
                caller=scope["state"].get("caller"),
                seconds=round(seconds, 4),
            )


def request_id_of(given: str | None) -> str:
    """The id of a request: the caller's own if it is sane, and no number could hide in it."""
    if given and _SANE_ID.fullmatch(given) and mask_text(given) == given:
        return given
    return str(uuid.uuid4())


def _route(scope: Scope) -> str:
    """The route's template, never the path itself: that may hold anything."""
    return str(getattr(scope.get("route"), "path", "unmatched"))


def _unauthorized(*, given: bool) -> Problem:
    challenge = 'Bearer realm="bulk-lookup"' + (', error="invalid_token"' if given else "")
    return Problem(
        UNAUTHORIZED,
        "The token is not known; see API_TOKENS."
        if given
        else "Send the header `Authorization: Bearer TOKEN`; see API_TOKENS.",
        headers={"WWW-Authenticate": challenge},
    )
