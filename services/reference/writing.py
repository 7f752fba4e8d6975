"""Writes what is made from the code, or says that it is not what the code says."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from services.reference.asyncapi import asyncapi
from services.reference.asyncapi_changes import breaking_topics
from services.reference.compatibility import breaking_record
from services.reference.messages import messages_page
from services.reference.metrics import metrics_page
from services.reference.openapi import ingest_api, results_api
from services.reference.openapi_changes import breaking_api
from services.reference.problems import problems_page
from services.reference.schemas import TAKEN, schema_files
from services.reference.settings import settings_page
from services.reference.topics import topics_page

DIRECTORY = Path(__file__).parents[2] / "docs" / "reference"
Document = dict[str, Any]


def contracts() -> dict[str, Document]:
    """What other systems are built against, by the file's path below `DIRECTORY`."""
    return {
        **schema_files(),
        "asyncapi.json": asyncapi(),
        "openapi-ingest.json": ingest_api(),
        "openapi-results.json": results_api(),
    }


def files() -> dict[str, str]:
    """The text of everything that is made, by its path below `DIRECTORY`."""
    return {
        "settings.md": settings_page(),
        "metrics.md": metrics_page(),
        "topics.md": topics_page(),
        "messages.md": messages_page(),
        "problems.md": problems_page(),
        **{name: text_of(document) for name, document in contracts().items()},
    }


def text_of(document: Document) -> str:
    """A document's text, to be told apart line by line."""
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def breaks(name: str, old: Document, new: Document) -> list[str]:
    """What others were promised by the contract `name` and no longer get, each in a line."""
    compare: Callable[[Document, Document], list[str]]
    if name == "asyncapi.json":
        compare = breaking_topics
    elif name.startswith("openapi-"):
        compare = breaking_api
    else:
        return breaking_record(old, new, ours=Path(name).stem not in TAKEN)
    return compare(old, new)


def main(arguments: Sequence[str], directory: Path = DIRECTORY) -> int:
    """Write what differs, unless it breaks a contract; with `--check` only say what differs."""
    made = files()
    stale = {
        directory / name: text
        for name, text in made.items()
        if not (directory / name).exists() or (directory / name).read_text(encoding="utf-8") != text
    }
    if "--check" in arguments:
        for file in stale:
            sys.stderr.write(f"{file} is not what the code says: run `make reference`\n")
        return 1 if stale else 0
    if problems := _broken(directory, contracts()):
        sys.stderr.write(
            "\n".join(problems)
            + "\nOther systems were promised otherwise (docs/contracts.md): add beside what there "
            "is instead, or make a new version.\n"
        )
        return 1
    for file, text in stale.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return 0


def _broken(directory: Path, new: Mapping[str, Document]) -> list[str]:
    there = {str(file.relative_to(directory)) for file in directory.rglob("*.json")}
    return [f"{name}: is gone" for name in sorted(there - new.keys())] + [
        f"{name}: {problem}"
        for name, document in new.items()
        if (directory / name).exists()
        for problem in breaks(
            name, json.loads((directory / name).read_text(encoding="utf-8")), document
        )
    ]
