"""Compares two JSON Schemas of one thing: what a change takes from those who rely on it. Pure.

What we take may only become wider, what we write may only gain fields. In between stand lists
of values: those in what we write may grow, as docs/contracts.md says.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]

_EXACT = ("const", "format", "pattern", "uniqueItems")
_AT_LEAST = ("minimum", "exclusiveMinimum", "minItems", "minLength", "minProperties")
_AT_MOST = ("maximum", "exclusiveMaximum", "maxItems", "maxLength", "maxProperties")
#: Schemas within a schema that say what its parts are.
_INSIDE = ("items", "additionalProperties", "propertyNames")


def breaking_record(old: Schema, new: Schema, *, ours: bool) -> list[str]:
    """What a change breaks of a record, each in a line; `ours` if we write it."""
    return breaking("record", old, new, old, new, ours=ours)


def breaking(
    where: str, old: Schema, new: Schema, old_document: Schema, new_document: Schema, *, ours: bool
) -> list[str]:
    """What a change breaks of a part of a document, in which its references are found.

    Args:
        where: What the part is called, for people.
        old: The part as others know it.
        new: The part as it is to be.
        old_document: Where references in `old` lead.
        new_document: Where references in `new` lead.
        ours: Whether we write what it describes, rather than others.
    """
    return _Comparison(old_document, new_document, ours=ours).between(where, old, new)


def resolved(part: Schema, document: Schema) -> Schema:
    """A part of a document, or what it refers to."""
    while "$ref" in part:
        found: Any = document
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        part = found
    return part


class _Comparison:
    """Compares parts of two documents.

    Whoever writes by one schema must be understood by whoever reads by the other: others
    write by the old one, we by the new one.
    """

    def __init__(self, old_document: Schema, new_document: Schema, *, ours: bool) -> None:
        self._old_document = old_document
        self._new_document = new_document
        self._ours = ours

    def between(self, where: str, old: Schema, new: Schema) -> list[str]:
        """What broke at one place: every kind of value that is written must be read."""
        olds = list(_alternatives(old, self._old_document))
        news = list(_alternatives(new, self._new_document))
        problems: list[str] = []
        for one in news if self._ours else olds:
            pairs = [(other, one) for other in olds] if self._ours else [(one, n) for n in news]
            tried = [self._single(where, was, now) for was, now in pairs]
            if all(tried):
                problems += min((len(found), found) for found in tried)[1]
        return problems

    def _single(self, where: str, old: Schema, new: Schema) -> list[str]:
        writer, reader = (new, old) if self._ours else (old, new)
        if "type" in reader and not _is_within(writer.get("type"), reader["type"]):
            return [
                f"{where}: was {old.get('type', 'anything')}, now {new.get('type', 'anything')}"
            ]
        return [
            *self._limits(where, old, new, writer, reader),
            *self._fields(where, old, new),
            *self._parts(where, old, new, writer, reader),
        ]

    def _limits(
        self, where: str, old: Schema, new: Schema, writer: Schema, reader: Schema
    ) -> Iterator[str]:
        for limit in (*_EXACT, *_AT_LEAST, *_AT_MOST):
            if limit in reader and not _keeps(limit, writer.get(limit), reader[limit]):
                was, now = old.get(limit, "not set"), new.get(limit, "not set")
                yield f"{where}: {limit} was {was}, now {now}"
        # Of what we write the list may grow.
        if "enum" in new and not self._ours:
            before = old.get("enum", [old.get("const", "anything")])
            yield from (f"{where}: {value} is gone" for value in before if value not in new["enum"])

    def _fields(self, where: str, old: Schema, new: Schema) -> Iterator[str]:
        was, now = set(old.get("required", ())), set(new.get("required", ()))
        if not self._ours:
            yield from (f"{where}.{name}: is required, and was not" for name in sorted(now - was))
        fields = new.get("properties", {})
        for name, part in old.get("properties", {}).items():
            if name not in fields:
                yield f"{where}.{name}: is gone"
                continue
            if self._ours and name in was - now:
                yield f"{where}.{name}: may be missing, and was always there"
            yield from self.between(f"{where}.{name}", part, fields[name])

    def _parts(
        self, where: str, old: Schema, new: Schema, writer: Schema, reader: Schema
    ) -> Iterator[str]:
        if reader.get("additionalProperties") is False and (
            writer.get("additionalProperties") is not False
        ):
            yield f"{where}: fields beyond those listed are refused, and were not"
        for inside in _INSIDE:
            if isinstance(old.get(inside), dict) and isinstance(new.get(inside), dict):
                yield from self.between(f"{where}[]", old[inside], new[inside])
            elif isinstance(reader.get(inside), dict) and reader[inside]:
                was, now = old.get(inside, "anything"), new.get(inside, "anything")
                yield f"{where}[]: was {was}, now {now}"


def _alternatives(schema: Schema, document: Schema) -> Iterator[Schema]:
    """The schemas of which a value need fit only one."""
    schema = resolved(schema, document)
    if "allOf" in schema:
        schema = _merged(schema, document)
    for several in ("anyOf", "oneOf"):
        for one in schema.get(several, ()):
            yield from _alternatives(one, document)
    if "anyOf" not in schema and "oneOf" not in schema:
        yield schema


def _merged(schema: Schema, document: Schema) -> Schema:
    """A schema whose parts must all fit, as one; each of them has but one alternative."""
    merged: Schema = {}
    for part in schema["allOf"]:
        for one in _alternatives(part, document):
            fields = merged.get("properties", {})
            for name, field in one.get("properties", {}).items():
                fields = fields | {name: fields.get(name, {}) | field}
            merged |= one | ({"properties": fields} if fields else {})
    return merged


def _is_within(written: object, read: object) -> bool:
    return written == read or (written == "integer" and read == "number")


def _keeps(limit: str, written: Any, read: Any) -> bool:
    """Whether all that is written within one limit is within the other."""
    if written is None:
        return False
    if limit in _AT_LEAST:
        return bool(written >= read)
    if limit in _AT_MOST:
        return bool(written <= read)
    return bool(written == read)
