"""Bytes to records and back, with what can be wrong told apart."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from services.contracts.messages import Message

M = TypeVar("M", bound=Message)
#: Digits; more are garbage.
_LONGEST_VERSION = 6


class UndecodableError(Exception):
    """The bytes are no record of ours: a dead letter."""


class NewerVersionError(Exception):
    """A kind we know in a version we do not: the reader must be upgraded, nothing is dropped."""


class _Kind(BaseModel):
    model_config = ConfigDict(extra="ignore")
    kind: str


def encode(message: Message) -> bytes:
    """The record's bytes on Kafka: compact JSON, UTF-8, times as RFC 3339."""
    return message.model_dump_json().encode()


def decode(value: bytes | None, model: type[M]) -> M:
    """Read `value` as `model`.

    Raises:
        NewerVersionError: It says it is of this kind, in a later version than `model`'s.
        UndecodableError: Anything else that does not fit.
    """
    if value is None:
        raise UndecodableError("a record without a value")
    try:
        return model.model_validate_json(value)
    except ValidationError as error:
        _refuse_newer(value, model)
        raise UndecodableError(_summary(error)) from None


def _refuse_newer(value: bytes, model: type[Message]) -> None:
    try:
        found = _Kind.model_validate_json(value).kind
    except ValidationError:
        return
    known = model.model_fields["kind"].default
    name, _, version = found.partition("/")
    known_name, _, known_version = known.partition("/")
    if name == known_name and _is_number(version) and int(version) > int(known_version):
        raise NewerVersionError(
            f"a record says {found}; this program reads up to {known}: upgrade it first, "
            "the record stays uncommitted until then"
        )


def _is_number(version: str) -> bool:
    return version.isdecimal() and len(version) <= _LONGEST_VERSION


def _summary(error: ValidationError) -> str:
    """Names the fields and what is wrong, never their values."""
    problems = [
        f"{'.'.join(str(part) for part in e['loc']) or 'record'}: {e['type']}"
        for e in error.errors(include_input=False, include_url=False)[:5]
    ]
    return "; ".join(problems)
