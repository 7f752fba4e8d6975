"""Writes the reference pages from the code, so that they cannot say anything else.

`python -m services.reference` writes docs/reference; with `--check` it writes nothing and
fails if a page is not what the code says.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

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
from services.contracts.topics import Topic, delay_name, topic_table
from services.ingest.settings import IngestSettings
from services.lookup.scheduler import SchedulerSettings
from services.lookup.settings import LookupSettings
from services.results.settings import ResultsSettings
from services.runtime.metric_table import ALL
from services.runtime.metrics import TABLE
from services.runtime.settings import ProgramSettings

DIRECTORY = Path(__file__).parent.parent / "docs" / "reference"
#: The programs, and what each can be told.
PROGRAMS: dict[str, type[ProgramSettings]] = {
    "ingest": IngestSettings,
    "lookup": LookupSettings,
    "scheduler": SchedulerSettings,
    "results": ResultsSettings,
}
RECORDS = (
    InboundContact,
    LookupRequest,
    LookupResult,
    RejectedContact,
    DeadLetter,
    ControlState,
    Answer,
)
_MADE = "<!-- Made from the code by `make reference`: change it there. -->"
_FIELD = re.compile(r"    (?P<name>[a-z_]+):")


def pages() -> dict[str, str]:
    """The text of every page, by its file's name."""
    return {
        "settings.md": _settings(),
        "metrics.md": _metrics(),
        "topics.md": _topics(),
        "messages.md": _messages(),
    }


def main(arguments: Sequence[str]) -> int:
    """Write the pages, or with `--check` only say which differ."""
    stale = {
        DIRECTORY / name: text
        for name, text in pages().items()
        if not (DIRECTORY / name).exists() or (DIRECTORY / name).read_text(encoding="utf-8") != text
    }
    if "--check" in arguments:
        for file in stale:
            sys.stderr.write(f"{file} is not what the code says: run `make reference`\n")
        return 1 if stale else 0
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    for file, text in stale.items():
        file.write_text(text, encoding="utf-8")
    return 0


def _page(title: str, *parts: str) -> str:
    return "\n\n".join([_MADE, f"# {title}", *parts]) + "\n"


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    cells = [[" ".join(cell.split()).replace("|", "\\|") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def _title(model: type[BaseModel]) -> str:
    """What a class of settings is about, from its docstring."""
    first = inspect.cleandoc(model.__doc__ or "").splitlines()[0]
    return first.partition(";")[0].removesuffix(".")


def _settings() -> str:
    """One table per class of settings, since programs share most of them."""
    readers: dict[type[BaseModel], list[str]] = {}
    for program, model in PROGRAMS.items():
        for part in reversed(model.__mro__):
            if issubclass(part, BaseModel) and _own_fields(part):
                readers.setdefault(part, []).append(program)
    parts = []
    for part, programs in sorted(readers.items(), key=lambda item: -len(item[1])):
        properties = part.model_json_schema(mode="validation")
        rows = [
            (
                f"`{name.upper()}`",
                _kind(properties["properties"][name], properties.get("$defs", {})),
                _default(field),
                field.description or "",
            )
            for name, field in _own_fields(part).items()
        ]
        read_by = "every program" if len(programs) == len(PROGRAMS) else ", ".join(programs)
        parts += [
            f"## {_title(part)}",
            f"Read by {read_by}.",
            _table(("Setting", "Value", "Default", "Meaning"), rows),
        ]
    return _page(
        "Settings",
        "Read once from the environment when a program starts; an empty one counts as not set. "
        "All that are wrong are reported at once, and the program exits with code 78. A duration "
        "is a number with its unit: `250ms`, `15s`, `5m`, `2h`, `30d`. Of a secret and its "
        "`…_FILE` the file wins.",
        *parts,
    )


def _own_fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    own = inspect.get_annotations(model)
    return {name: field for name, field in model.model_fields.items() if name in own}


def _kind(schema: dict[str, Any], parts: dict[str, Any]) -> str:
    """What may stand there, in words."""
    if "$ref" in schema:
        return _kind(parts[schema["$ref"].rpartition("/")[2]], parts)
    if "anyOf" in schema:
        kinds = [_kind(one, parts) for one in schema["anyOf"] if one.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    kind = str(schema.get("type", "anything"))
    if kind == "array":
        items = schema.get("items") or {"anyOf": schema.get("prefixItems", [{}])}
        return f"list of {_kind(items, parts)}"
    if kind == "object":
        values = schema.get("additionalProperties")
        if isinstance(values, dict):
            keys = _kind(schema.get("propertyNames", {"type": "string"}), parts)
            return f"{_kind(values, parts)} by {keys}"
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


def _default(field: FieldInfo) -> str:
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


def _metrics() -> str:
    # Those of every program come first, then in the table's order.
    together = sorted(dict.fromkeys(m.services for m in TABLE), key=lambda found: -len(found))
    groups = [
        ("every program" if services == ALL else ", ".join(services), services)
        for services in together
    ]
    parts = []
    for title, services in groups:
        rows = [
            (
                f"`{m.name}`",
                m.kind,
                ", ".join(f"`{label}`" for label in m.labels),
                m.help,
                m.remedy,
            )
            for m in TABLE
            if m.services == services
        ]
        parts += [
            f"## Of {title}",
            _table(("Metric", "Kind", "Labels", "Meaning", "When it looks wrong"), rows),
        ]
    return _page(
        "Metrics",
        "Every program answers `/metrics`, with its process's own metrics beside these. Labels "
        "are bounded: none is a number, a job or a request.",
        *parts,
    )


def _topics() -> str:
    table = topic_table()
    rows = [
        (
            f"`{t.name}`",
            t.purpose,
            t.key,
            f"[{t.value}](messages.md#{t.value.lower()})",
            ", ".join(t.written_by),
            ", ".join(t.read_by),
        )
        for t in table.all
    ]
    configs = [
        (
            f"`{t.name}`",
            "one" if t is table.control else f"{t.partitions}{', aligned' if t.aligned else ''}",
            _retention(t),
            "; ".join(f"`{key}={value}`" for key, value in sorted(t.config.items())),
        )
        for t in table.all
    ]
    return _page(
        "Topics",
        "As they are with the default settings. `KAFKA_TOPIC_PREFIX` stands before every name; "
        "`KAFKA_PARTITIONS`, `KAFKA_RETENTION` and `RETRY_DELAYS` change the rest. Every program "
        "checks them when it starts, and makes those that are missing unless "
        "`KAFKA_CREATE_TOPICS=false`.",
        "## What is on them",
        _table(("Topic", "What", "Key", "Value", "Written by", "Read by"), rows),
        "## How they are made",
        "Aligned topics must all have one number of partitions, whatever it is: a request's "
        "outcome goes to the partition that its request came from.",
        _table(("Topic", "Partitions", "Kept", "Configuration"), configs),
    )


def _retention(topic: Topic) -> str:
    return "the newest of each key" if topic.retention is None else f"{topic.retention.days} days"


def _messages() -> str:
    parts = []
    for model in RECORDS:
        schema = model.model_json_schema(mode="validation")
        comments = _comments(model)
        rows = [
            (
                f"`{name}`",
                _kind(schema["properties"][name], schema.get("$defs", {})),
                "fixed" if name == "kind" else _default(field),
                field.description or comments.get(name, ""),
            )
            for name, field in model.model_fields.items()
        ]
        parts += [
            f"## {model.__name__}",
            inspect.cleandoc(model.__doc__ or ""),
            _table(("Field", "Value", "Default", "Meaning"), rows),
        ]
    return _page(
        "Messages",
        "The values on Kafka's [topics](topics.md): JSON in UTF-8, times as RFC 3339 in UTC. "
        f"The {len(get_args(AnyMessage))} records of ours say their kind and version in `kind`. "
        "Readers ignore fields they do not know; within a version fields are only added, with "
        "defaults.",
        *parts,
    )


def _comments(model: type[BaseModel]) -> dict[str, str]:
    """The `#:` comments above a model's fields, its bases' too."""
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
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
