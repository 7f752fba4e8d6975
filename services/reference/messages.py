"""The page of messages."""

from __future__ import annotations

import inspect
from typing import get_args

from services.contracts.messages import (
    AnyMessage,
    ControlState,
    DeadLetter,
    InboundContact,
    LookupRequest,
    LookupResult,
    RejectedContact,
)
from services.contracts.packages import Answer
from services.reference.markdown import page, table
from services.reference.meanings import meanings
from services.reference.values import default_of, kind_of

RECORDS = (
    InboundContact,
    LookupRequest,
    LookupResult,
    RejectedContact,
    DeadLetter,
    ControlState,
    Answer,
)


def messages_page() -> str:
    """Every record, field by field."""
    parts = []
    for model in RECORDS:
        schema = model.model_json_schema(mode="validation")
        said = meanings(model)
        rows = [
            (
                f"`{name}`",
                kind_of(schema["properties"][name], schema.get("$defs", {})),
                "fixed" if name == "kind" else default_of(field),
                said.get(name, ""),
            )
            for name, field in model.model_fields.items()
        ]
        parts += [
            f"## {model.__name__}",
            inspect.cleandoc(model.__doc__ or ""),
            table(("Field", "Value", "Default", "Meaning"), rows),
        ]
    return page(
        "Messages",
        "The values on Kafka's [topics](topics.md): JSON in UTF-8, times as RFC 3339 in UTC. "
        f"The {len(get_args(AnyMessage))} records of ours say their kind and version in `kind`. "
        "Readers ignore fields they do not know; within a version fields are only added, with "
        "defaults. [Contracts](../contracts.md) says what other systems can rely on.",
        *parts,
    )
