"""What a PromQL expression reads, and how to ask whether it could say anything at all.

Text is split into tokens, no more: whether an expression is right is Prometheus's to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""
      (?P<space>\s+|\#[^\n]*)
    | (?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`)
    | (?P<braces>\{(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`|[^"'`}])*\})
    | (?P<brackets>\[[^\]]*\])
    | (?P<number>(?:\d[\d.]*(?:[eE][+-]?\d+)?(?:ms|[smhdwy])?)+|\.\d+)
    | (?P<word>[A-Za-z_:][A-Za-z0-9_:]*)
    | (?P<comparison>==|!=|>=|<=|>|<)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
#: Each is followed by label names in parentheses, which may be left out.
_LABELS = {"by", "without", "on", "ignoring", "group_left", "group_right"}
_WORDS = _LABELS | {"and", "or", "unless", "bool", "offset", "atan2", "inf", "nan"}
#: Turned into what gives something exactly if what they ask about is there.
_TURNED = {"unless": "and", "absent": "count", "absent_over_time": "count_over_time"}


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of an expression; together they are all of it."""

    kind: str
    text: str


def tokens(expression: str) -> list[Token]:
    """Split an expression; joined, the texts are the expression again."""
    return [Token(str(found.lastgroup), found.group()) for found in _TOKEN.finditer(expression)]


def selectors(expression: str) -> list[str]:
    """The vector selectors in it: a metric, what stands in braces behind it, or both."""
    found: list[str] = []
    meant = list(_without_label_lists(tokens(expression)))
    for place, token in enumerate(meant):
        follower = meant[place + 1] if place + 1 < len(meant) else None
        if token.kind == "word" and token.text.lower() not in _WORDS:
            if follower is None or follower.text != "(":
                found.append(token.text)
        elif token.kind == "braces":
            before = meant[place - 1] if place else None
            if before is not None and before.kind == "word" and found:
                found[-1] += token.text
            else:
                found.append(token.text)
    return found


def metrics(expression: str) -> set[str]:
    """The metrics it reads, as far as they are named outside braces."""
    return {name for selector in selectors(expression) if (name := selector.partition("{")[0])}


def answered(expression: str) -> str:
    """An expression that gives something exactly if all that this one compares is there.

    So that an alert can be asked while nothing is wrong: a comparison gives 0 or 1 rather
    than leave out, `unless` wants both its sides, and `absent` counts.
    """
    written: list[str] = []
    pieces = tokens(expression)
    for place, token in enumerate(pieces):
        after = next((each for each in pieces[place + 1 :] if each.kind != "space"), None)
        if token.kind == "comparison" and (after is None or after.text != "bool"):
            written.append(f"{token.text} bool")
        elif token.kind == "word" and token.text in _TURNED:
            written.append(_TURNED[token.text])
        else:
            written.append(token.text)
    return "".join(written)


def _without_label_lists(pieces: list[Token]) -> Iterator[Token]:
    """The tokens but space, and but `by (...)` and its like."""
    inside, expected = False, False
    for token in pieces:
        if token.kind == "space":
            continue
        if inside:
            inside = token.text != ")"
        elif expected and token.text == "(":
            inside, expected = True, False
        else:
            expected = token.kind == "word" and token.text in _LABELS
            if not expected:
                yield token
