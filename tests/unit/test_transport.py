"""What a request is before it is sent."""

from __future__ import annotations

import httpx
import pytest

from services.lookup.transport import HttptoolsTransport, RequestTemplate

SECRET = "Basic c2VjcmV0OnNlY3JldA=="


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "lookups.twilio.com",
        "ftp://lookups.twilio.com",
        "https://",
        "https://user:password@lookups.twilio.com",
        "https://lookups.twilio.com/v2",
        "https://lookups.twilio.com/?a=b",
        "https://lookups.twilio.com/#a",
        "http://localhost:port",
    ],
)
def test_an_origin_is_scheme_host_and_port(origin: str) -> None:
    """Anything more would be left out of requests in silence; anything less has no address."""
    with pytest.raises(ValueError, match=r"https://lookups\.twilio\.com|not a URL"):
        RequestTemplate(origin, {})
    with pytest.raises(ValueError, match=r"https://lookups\.twilio\.com|not a URL"):
        HttptoolsTransport(origin, connections=1, connect_seconds=1, read_seconds=1)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://lookups.twilio.com", "lookups.twilio.com"),
        ("https://lookups.twilio.com:443/", "lookups.twilio.com"),
        ("http://127.0.0.1:8080", "127.0.0.1:8080"),
        ("http://[::1]:8080", "[::1]:8080"),
    ],
)
def test_a_prepared_request_is_a_real_one(origin: str, host: str) -> None:
    """Whoever is handed one finds method, URL, headers, content and extensions as in httpx."""
    request = RequestTemplate(origin, {"Authorization": SECRET}).get("/v2/x?Fields=a")
    assert isinstance(request, httpx.Request)
    assert (request.method, request.content, request.read()) == ("GET", b"", b"")
    assert request.url == httpx.URL(f"{origin.removesuffix('/')}/v2/x?Fields=a")
    assert request.headers["host"] == host
    assert request.headers["authorization"] == SECRET
    assert request.headers["accept-encoding"] == "identity"
    assert request.extensions == {}


@pytest.mark.parametrize("header", [{"X": "a\r\nY: b"}, {"X": "a\nb"}, {"X\r": "a"}, {"X": "\0"}])
def test_a_header_stays_on_its_line(header: dict[str, str]) -> None:
    """A template with a line end in a header is refused when it is made, and its value not told."""
    with pytest.raises(ValueError, match="holds a line end"):
        RequestTemplate("https://lookups.twilio.com", header)


def test_neither_number_nor_secret_is_shown() -> None:
    """Requests and templates end up in tracebacks, where no personal data may stand."""
    template = RequestTemplate("https://lookups.twilio.com", {"Authorization": SECRET})
    shown = repr(template) + repr(template.get("/v2/PhoneNumbers/%2B12015550123"))
    assert "2015550123" not in shown
    assert SECRET not in shown
