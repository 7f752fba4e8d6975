"""Compares two AsyncAPI documents of one installation: what a change takes from others. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from services.reference.compatibility import breaking, resolved

Document = dict[str, Any]


def breaking_topics(old: Document, new: Document) -> list[str]:
    """What others were told of topics and records and no longer holds, each in a line."""
    return list(_topics(old, new))


def _topics(old: Document, new: Document) -> Iterator[str]:
    for name, was in old["operations"].items():
        now = new["operations"].get(name)
        if now is None or now["action"] != was["action"]:
            yield f"{name}: is gone"
            continue
        old_channel, new_channel = resolved(was["channel"], old), resolved(now["channel"], new)
        if old_channel["address"] != new_channel["address"]:
            yield f"{name}: was on {old_channel['address']}, now on {new_channel['address']}"
        ours = was["action"] == "send"
        for message, reference in old_channel["messages"].items():
            if message not in new_channel["messages"]:
                yield f"{name}, {message}: is gone"
                continue
            one, other = resolved(reference, old), resolved(new_channel["messages"][message], new)
            for part, before, after in (
                ("key", *(m["bindings"]["kafka"]["key"] for m in (one, other))),
                ("record", one["payload"], other["payload"]),
            ):
                yield from breaking(f"{name}, {part}", before, after, old, new, ours=ours)
