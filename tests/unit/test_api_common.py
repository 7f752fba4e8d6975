"""What every HTTP API of ours has."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

import httpx
import pytest
from fastapi import Depends, FastAPI
from prometheus_client import CollectorRegistry
from pydantic import BaseModel, Field, SecretStr
from structlog.contextvars import get_contextvars

from services.runtime.api import Problem, Tokens, caller, make_api, request_id_of
from services.runtime.health import Readiness
from services.runtime.metrics import INGEST_HTTP_DURATION
from services.runtime.problem_types import ProblemType
from services.runtime.settings import ApiSettings, SettingsError

TOKEN = "0123456789abcdef0123"
OTHER = "fedcba9876543210-other"
PHONE = "+14155552671"
KAFKA_AWAY = ProblemType("kafka-away", 503, "Kafka is away", "It is.", "Wait.")


class Wanted(BaseModel):
    """A body."""

    phone: str = Field(pattern=r"^\+[0-9]+$")


def tokens(text: str) -> Tokens:
    """Tokens as the setting gives them."""
    return Tokens.from_settings(ApiSettings(api_tokens=SecretStr(text)))


def api(accepted: Tokens, readiness: Readiness | None = None) -> FastAPI:
    """An application with a few routes that go wrong."""
    readiness = readiness or Readiness()
    app = make_api("ingest", readiness, CollectorRegistry(), accepted, "Test")

    @app.get("/v1/me")
    async def me(name: Annotated[str, Depends(caller)]) -> dict[str, str]:
        return {"caller": name, "context": get_contextvars()["http_request_id"]}

    @app.get("/v1/jobs/{job_id}")
    async def job(job_id: str) -> None:
        raise Problem(KAFKA_AWAY, f"{job_id} waits", retry_after=7)

    @app.post("/v1/search")
    async def search(wanted: Wanted) -> Wanted:
        return wanted

    @app.get("/v1/broken")
    async def broken() -> None:
        raise RuntimeError(f"secret of {PHONE}")

    @app.get("/v1/away")
    async def away() -> None:
        raise ConnectionRefusedError

    return app


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application, with a token."""
    transport = httpx.ASGITransport(app=api(tokens(f"crm:{TOKEN}")))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://test", headers={"Authorization": f"Bearer {TOKEN}"}
    ) as made:
        yield made


@pytest.mark.parametrize(
    ("text", "header", "expected"),
    [
        ("", None, "local"),  # no token is set: everybody on this machine
        ("", "Bearer whatever", "local"),
        (f"crm:{TOKEN}", None, None),
        (f"crm:{TOKEN}", f"Bearer {TOKEN}", "crm"),
        (f"crm:{TOKEN}", f"bearer  {TOKEN}", "crm"),  # the scheme's case does not matter
        (f"crm:{TOKEN}", f"Basic {TOKEN}", None),
        (f"crm:{TOKEN}", f"Bearer {TOKEN}x", None),
        (f"crm:{TOKEN}", "Bearer ünicode-token-0000", None),
        (TOKEN, f"Bearer {TOKEN}", "default"),  # a lone token
        (f"crm:{TOKEN}, erp:{OTHER}", f"Bearer {OTHER}", "erp"),
        (f"crm:{TOKEN}\nerp:{OTHER}\n", f"Bearer {OTHER}", "erp"),
        (f"crm:{TOKEN}:x", f"Bearer {TOKEN}:x", "crm"),  # only the first colon separates
    ],
)
def test_a_token_gives_its_name(text: str, header: str | None, expected: str | None) -> None:
    """A header is answered with the name of its token, and with none if it has none."""
    assert tokens(text).name_of(header) == expected


@pytest.mark.parametrize(
    "text",
    [
        f"CRM:{TOKEN}",  # a capital
        f":{TOKEN}",  # no name
        f"-crm:{TOKEN}",
        "crm:tooshort",
        f"crm:{TOKEN} with-spaces",
        f"crm:{TOKEN},crm:{OTHER}",  # one name twice
        f"crm:{TOKEN},{OTHER[:10]}",
    ],
)
def test_a_wrong_token_is_refused_unseen(text: str) -> None:
    """The error names the setting and the entry, and shows nothing of the token."""
    with pytest.raises(SettingsError, match=r"API_TOKENS, entry [12]") as caught:
        tokens(text)
    assert TOKEN not in str(caught.value)
    assert OTHER[:10] not in str(caught.value)
    assert "tooshort" not in str(caught.value)


@pytest.mark.parametrize("content", ["\n", ",\n"])
def test_an_empty_token_file_opens_nothing(tmp_path: Path, content: str) -> None:
    """A file that was named and holds nothing is an error, not an API without tokens."""
    (tmp_path / "tokens").write_text(content)
    with pytest.raises(SettingsError, match="tokens"):
        Tokens.from_settings(ApiSettings(api_tokens_file=tmp_path / "tokens"))


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/livez", 200),
        ("/readyz", 200),
        ("/version", 200),
        ("/metrics", 200),
        ("/docs", 401),
        ("/openapi.json", 401),
        ("/v1/me", 401),
        ("/v1/nowhere", 401),  # what exists is nobody's business
        ("/livez/", 401),
    ],
)
async def test_what_needs_a_token(client: httpx.AsyncClient, path: str, status: int) -> None:
    """Only probes, version and metrics are answered without a token."""
    answer = await client.get(path, headers={"Authorization": ""})
    assert answer.status_code == status
    assert ("WWW-Authenticate" in answer.headers) == (status == 401)


@pytest.mark.parametrize(
    ("header", "error", "said"),
    [
        ("", ', error="invalid_token"', "The token is not known"),
        ("Bearer wrong-and-long-enough", ', error="invalid_token"', "The token is not known"),
        (f"Basic {TOKEN}", ', error="invalid_token"', "The token is not known"),
        (None, "", "Send the header `Authorization: Bearer TOKEN`"),
    ],
)
async def test_a_wrong_token_and_a_missing_one_are_told_apart(
    client: httpx.AsyncClient, header: str | None, error: str, said: str
) -> None:
    """Both are one type of problem, whose challenge and detail say which; neither is repeated."""
    del client.headers["Authorization"]
    answer = await client.get("/v1/me", headers={} if header is None else {"Authorization": header})
    problem = answer.json()
    assert (answer.status_code, problem["status"]) == (401, 401)
    assert problem["type"] == "urn:bulk-lookup:problem:unauthorized"
    assert problem["request_id"] == answer.headers["X-Request-ID"]
    assert answer.headers["WWW-Authenticate"] == f'Bearer realm="bulk-lookup"{error}'
    assert said in problem["detail"]
    assert "wrong-and" not in answer.text


async def test_the_caller_has_a_name(client: httpx.AsyncClient) -> None:
    """A route learns whose token was sent, and its logs carry the request's id."""
    answer = await client.get("/v1/me", headers={"X-Request-ID": "abcd-efgh"})
    assert answer.json() == {"caller": "crm", "context": "abcd-efgh"}
    assert answer.headers["X-Request-ID"] == "abcd-efgh"


@pytest.mark.parametrize("given", ["short", "a b c d e f g", "x" * 65, "14155552671", "", None])
def test_an_odd_request_id_is_replaced(given: str | None) -> None:
    """An id that is too short, too long, unprintable or could be a number is not taken."""
    assert uuid.UUID(request_id_of(given)).version == 4


def test_a_uuid_is_a_sane_request_id() -> None:
    """What most callers send is kept."""
    given = str(uuid.uuid4())
    assert request_id_of(given) == given


async def test_a_problem_is_a_document(client: httpx.AsyncClient) -> None:
    """A problem carries its stable type, the request's id, and Retry-After as a header too."""
    answer = await client.get("/v1/jobs/one", headers={"X-Request-ID": "abcd-efgh"})
    assert answer.status_code == 503
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Retry-After"] == "7"
    assert answer.json() == {
        "type": "urn:bulk-lookup:problem:kafka-away",
        "title": "Kafka is away",
        "status": 503,
        "detail": "one waits",
        "retry_after": 7,
        "request_id": "abcd-efgh",
    }


@pytest.mark.parametrize(
    ("method", "path", "status", "slug"),
    [
        ("GET", "/v1/nowhere", 404, "not-found"),
        ("DELETE", "/v1/me", 405, "method-not-allowed"),
        ("GET", "/v1/broken", 500, "internal"),
        ("GET", "/v1/away", 503, "unavailable"),
        ("POST", "/v1/search", 422, "invalid-request"),
    ],
)
async def test_every_error_is_a_problem(
    client: httpx.AsyncClient, method: str, path: str, status: int, slug: str
) -> None:
    """Also what the framework refuses and what our code fails on comes as problem details."""
    answer = await client.request(method, path)
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["type"] == f"urn:bulk-lookup:problem:{slug}"
    assert answer.json()["request_id"] == answer.headers["X-Request-ID"]
    assert PHONE not in answer.text


async def test_a_wrong_field_is_named_and_not_repeated(client: httpx.AsyncClient) -> None:
    """What stood in a wrong field may be a number: only the field's name comes back."""
    answer = await client.post("/v1/search", json={"phone": "4155552671"})
    assert answer.json()["errors"][0]["field"] == "body.phone"
    assert "4155552671" not in answer.text


async def test_requests_are_measured_by_template(client: httpx.AsyncClient) -> None:
    """No part of a path reaches a label: the route's template does, or `unmatched`."""
    await client.get(f"/v1/jobs/{PHONE}")
    await client.get(f"/{PHONE}")
    await client.get("/v1/broken")
    labels = {
        (sample.labels["route"], sample.labels["code"])
        for metric in INGEST_HTTP_DURATION.collect()
        for sample in metric.samples
    }
    assert {
        ("/v1/jobs/{job_id}", "503"),
        ("unmatched", "404"),
        ("/v1/broken", "500"),
    } <= labels
    assert not any(PHONE in route for route, _ in labels)


async def test_what_is_not_there_yet_is_unavailable() -> None:
    """A program that listens before it can serve answers 503 with what it waits for, not 404."""
    transport = httpx.ASGITransport(app=api(tokens(""), Readiness("kafka")))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as starting:
        answer = await starting.get("/v1/later")
        assert (await starting.get("/readyz")).status_code == 503
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.json()["type"] == "urn:bulk-lookup:problem:starting"
    assert "kafka" in answer.json()["detail"]
