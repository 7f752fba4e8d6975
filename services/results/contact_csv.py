"""A contact of the API as a row of CSV. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

#: What Twilio's answers hold, by package, in the order of the columns.
ANSWER_FIELDS: Mapping[str, tuple[str, ...]] = {
    "basic": ("valid", "calling_country_code", "national_format", "validation_errors"),
    "line_type_intelligence": (
        "type",
        "carrier_name",
        "mobile_country_code",
        "mobile_network_code",
    ),
    "caller_name": ("caller_name", "caller_type"),
}
_PLACE = ("row", "column", "reference")
_CONTACT = ("phone", "country", "state", "account", "attempts", "last_error")
_ENDED = ("ended_at", "request_id")
_PACKAGE = ("status", "code", "reused", "billed", "looked_up_at")

_OURS = (
    *_CONTACT,
    *(
        f"{package}.{name}"
        for package, fields in ANSWER_FIELDS.items()
        for name in (*_PACKAGE, *fields)
    ),
    *_ENDED,
)
#: The column of contacts that did not come in a file, and each bring texts of other names.
_EXTRA = "extra"
_TAKEN = frozenset({*_PLACE, *_OURS, _EXTRA})


def csv_header(kept: Sequence[str] | None) -> list[str]:
    """The headings of a job's results.

    Args:
        kept: The columns of the file that were kept; None for a job that is no file, whose
            texts stand in one column, as JSON.
    """
    extra = [_EXTRA] if kept is None else map(_heading, kept)
    return [*_PLACE, *extra, *_OURS]


def csv_row(contact: Mapping[str, Any], kept: Sequence[str] | None) -> list[str]:
    """The cells of a contact under the headings of `csv_header`; empty where there is nothing."""
    extra = contact["extra"]
    row = [_cell(contact.get(name)) for name in _PLACE]
    if kept is None:
        row.append(_cell(extra or None))
    else:
        row += [extra.get(name, "") for name in kept]
    row += [_cell(contact.get(name)) for name in _CONTACT]
    answers = {answer["package"]: answer for answer in contact["packages"]}
    for package, fields in ANSWER_FIELDS.items():
        answer = answers.get(package) or {}
        data = answer.get("data") or {}
        row += [_cell(answer.get(name)) for name in _PACKAGE]
        row += [_cell(data.get(name)) for name in fields]
    return row + [_cell(contact.get(name)) for name in _ENDED]


def _heading(kept: str) -> str:
    """The heading of a kept column, told apart from ours."""
    taken = kept in _TAKEN or kept.startswith(f"{_EXTRA}.")
    return f"{_EXTRA}.{kept}" if taken else kept


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return " ".join(value)
    return json.dumps(value, ensure_ascii=False)
