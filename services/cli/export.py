"""A contact of the API as a row of CSV. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
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
_CONTACT = ("row", "reference", "phone", "country", "state", "account", "attempts", "last_error")
_ENDED = ("ended_at", "request_id")
_PACKAGE = ("status", "code", "reused", "billed", "looked_up_at")

HEADER = (
    *_CONTACT,
    *(
        f"{package}.{name}"
        for package, fields in ANSWER_FIELDS.items()
        for name in (*_PACKAGE, *fields)
    ),
    *_ENDED,
)


def csv_row(contact: Mapping[str, Any]) -> list[str]:
    """The cells of a contact, as `HEADER` names them; empty where there is nothing."""
    answers = {answer["package"]: answer for answer in contact["packages"]}
    row = [_cell(contact.get(name)) for name in _CONTACT]
    for package, fields in ANSWER_FIELDS.items():
        answer = answers.get(package) or {}
        data = answer.get("data") or {}
        row += [_cell(answer.get(name)) for name in _PACKAGE]
        row += [_cell(data.get(name)) for name in fields]
    return row + [_cell(contact.get(name)) for name in _ENDED]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return " ".join(value)
    return json.dumps(value, ensure_ascii=False)
