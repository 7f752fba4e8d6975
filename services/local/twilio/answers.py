"""The HTTP answer to one call, and what it means for the bill."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from services.local.twilio.faults import HTTP_ERRORS
from services.local.twilio.packages import PROPERTIES, Inputs, ask, failed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from services.local.twilio.faults import Fault
    from services.local.twilio.numbers import Number

#: Codes of a package that asking again would only repeat; the outcome counts as an answer.
FINAL_CODES = frozenset({60600, 60601, 60607, 60610, 60612, 60620})
#: Codes of a package that Twilio bills nevertheless. The others are taken as free: an assumption.
_BILLED_CODES = frozenset({60620})

_MESSAGES = {
    20001: "Invalid parameter",
    20003: "Authenticate",
    20005: "Account not active",
    20404: "The requested resource was not found",
    20429: "Too Many Requests",
    20500: "An internal server error has occurred",
    20503: "Service unavailable",
}


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it goes over the wire, and its account of the packages.

    `code` is Twilio's error code of the whole answer; `codes` those of single packages;
    `answered` the packages whose outcome is final, of which `billed` cost money. `whole` is false
    for an answer that is none for its caller: broken JSON, another number.
    """

    status: int
    body: bytes
    code: int | None = None
    retry_after: int | None = None
    answered: tuple[str, ...] = ()
    billed: tuple[str, ...] = ()
    codes: Mapping[str, int] = field(default_factory=dict)
    whole: bool = True


def error(status: int, code: int, retry_after: int | None = None) -> Reply:
    """Return the error answer with Twilio's `code`."""
    body = {
        "code": code,
        "message": _MESSAGES.get(code, HTTPStatus(status).phrase),
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
        "status": status,
    }
    return Reply(status, json.dumps(body).encode(), code=code, retry_after=retry_after)


def answer(
    number: Number, packages: Sequence[str], inputs: Inputs, faults: Sequence[Fault]
) -> Reply:
    """Return the answer for `number` when `faults` strike; how slowly it goes out is not its matter."""
    first = faults[0] if faults else None
    if first is not None and first.kind in HTTP_ERRORS:
        return error(*HTTP_ERRORS[first.kind], retry_after=first.retry_after)
    if first is not None and first.status is not None and first.code is not None:
        return error(first.status, first.code, retry_after=first.retry_after)
    if "reassigned_number" in packages and not _is_date(inputs.get("LastVerifiedDate", "")):
        return error(HTTPStatus.BAD_REQUEST, 20001)
    injected = {
        fault.package: fault.code
        for fault in faults
        if fault.package is not None and fault.code is not None
    }
    body, codes = _body(number, packages, inputs, injected)
    if first is not None and first.kind == "wrong_json":
        # The right length of the wrong text, so that only its reader can tell.
        return Reply(HTTPStatus.OK, _encode(body)[:-20].ljust(40, b"!"), whole=False)
    if first is not None and first.kind == "wrong_number":
        body["phone_number"] = "+12015550123" if number.e164 != "+12015550123" else "+12015550124"
        return Reply(HTTPStatus.OK, _encode(body), whole=False)
    if not number.valid:
        return Reply(HTTPStatus.OK, _encode(body))
    return Reply(
        HTTPStatus.OK,
        _encode(body),
        answered=tuple(p for p in packages if p not in codes or codes[p] in FINAL_CODES),
        billed=tuple(p for p in packages if p not in codes or codes[p] in _BILLED_CODES),
        codes=codes,
    )


def _body(
    number: Number, packages: Sequence[str], inputs: Inputs, injected: Mapping[str, int]
) -> tuple[dict[str, Any], dict[str, int]]:
    body: dict[str, Any] = {
        "calling_country_code": number.calling_code,
        "country_code": number.country,
        "phone_number": number.e164,
        "national_format": number.national,
        "valid": number.valid,
        "validation_errors": list(number.errors) or None,
        **dict.fromkeys(PROPERTIES),
        "url": f"https://lookups.twilio.com/v2/PhoneNumbers/{number.e164}",
    }
    codes: dict[str, int] = {}
    for package in packages if number.valid else ():
        if package in injected:
            codes[package] = injected[package]
            body[package] = failed(package, injected[package])
            continue
        body[package], code = ask(package, number, inputs)
        if code is not None:
            codes[package] = code
    return body, codes


def _encode(body: dict[str, Any]) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()


def _is_date(text: str) -> bool:
    return len(text) == len("YYYYMMDD") and text.isdecimal()
