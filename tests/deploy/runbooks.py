"""Reads the runbooks: their sections, and what in them is to be typed."""

from __future__ import annotations

import ast
import re
import shlex
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "runbooks"
INDEX = FOLDER / "README.md"
SECTIONS = (
    "Meaning",
    "Impact",
    "First five minutes",
    "Causes",
    "Mitigation",
    "Rollback",
    "Escalation",
)
#: What the reader of a runbook fills in, each with a value of its kind. The index explains them.
FILLED_IN = {
    "ACCOUNT": "default",
    "FILE": "token",
    "JOB": "7d0a6a54-1c7e-5c52-8f0b-52f1f8a0c3d9",
    "PARTITION": "3",
    "POD": "lookup-6c5f9d7b4-x2x7k",
    "REQUEST": "0b9c1a52-9a55-5a3a-8a0a-0d3b8f1f4e11",
    "REVISION": "7",
    "TOPIC": "contacts",
}
_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", flags=re.DOTALL | re.MULTILINE)
_CAPITALS = re.compile(r"(?<![\w$])[A-Z][A-Z_]+(?![\w=])")


@dataclass(frozen=True, slots=True)
class Block:
    """What stands between two fences."""

    language: str
    text: str


def runbooks() -> list[Path]:
    """The page of each alert."""
    return sorted(page for page in FOLDER.glob("*.md") if page != INDEX)


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def sections(text: str) -> dict[str, str]:
    """What stands under each heading of the second level, in the page's order."""
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], (part.strip() for part in parts[2::2]), strict=True))


def blocks(text: str, language: str | None = None) -> list[Block]:
    """All blocks between fences, or those of one language."""
    found = [Block(named, textwrap.dedent(body)) for _, named, body in _FENCE.findall(text)]
    return [block for block in found if language in {None, block.language}]


def filled_in(text: str) -> str:
    """A text with a value in each place that the reader fills in."""
    return _CAPITALS.sub(lambda match: FILLED_IN.get(match[0], match[0]), text)


def to_fill_in(text: str) -> set[str]:
    """The words of a command that stand for something of the reader's."""
    return set(_CAPITALS.findall(text))


def lines(text: str) -> list[str]:
    """What is typed into a shell, each line whole and without its prompt."""
    joined = [block.text.replace("\\\n", " ") for block in blocks(text, "console")]
    return [line.removeprefix("$ ") for block in joined for line in block.splitlines()]


def calls(line: str) -> Iterator[list[str]]:
    """The commands of a line, split into words: those of a pipe, and the one that another runs.

    >>> list(calls("kubectl exec deployment/lookup -- bulk-lookup check | grep failed"))
    [['kubectl', 'exec', 'deployment/lookup', '--', 'bulk-lookup', 'check'], ['bulk-lookup', 'check'], ['grep', 'failed']]
    """
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>()")
    lexer.whitespace_split = True
    call: list[str] = []
    for word in [*lexer, "|"]:
        if set(word) <= set("|&;"):
            if call:
                yield call
                if "--" in call:
                    yield call[call.index("--") + 1 :]
            call = []
        else:
            call.append(word)


@cache
def said() -> set[str]:
    """Every text that is written in the programs: what one may log, answer or set."""
    texts = set()
    for file in (ROOT / "services").rglob("*.py"):
        if "local" not in file.parts:
            texts |= {
                node.value.replace("`", "")
                for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
                if isinstance(node, ast.Constant) and isinstance(node.value, str)
            }
    return texts
