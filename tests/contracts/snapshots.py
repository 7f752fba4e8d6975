"""The schemas of the records as committed, and what a change may do to them.

Run as a program (`make reference`) it writes the snapshots anew, and refuses a change
after which a record written before could no longer be read.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from services.contracts.messages import (
    ControlState,
    DeadLetter,
    InboundContact,
    LookupRequest,
    LookupResult,
    RejectedContact,
)

HERE = Path(__file__).parent
SCHEMAS = HERE / "schemas"
EXAMPLES = HERE / "examples"

#: Every record there is, by the name of its snapshot and of its folder of examples.
RECORDS: dict[str, type[BaseModel]] = {
    "inbound-contact": InboundContact,
    "lookup-request-1": LookupRequest,
    "lookup-result-1": LookupResult,
    "rejected-contact-1": RejectedContact,
    "dead-letter-1": DeadLetter,
    "control-state-1": ControlState,
}

Schema = dict[str, Any]
#: A reader that asks for more than it did refuses what it once took.
_LIMITS = ("const", "format", "maxItems", "maxLength", "minItems", "minLength", "pattern")


def schema_of(model: type[BaseModel]) -> Schema:
    """What a reader of the record takes."""
    return model.model_json_schema(mode="validation")


def breaks(old: Schema, new: Schema) -> list[str]:
    """What a reader by `new` no longer takes of a record written by `old`, by field."""
    return _Comparison(old.get("$defs", {}), new.get("$defs", {})).between("record", old, new)


class _Comparison:
    """Compares two schemas, each with definitions of its own."""

    def __init__(self, old_parts: Schema, new_parts: Schema) -> None:
        self._old_parts = old_parts
        self._new_parts = new_parts

    def between(self, where: str, old: Schema, new: Schema) -> list[str]:
        """What became narrower at one place."""
        was = _alternatives(old, self._old_parts)
        now = _alternatives(new, self._new_parts)
        problems = []
        for one in was:
            tried = [self._single(where, one, other) for other in now]
            if all(tried):
                problems += min((len(found), found) for found in tried)[1]
        return problems

    def _single(self, where: str, old: Schema, new: Schema) -> list[str]:
        if "type" in new and old.get("type") != new["type"]:
            return [f"{where}: was {old.get('type', 'anything')}, now {new['type']}"]
        problems = [
            f"{where}: {limit} was {old.get(limit, 'not set')}, now {new[limit]}"
            for limit in _LIMITS
            if limit in new and new[limit] != old.get(limit)
        ]
        if "enum" in new:
            before = old.get("enum", [old.get("const", "anything")])
            problems += [f"{where}: {v} is gone" for v in before if v not in new["enum"]]
        required = sorted(set(new.get("required", ())) - set(old.get("required", ())))
        problems += [f"{where}.{name}: is required, and was not" for name in required]
        fields = new.get("properties", {})
        for name, part in old.get("properties", {}).items():
            if name in fields:
                problems += self.between(f"{where}.{name}", part, fields[name])
            else:
                problems.append(f"{where}.{name}: is gone")
        for inside in ("items", "additionalProperties", "propertyNames"):
            if isinstance(old.get(inside), dict) and isinstance(new.get(inside), dict):
                problems += self.between(f"{where}[]", old[inside], new[inside])
        return problems


def _alternatives(schema: Schema, parts: Schema) -> list[Schema]:
    while "$ref" in schema:
        schema = parts[schema["$ref"].rpartition("/")[2]]
    if "anyOf" not in schema:
        return [schema]
    return [one for each in schema["anyOf"] for one in _alternatives(each, parts)]


def text_of(schema: Schema) -> str:
    """The snapshot's text."""
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"


def main() -> int:
    """Write all snapshots; nothing is written if one change breaks what was."""
    problems: list[str] = []
    for name, model in RECORDS.items():
        file = SCHEMAS / f"{name}.json"
        if file.exists():
            found = breaks(json.loads(file.read_text(encoding="utf-8")), schema_of(model))
            problems += [f"{name}: {problem}" for problem in found]
    if problems:
        sys.stderr.write(
            "\n".join(problems)
            + "\nRecords written before could not be read: give the field a default, or make a "
            "new version of the record and lift the old one in services/contracts/codec.py\n"
        )
        return 1
    SCHEMAS.mkdir(exist_ok=True)
    for name, model in RECORDS.items():
        (SCHEMAS / f"{name}.json").write_text(text_of(schema_of(model)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
