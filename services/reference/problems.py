"""The page of problems, and of the reasons for which a row is rejected."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

from services.contracts.reject_reasons import SENTENCES
from services.ingest.parse_error import ParseCode
from services.ingest.problem_types import BAD_FILE, OF_INGEST
from services.reference.markdown import page, table
from services.results.problem_types import OF_RESULTS
from services.runtime.problem_types import SHARED, ProblemType
from services.runtime.problems import MEDIA_TYPE, ProblemDocument

#: Every type there is, by who answers with it.
PROBLEMS: dict[str, tuple[ProblemType, ...]] = {
    "both programs": SHARED,
    "ingest": OF_INGEST,
    "results": OF_RESULTS,
}


def problems_page() -> str:
    """Every type of problem, with its status, its meaning and the way out."""
    members = [
        (f"`{name}`", field.description or "")
        for name, field in ProblemDocument.model_fields.items()
    ]
    parts = []
    for programs, kinds in PROBLEMS.items():
        parts += [
            f"## Of {programs}",
            table(("Type", "Status", "Meaning", "Way out"), _rows(kinds)),
        ]
    more = [
        (f"`{kind.slug}`", f"`{name}`", meaning)
        for kinds in PROBLEMS.values()
        for kind in kinds
        for name, meaning in kind.members.items()
    ]
    return page(
        "Problems",
        "Every error over HTTP is a problem detail ([RFC 9457]"
        f"(https://www.rfc-editor.org/rfc/rfc9457)), a document of the type `{MEDIA_TYPE}`. "
        "Only `/readyz` answers 503 with what it always answers.",
        table(("Member", "Meaning"), members),
        "A type is written in full as `urn:bulk-lookup:problem:TYPE`. Programs tell problems "
        "apart by it: neither it nor its status changes, while titles and details may. No phone "
        "number stands in a problem: digits are masked.",
        *parts,
        "## More members",
        table(("Type", "Member", "Meaning"), more),
        f"## Codes of `{BAD_FILE.slug}`",
        ", ".join(f"`{code}`" for code in get_args(ParseCode)),
        "## Why a row is rejected",
        "A file is taken with rows that cannot be looked up; each of them is kept with its reason.",
        table(("Reason", "Way out"), ((f"`{reason}`", text) for reason, text in SENTENCES.items())),
    )


def _rows(kinds: Iterable[ProblemType]) -> list[tuple[str, str, str, str]]:
    return [(f"`{kind.slug}`", str(kind.status), kind.meaning, kind.way_out) for kind in kinds]
