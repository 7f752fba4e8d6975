"""Faults on order: which calls they strike is decided by number, share, time and count alone."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.local.twilio.packages import PROPERTIES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Kind = Literal[
    "http_500",
    "http_503",
    "rate_limited",
    "unauthorized",
    "not_found",
    "http_error",
    "slow",
    "slow_body",
    "cut",
    "reset",
    "wrong_json",
    "wrong_number",
    "package_error",
]

#: HTTP status and Twilio's code of the faults that are an error answer.
HTTP_ERRORS: dict[str, tuple[int, int]] = {
    "http_500": (500, 20500),
    "http_503": (503, 20503),
    "rate_limited": (429, 20429),
    "unauthorized": (401, 20003),
    "not_found": (404, 20404),
}

_HASH_RANGE = 1 << 64


class Fault(BaseModel):
    """One fault and the calls that it strikes.

    Of the kinds: `slow` waits `seconds` more before the answer, `slow_body` in the middle of it;
    `cut` closes in the middle, `reset` resets instead of answering; `wrong_json` and
    `wrong_number` answer 200 with a broken body or another number's; `package_error` answers 200
    with `code` for `package`; `http_error` answers `status` and `code`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    kind: Kind
    #: Matched from the start of the E.164 form; None is every number.
    number: re.Pattern[str] | None = None
    #: Share of those numbers, chosen by a hash of the fault's name and the number.
    share: float = Field(default=1.0, ge=0, le=1)
    #: Only calls with this account's credentials.
    account: str | None = None
    #: Time window in seconds since the faults were set.
    from_second: float = 0
    to_second: float | None = None
    #: How many calls of one number it strikes before that number has recovered from it.
    times_per_number: int | None = Field(default=None, ge=1)
    seconds: float = Field(default=0, ge=0)
    retry_after: int | None = None
    package: str | None = None
    status: int | None = Field(default=None, ge=400, le=599)
    code: int | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        needs: dict[str, tuple[str, ...]] = {
            "package_error": ("package", "code"),
            "http_error": ("status", "code"),
        }
        for field in needs.get(self.kind, ()):
            if getattr(self, field) is None:
                raise ValueError(f"a fault of kind {self.kind} needs {field}")
        if self.kind in {"slow", "slow_body"} and not self.seconds:
            raise ValueError(f"a fault of kind {self.kind} needs seconds")
        if self.package is not None and self.package not in PROPERTIES:
            raise ValueError(f"package is one of {', '.join(PROPERTIES)}")
        return self

    def strikes(self, number: str, account: str, packages: Sequence[str], second: float) -> bool:
        """Say whether it strikes such a call `second` after the faults were set."""
        return (
            second >= self.from_second
            and (self.to_second is None or second < self.to_second)
            and (self.account is None or self.account == account)
            and (self.package is None or self.package in packages)
            and (self.number is None or self.number.match(number) is not None)
            and (self.share >= 1 or _place(self.name, number) < self.share)
        )


def choose(
    faults: Sequence[Fault],
    number: str,
    account: str,
    packages: Sequence[str],
    *,
    second: float,
    struck: Mapping[tuple[str, str], int],
) -> tuple[Fault, ...]:
    """Return the faults that strike a call: the first that fits, or all package errors that fit.

    Package errors count only when no other fault fits. `struck` holds how often a fault, by name,
    has struck a number.
    """
    errors: list[Fault] = []
    for fault in faults:
        limit = fault.times_per_number
        if limit is not None and struck.get((fault.name, number), 0) >= limit:
            continue
        if fault.strikes(number, account, packages, second):
            if fault.kind != "package_error":
                return (fault,)
            errors.append(fault)
    return tuple(errors)


def dump(faults: Sequence[Fault]) -> list[dict[str, Any]]:
    """Return faults as the control endpoint shows and takes them."""
    return [fault.model_dump(mode="json", exclude_defaults=True) for fault in faults]


def _place(name: str, number: str) -> float:
    digest = blake2b(f"{name} {number}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) / _HASH_RANGE
