"""What the fields of a record mean, as its source says it."""

from __future__ import annotations

import inspect
import re

from pydantic import BaseModel

_FIELD = re.compile(r"    (?P<name>[a-z_]+):")


def meanings(model: type[BaseModel]) -> dict[str, str]:
    """By field: its description, or else the `#:` comment above it; its bases' fields too."""
    found: dict[str, str] = {}
    for part in reversed(model.__mro__):
        if not issubclass(part, BaseModel) or part is BaseModel:
            continue
        lines: list[str] = []
        for line in inspect.getsource(part).splitlines():
            if line.startswith("    #:"):
                lines.append(line.strip().removeprefix("#:").strip())
            elif lines and (field := _FIELD.match(line)):
                found[field["name"]] = " ".join(lines)
                lines = []
    said = {name: field.description for name, field in model.model_fields.items()}
    return found | {name: text for name, text in said.items() if text}
