"""The published contracts are valid by the formats they are written in, and are kept."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import validate

from services.contracts.codec import decode
from services.contracts.messages import InboundContact, LookupResult
from services.reference.compatibility import breaking_record
from services.reference.schemas import TAKEN, WRITTEN
from services.reference.writing import DIRECTORY, breaks
from tests.contracts.snapshots import EXAMPLES

ASYNCAPI_SCHEMA = Path(__file__).parent / "asyncapi" / "3.0.0.json"
APIS = ("openapi-ingest.json", "openapi-results.json")
GONE = object()


def published(name: str) -> Any:
    return json.loads((DIRECTORY / name).read_text(encoding="utf-8"))


def at(document: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        document = document[name]
    return document


def changed(document: Any, path: tuple[str, ...], value: Any) -> Any:
    """A copy with another value at this place, or without it."""
    new = copy.deepcopy(document)
    inside = at(new, path[:-1])
    if value is GONE:
        del inside[path[-1]]
    else:
        inside[path[-1]] = value
    return new


def test_asyncapi_is_what_it_says_it_is() -> None:
    """The document fits the schema that AsyncAPI publishes for its version."""
    schema = json.loads(ASYNCAPI_SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft7Validator(schema).validate(published("asyncapi.json"))


@pytest.mark.parametrize("name", APIS)
def test_openapi_is_what_it_says_it_is(name: str) -> None:
    """The document is valid OpenAPI, and all that it refers to is in it."""
    validate(published(name))


@pytest.mark.parametrize("name", [*TAKEN, *WRITTEN])
def test_a_schema_is_one(name: str) -> None:
    """Each file is a JSON Schema of the version that it names."""
    jsonschema.Draft202012Validator.check_schema(published(f"schemas/{name}.json"))


@pytest.mark.parametrize("name", [*TAKEN, *WRITTEN])
def test_what_our_readers_take_fits_the_published_schema(name: str) -> None:
    """Each record that was ever written fits, with fields of a newer writer too."""
    files = sorted((EXAMPLES / name).glob("*.json"))
    assert files
    for file in files:
        jsonschema.validate(json.loads(file.read_bytes()), published(f"schemas/{name}.json"))


def test_the_examples_of_topics_are_records() -> None:
    """Each fits the schema that it stands beside, and is read as what it is."""
    document = published("asyncapi.json")
    examples = {
        name: [one["payload"] for one in message["examples"]]
        for name, message in document["components"]["messages"].items()
    }
    for name, payloads in examples.items():
        reference = document["components"]["messages"][name]["payload"]["$ref"]
        for payload in payloads:
            jsonschema.validate(payload, document | {"$ref": reference})
    for payload in examples["contact"]:
        assert InboundContact.model_validate(payload).phone
    for payload in examples["result"]:
        assert decode(json.dumps(payload).encode(), LookupResult).answers


def contents(document: Any) -> Iterator[tuple[str, Any]]:
    """Whatever may have examples, by its place."""
    for name, response in document["components"]["responses"].items():
        yield from ((f"{name} {kind}", one) for kind, one in response["content"].items())
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            answers = [r for r in operation["responses"].values() if "$ref" not in r]
            for part in (operation.get("requestBody", {}), *answers):
                for kind, one in part.get("content", {}).items():
                    yield f"{method} {path} {kind}", one


@pytest.mark.parametrize("name", APIS)
def test_the_examples_of_an_api_fit_their_schemas(name: str) -> None:
    """Every problem has an example, and whatever has one fits what it is an example of."""
    document = published(name)
    examples = [
        (one["schema"], example["value"])
        for _, one in contents(document)
        for example in one.get("examples", {}).values()
    ]
    assert len(examples) >= sum(
        len(response["content"]["application/problem+json"]["examples"])
        for response in document["components"]["responses"].values()
    )
    for schema, value in examples:
        jsonschema.validate(value, document | schema)


RESULT = "schemas/lookup-result-1.json"
CONTACT = "schemas/inbound-contact.json"


@pytest.mark.parametrize(
    ("name", "path", "value", "problem"),
    [
        # What others send.
        (CONTACT, ("properties", "new"), {"type": "string"}, None),
        (CONTACT, ("properties", "id", "anyOf"), [{"type": "string"}, {"type": "null"}], None),
        (CONTACT, ("properties", "phone", "maxLength"), 300, None),
        (
            CONTACT,
            ("properties", "phone", "maxLength"),
            100,
            "record.phone: maxLength was 256, now 100",
        ),
        (CONTACT, ("properties", "country"), GONE, "record.country: is gone"),
        (CONTACT, ("required",), ["phone", "id"], "record.id: is required, and was not"),
        (
            CONTACT,
            ("properties", "reference"),
            {"type": "string"},
            "record.reference: was null, now string",
        ),
        (
            CONTACT,
            ("additionalProperties",),
            False,
            "record: fields beyond those listed are refused, and were not",
        ),
        # What we write.
        (RESULT, ("properties", "new"), {"type": "string"}, None),
        (RESULT, ("$defs", "Package", "x-extensible-enum"), ["basic", "new"], None),
        (RESULT, ("properties", "row"), {"type": "null"}, None),  # fewer values than before
        (RESULT, ("properties", "state"), GONE, "record.state: is gone"),
        (
            RESULT,
            ("properties", "turn"),
            {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 5}, {"type": "null"}]},
            "record.turn: was integer, now null",
        ),
        (RESULT, ("required",), ["kind"], "record.turn: may be missing, and was always there"),
        (
            RESULT,
            ("properties", "kind", "const"),
            "lookup-result/2",
            "record.kind: const was lookup-result/1, now lookup-result/2",
        ),
        (
            RESULT,
            ("$defs", "Answer", "properties", "data"),
            GONE,
            "record.answers[].data: is gone",
        ),
    ],
)
def test_what_breaks_a_record(
    name: str, path: tuple[str, ...], value: Any, problem: str | None
) -> None:
    """What we take may only become wider; what we write may only gain fields and values."""
    old = published(name)
    found = breaks(name, old, changed(old, path, value))
    assert (problem in found) if problem else (found == [])


def test_a_list_of_values_that_others_send_from_stays() -> None:
    """Of what we write a list may grow; of what we take no value goes."""
    two, three = ({"enum": ["a", "b", "c"][:size], "type": "string"} for size in (2, 3))
    assert breaking_record(two, three, ours=True) == []
    assert breaking_record(two, three, ours=False) == []
    assert breaking_record(three, two, ours=False) == ["record: c is gone"]


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        (("channels", "new"), {"address": "new"}, None),
        (("info", "description"), "Anything.", None),
        (
            ("channels", "lookupResults", "address"),
            "results",
            "giveResult: was on lookup.results, now on results",
        ),
        (("operations", "takeContact"), GONE, "takeContact: is gone"),
        (
            ("channels", "contactsInbound", "messages", "contact"),
            GONE,
            "takeContact, contact: is gone",
        ),
        (
            ("components", "messages", "result", "bindings", "kafka", "key", "type"),
            "integer",
            "giveResult, key: was string, now integer",
        ),
        (
            ("components", "schemas", "LookupResult", "properties", "phone"),
            GONE,
            "giveResult, record.phone: is gone",
        ),
    ],
)
def test_what_breaks_a_topic(path: tuple[str, ...], value: Any, problem: str | None) -> None:
    """Names, keys and records stay; anything may come beside them."""
    old = published("asyncapi.json")
    found = breaks("asyncapi.json", old, changed(old, path, value))
    assert found == ([problem] if problem else [])


JOBS = ("paths", "/v1/jobs", "post")
RESULTS = ("paths", "/v1/jobs/{job_id}/results", "get")
WHERE = "GET /v1/jobs/{job_id}/results"


def without_parameter(document: Any, path: tuple[str, ...], name: str) -> list[Any]:
    return [one for one in at(document, path)["parameters"] if one["name"] != name]


@pytest.mark.parametrize(
    ("name", "path", "value", "problem"),
    [
        # More than there was.
        (APIS[1], ("paths", "/v1/new"), {"get": {"responses": {}}}, None),
        (APIS[1], (*RESULTS, "responses", "404", "headers"), {"X-New": {}}, None),
        (APIS[1], (*RESULTS, "responses", "410"), {"description": "New."}, None),
        (APIS[1], ("components", "schemas", "Contact", "properties", "new"), {}, None),
        (APIS[1], ("components", "schemas", "State", "enum", 0), "new", "state: pending is gone"),
        (APIS[0], (*JOBS, "requestBody", "content", "text/new"), {}, None),
        # Less than there was.
        (APIS[1], ("paths", "/v1/summary"), GONE, "GET /v1/summary: is gone"),
        (
            APIS[1],
            (*RESULTS, "operationId"),
            "other",
            f"{WHERE}: was called list_results, now other",
        ),
        (APIS[1], (*RESULTS, "responses", "404"), GONE, f"{WHERE}, 404: is gone"),
        (
            APIS[1],
            (*RESULTS, "responses", "404"),
            {"description": "No document."},
            f"{WHERE}, 404, application/problem+json: is gone",
        ),
        (
            APIS[1],
            (*RESULTS, "responses", "503"),
            {"$ref": "#/components/responses/internal"},
            f"{WHERE}, 503, header Retry-After: is gone",
        ),
        (
            APIS[1],
            ("components", "schemas", "Contact", "properties", "phone"),
            GONE,
            f"{WHERE}, 200, application/json.items[].phone: is gone",
        ),
        (
            APIS[1],
            ("components", "schemas", "Contact", "properties", "turn", "type"),
            "string",
            f"{WHERE}, 200, application/json.items[].turn: was integer, now string",
        ),
        (
            APIS[1],
            ("components", "schemas", "Act", "required"),
            ["why", "who"],
            "POST /v1/jobs/{job_id}/stop, body, application/json.who: is required, and was not",
        ),
        (
            APIS[0],
            (*JOBS, "requestBody", "content", "text/csv"),
            GONE,
            "POST /v1/jobs, body, text/csv: is gone",
        ),
        (APIS[0], (*JOBS, "responses", "201"), GONE, "POST /v1/jobs, 201: is gone"),
    ],
)
def test_what_breaks_an_api(
    name: str, path: tuple[str, ...], value: Any, problem: str | None
) -> None:
    """A path, a parameter, a status, a field stays as it was; anything may come beside it."""
    old = published(name)
    found = breaks(name, old, changed(old, path, value))
    assert any(problem in one for one in found) if problem else found == []


def test_what_breaks_a_parameter() -> None:
    """One that is gone, and one that is asked for though it was not, break their callers."""
    old = published(APIS[0])
    gone = changed(old, (*JOBS, "parameters"), without_parameter(old, JOBS, "fresh_for"))
    assert breaks(APIS[0], old, gone) == ["POST /v1/jobs, query fresh_for: is gone"]
    assert breaks(APIS[0], gone, old) == []
    parameters = [one | {"required": one["name"] == "sheet"} for one in at(old, JOBS)["parameters"]]
    asked = changed(old, (*JOBS, "parameters"), parameters)
    assert breaks(APIS[0], old, asked) == ["POST /v1/jobs, query sheet: is required, and was not"]


@pytest.mark.parametrize("name", [*APIS, "asyncapi.json", RESULT, CONTACT])
def test_no_change_breaks_nothing(name: str) -> None:
    """A contract compared with itself is whole."""
    assert breaks(name, published(name), published(name)) == []
