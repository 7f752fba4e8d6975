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
from services.reference.compatibility import breaking_record

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


def schema_of(model: type[BaseModel]) -> Schema:
    """What a reader of the record takes."""
    return model.model_json_schema(mode="validation")


def breaks(old: Schema, new: Schema) -> list[str]:
    """What a reader by `new` no longer takes of a record written by `old`, by field."""
    return breaking_record(old, new, ours=False)


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
