"""Describes in OpenAPI which problems a route may answer with. Pure."""

from __future__ import annotations

from typing import Any

from services.runtime.problem_types import (
    INTERNAL,
    INVALID_REQUEST,
    STARTING,
    UNAUTHORIZED,
    UNAVAILABLE,
    ProblemType,
)
from services.runtime.problems import MEDIA_TYPE, RETRY_AFTER, ProblemDocument, document_of

#: What every route that needs a token may answer.
COMMON = (UNAUTHORIZED, INVALID_REQUEST, INTERNAL, STARTING, UNAVAILABLE)
_SCHEMA_NAME = "Problem"
_REQUEST_ID = "7d3f0a52-8f5e-4a6e-9d6e-3f6f0c9a1b2c"


def problem_responses(*kinds: ProblemType) -> dict[int | str, dict[str, Any]]:
    """How these types are described, by status: for the `responses` of routes."""
    by_status: dict[int | str, list[ProblemType]] = {}
    for kind in kinds:
        by_status.setdefault(kind.status, []).append(kind)
    return {status: _described(alike) for status, alike in by_status.items()}


def share_problems(described: dict[str, Any]) -> None:
    """Put what problems look like once into a description, where its routes refer to it."""
    described["components"]["schemas"][_SCHEMA_NAME] = ProblemDocument.model_json_schema()
    shared = described["components"].setdefault("responses", {})
    for operations in described["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                if examples := response.get("content", {}).get(MEDIA_TYPE, {}).get("examples"):
                    # An example is there for each type, by its name.
                    name = "_".join(examples)
                    shared[name] = response
                    operation["responses"][status] = {"$ref": f"#/components/responses/{name}"}


def _described(kinds: list[ProblemType]) -> dict[str, Any]:
    types = {"properties": {"type": {"enum": [kind.uri for kind in kinds]}}}
    described: dict[str, Any] = {
        "description": "\n".join(f"`{kind.slug}`: {kind.meaning}" for kind in kinds),
        "content": {
            MEDIA_TYPE: {
                "schema": {"allOf": [{"$ref": f"#/components/schemas/{_SCHEMA_NAME}"}, types]},
                "examples": {
                    kind.slug: {"summary": kind.title, "value": _example(kind)} for kind in kinds
                },
            }
        },
    }
    if all("retry_after" in kind.members for kind in kinds):
        described["headers"] = {
            "Retry-After": {
                "required": True,
                "description": "Seconds after which to try again.",
                "schema": {"type": "integer"},
            }
        }
    return described


def _example(kind: ProblemType) -> dict[str, Any]:
    later = {"retry_after": RETRY_AFTER} if "retry_after" in kind.members else {}
    return document_of(kind, f"{kind.meaning} {kind.way_out}", _REQUEST_ID) | later
