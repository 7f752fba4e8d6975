"""The JSON Schemas of the records that other systems send and read."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from services.contracts.messages import InboundContact, LookupResult
from services.contracts.packages import Answer
from services.reference.markdown import MADE
from services.reference.meanings import meanings

Schema = dict[str, Any]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
#: Where a list of values stands that may grow: the word that API guidelines gave it, which no
#: validator acts upon.
OPEN_LIST = "x-extensible-enum"

#: What others send and what they read, by the name of the file in docs/reference/schemas.
TAKEN: dict[str, type[BaseModel]] = {"inbound-contact": InboundContact}
WRITTEN: dict[str, type[BaseModel]] = {"lookup-result-1": LookupResult}
_PARTS = (Answer,)


def schema_files() -> dict[str, Schema]:
    """The files by their path below docs/reference."""
    found = {name: taken(model) for name, model in TAKEN.items()}
    found |= {name: written(model) for name, model in WRITTEN.items()}
    return {
        f"schemas/{name}.json": {
            "$schema": _DIALECT,
            "$id": f"urn:bulk-lookup:schema:{name}",
            "$comment": MADE,
            **schema,
        }
        for name, schema in found.items()
    }


def taken(model: type[BaseModel]) -> Schema:
    """What we take of the records of others."""
    schema = model.model_json_schema(mode="validation")
    _tell(schema, model)
    return schema


def written(model: type[BaseModel]) -> Schema:
    """What readers of our records can rely on.

    Required is what every record of the version has, also one of before a field was added.
    Values may be added to a list of them, so none is closed.
    """
    schema = taken(model)
    for part in _PARTS:
        _tell(schema["$defs"][part.__name__], part)
    schema["required"] = ["kind", *schema["required"]]
    opened: Schema = _opened(schema)
    return opened


def _tell(schema: Schema, model: type[BaseModel]) -> None:
    """Put what its fields mean into a model's schema."""
    for name, meaning in meanings(model).items():
        schema["properties"][name].setdefault("description", meaning)


def _opened(part: Any) -> Any:
    """The same with every list of values open."""
    if isinstance(part, list):
        return [_opened(one) for one in part]
    if not isinstance(part, dict):
        return part
    return {
        OPEN_LIST if name == "enum" and isinstance(inside, list) else name: _opened(inside)
        for name, inside in part.items()
    }
