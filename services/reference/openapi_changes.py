"""Compares two OpenAPI documents of one API: what a change takes from its callers. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from services.reference.compatibility import breaking, resolved

Document = dict[str, Any]

_METHODS = frozenset({"get", "put", "post", "delete", "patch"})


def breaking_api(old: Document, new: Document) -> list[str]:
    """What callers were told and no longer holds, each in a line."""
    return list(_Comparison(old, new).operations())


class _Comparison:
    def __init__(self, old: Document, new: Document) -> None:
        self._old = old
        self._new = new

    def operations(self) -> Iterator[str]:
        """Everything that broke."""
        now = _operations(self._new)
        for name, was in _operations(self._old).items():
            if name in now:
                yield from self._operation(name, was, now[name])
            else:
                yield f"{name}: is gone"

    def _operation(self, name: str, old: Document, new: Document) -> Iterator[str]:
        if old.get("operationId") != new.get("operationId"):
            yield f"{name}: was called {old.get('operationId')}, now {new.get('operationId')}"
        if new.get("security") and not old.get("security"):
            yield f"{name}: needs a token, and did not"
        yield from self._parameters(name, old, new)
        yield from self._body(name, old, new)
        yield from self._answers(name, old["responses"], new["responses"])

    def _parameters(self, name: str, old: Document, new: Document) -> Iterator[str]:
        was, now = _parameters(old), _parameters(new)
        for key, parameter in now.items():
            where = f"{name}, {key}"
            if parameter.get("required") and not was.get(key, {}).get("required"):
                yield f"{where}: is required, and was not"
            if key in was:
                yield from self._part(where, was[key]["schema"], parameter["schema"], ours=False)
        yield from (f"{name}, {key}: is gone" for key in was if key not in now)

    def _body(self, name: str, old: Document, new: Document) -> Iterator[str]:
        was, now = old.get("requestBody"), new.get("requestBody")
        if now is not None and now.get("required") and not (was and was.get("required")):
            yield f"{name}, body: is required, and was not"
        if was is None:
            return
        if now is None:
            yield f"{name}, body: is gone"
            return
        yield from self._contents(f"{name}, body", was["content"], now["content"], ours=False)

    def _answers(self, name: str, old: Document, new: Document) -> Iterator[str]:
        for status, one in old.items():
            where = f"{name}, {status}"
            if status not in new:
                yield f"{where}: is gone"
                continue
            was, now = resolved(one, self._old), resolved(new[status], self._new)
            headers = now.get("headers", {})
            yield from (
                f"{where}, header {header}: is gone"
                for header in was.get("headers", {})
                if header not in headers
            )
            yield from self._contents(
                where, was.get("content", {}), now.get("content", {}), ours=True
            )

    def _contents(self, where: str, old: Document, new: Document, *, ours: bool) -> Iterator[str]:
        for kind, was in old.items():
            if kind not in new:
                yield f"{where}, {kind}: is gone"
            else:
                yield from self._part(
                    f"{where}, {kind}",
                    was.get("schema", {}),
                    new[kind].get("schema", {}),
                    ours=ours,
                )

    def _part(self, where: str, old: Document, new: Document, *, ours: bool) -> list[str]:
        return breaking(where, old, new, self._old, self._new, ours=ours)


def _operations(document: Document) -> dict[str, Document]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in _METHODS
    }


def _parameters(operation: Mapping[str, Any]) -> dict[str, Document]:
    return {
        f"{parameter['in']} {parameter['name']}": parameter
        for parameter in operation.get("parameters", ())
    }
