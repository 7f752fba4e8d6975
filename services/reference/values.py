"""What may stand in a field, in words."""

from __future__ import annotations

from datetime import timedelta
from enum import Enum
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from services.contracts.topics import delay_name


def kind_of(schema: dict[str, Any], parts: dict[str, Any]) -> str:
    """What may stand there by its JSON Schema, whose definitions are `parts`."""
    if "$ref" in schema:
        return kind_of(parts[schema["$ref"].rpartition("/")[2]], parts)
    if "anyOf" in schema:
        kinds = [kind_of(one, parts) for one in schema["anyOf"] if one.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    kind = str(schema.get("type", "anything"))
    if kind == "array":
        items = schema.get("items") or {"anyOf": schema.get("prefixItems", [{}])}
        return f"list of {kind_of(items, parts)}"
    if kind == "object":
        values = schema.get("additionalProperties")
        if isinstance(values, dict):
            keys = kind_of(schema.get("propertyNames", {"type": "string"}), parts)
            return f"{kind_of(values, parts)} by {keys}"
        return str(schema.get("title", "object"))
    return _format(kind, schema)


def _format(kind: str, schema: dict[str, Any]) -> str:
    named = {
        "duration": "duration",
        "path": "file or directory",
        "password": "secret",
        "date-time": "time",
        "uuid": "UUID",
        "base64url": "bytes as base64",
        "binary": "bytes as base64",
    }
    text = named.get(str(schema.get("format")), {"string": "text"}.get(kind, kind))
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is None and kind == "integer" and "exclusiveMinimum" in schema:
        least = schema["exclusiveMinimum"] + 1
    # Bounds that only say what PostgreSQL holds would tell a reader nothing.
    if least is None or (most is not None and most >= 2**31 - 1):
        return text
    return f"{text} from {least}" + (f" to {most}" if most is not None else "")


def default_of(field: FieldInfo) -> str:
    """What holds without it, in words."""
    if field.is_required():
        return "required"
    text = _value(field.get_default(call_default_factory=True))
    return f"`{text}`" if text else "not set"


def _value(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, timedelta):
        return f"{value.days}d" if value and value == timedelta(value.days) else delay_name(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return ",".join(_value(item) for item in value)
    return str(value.value if isinstance(value, Enum) else value)
