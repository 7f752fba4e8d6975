"""What was once written can still be read."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest
from pydantic import BaseModel

from services.contracts.codec import decode, encode
from services.contracts.messages import AnyMessage, InboundContact, Message
from tests.contracts.snapshots import EXAMPLES, RECORDS, SCHEMAS, breaks, schema_of, text_of

FILES = sorted(EXAMPLES.glob("*/*.json"))
RENEW = "`make reference` writes it anew, unless the change breaks what was written before"


def model_of(file: Path) -> type[BaseModel]:
    return RECORDS[file.parent.name]


def read(file: Path, value: bytes) -> BaseModel:
    model = model_of(file)
    return decode(value, model) if issubclass(model, Message) else model.model_validate_json(value)


def named(file: Path) -> str:
    return f"{file.parent.name}/{file.stem}"


def test_every_record_is_under_contract() -> None:
    """No record goes over Kafka without a snapshot and examples."""
    assert set(get_args(AnyMessage)) | {InboundContact} == set(RECORDS.values())
    assert {file.stem for file in SCHEMAS.glob("*.json")} == set(RECORDS)
    assert {file.parent.name for file in FILES} == set(RECORDS)


@pytest.mark.parametrize("name", RECORDS)
def test_the_snapshot_is_the_code_s_schema(name: str) -> None:
    """A change of a record shows in its committed schema, so that it is reviewed as one."""
    snapshot = (SCHEMAS / f"{name}.json").read_text(encoding="utf-8")
    assert snapshot == text_of(schema_of(RECORDS[name])), RENEW


@pytest.mark.parametrize("file", FILES, ids=named)
def test_every_example_is_read_and_written_back(file: Path) -> None:
    """An example is read, and what is written of it is read as the same."""
    record = read(file, file.read_bytes())
    written = encode(record) if isinstance(record, Message) else record.model_dump_json().encode()
    assert read(file, written) == record


@pytest.mark.parametrize("file", FILES, ids=named)
def test_every_example_fits_the_snapshot(file: Path) -> None:
    """Whoever checks records by the published schema takes what our readers take."""
    snapshot = json.loads((SCHEMAS / f"{file.parent.name}.json").read_text(encoding="utf-8"))
    jsonschema.validate(json.loads(file.read_bytes()), snapshot)


@pytest.mark.parametrize("name", RECORDS)
def test_the_minimal_example_has_only_what_is_required(name: str) -> None:
    """The oldest writer's record, without any field added since, is read."""
    minimal = json.loads((EXAMPLES / name / "minimal.json").read_bytes())
    assert set(minimal) - {"kind"} == set(schema_of(RECORDS[name]).get("required", ()))


@pytest.mark.parametrize("name", RECORDS)
def test_the_examples_set_every_field(name: str) -> None:
    """Each field is proved by an example; a new field needs one."""
    examples = [json.loads(file.read_bytes()) for file in FILES if file.parent.name == name]
    assert {key for one in examples for key in one} >= set(RECORDS[name].model_fields)


@pytest.mark.parametrize("name", RECORDS)
def test_fields_of_a_newer_writer_are_ignored(name: str) -> None:
    """Unknown fields, at any depth, change nothing of what is read."""
    file = EXAMPLES / name / "unknown-fields.json"
    whole = json.loads(file.read_bytes())
    known = {key: value for key, value in whole.items() if key in RECORDS[name].model_fields}
    assert known != whole
    assert read(file, json.dumps(whole).encode()) == read(file, json.dumps(known).encode())


OLD: dict[str, Any] = {
    "$defs": {"Answer": {"type": "object", "properties": {"code": {"type": "integer"}}}},
    "type": "object",
    "properties": {
        "phone": {"type": "string"},
        "state": {"enum": ["a", "b"], "type": "string"},
        "answer": {"$ref": "#/$defs/Answer"},
        "reference": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    },
    "required": ["phone", "state"],
}


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        (("properties", "new"), {"type": "string"}, None),  # a field more
        (("properties", "state", "enum"), ["a", "b", "c"], None),  # a value more
        (("required",), ["phone"], None),  # asks for less
        (("properties", "phone"), {"anyOf": [{"type": "string"}, {"type": "null"}]}, None),
        (("required",), ["phone", "state", "new"], "record.new: is required, and was not"),
        (("properties", "phone"), None, "record.phone: is gone"),
        (("properties", "phone", "type"), "integer", "record.phone: was string, now integer"),
        (
            ("properties", "phone", "pattern"),
            "^[+]",
            "record.phone: pattern was not set, now ^[+]",
        ),
        (("properties", "state", "enum"), ["a"], "record.state: b is gone"),
        (("properties", "reference"), {"type": "string"}, "record.reference: was null, now string"),
        (
            ("$defs", "Answer", "properties", "code"),
            None,
            "record.answer.code: is gone",
        ),
    ],
)
def test_what_breaks_a_record(path: tuple[str, ...], value: Any, problem: str | None) -> None:
    """Within a version fields are only added, with defaults; anything narrower is refused."""
    new = copy.deepcopy(OLD)
    inside = new
    for part in path[:-1]:
        inside = inside[part]
    if value is None:
        del inside[path[-1]]
    else:
        inside[path[-1]] = value
    assert breaks(OLD, new) == ([problem] if problem else [])
