"""How what was found in a file is said to people. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_KINDS = {
    "csv": "CSV",
    "tsv": "TSV",
    "json-lines": "JSON Lines",
    "json-array": "a JSON array",
    "xlsx": "an Excel workbook",
}
_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_ENCODINGS = {
    "utf-8": "UTF-8",
    "utf-16-le": "UTF-16",
    "utf-16-be": "UTF-16",
    "windows-1252": "Windows-1252",
}
_BY = {"option": "as named", "heading": "by its heading", "content": "by what it holds"}


def how_read(found: Mapping[str, Any]) -> list[str]:
    """Say what kind of file it is, and a line for each kind of column that is read."""
    kind = _KINDS.get(found["kind"], found["kind"])
    said = [f"Read as {kind}{', compressed' if found['compressed'] else ''}"]
    if found["sheet"] is not None:
        said.append(f"sheet '{found['sheet']}'")
    if found["encoding"] is not None:
        encoding = _ENCODINGS.get(found["encoding"], found["encoding"])
        # Any bytes are text in it: nobody can know.
        guessed = found["encoding_by"] == "content" and found["encoding"] == "windows-1252"
        said.append(f"{encoding}{' by its bytes' if guessed else ''}")
    if found["delimiter"] is not None and found["kind"] == "csv":
        said.append(f"cells between {_DELIMITERS.get(found['delimiter'], found['delimiter'])}")
    if not found["header"]:
        said.append("no headings")
    lines = [", ".join(said), f"Numbers in {_columns(found['phone'])}"]
    lines += [
        f"{what} in {_columns([found[name]])}"
        for name, what in (("country", "Countries"), ("reference", "References"))
        if found[name] is not None
    ]
    if kept := found.get("kept"):
        lines.append(f"Kept for the results: {_columns(kept)}")
    return lines


def _columns(columns: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(f"'{one['column']}' ({_BY.get(one['by'], one['by'])})" for one in columns)
