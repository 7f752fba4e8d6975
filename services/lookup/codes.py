"""The table of Twilio's errors: which class each belongs to, kept as data in `codes.json`.

Twilio warns that codes change, so nothing else in the code names one: a code that the
table lacks goes by its HTTP status, and loudly.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, TypeAdapter

from services.contracts.packages import Billed

#: Where an error shows: an HTTP error, a package inside HTTP 200, `valid: false`, no answer.
Place = Literal["http", "package", "valid", "none"]
#: How a call ended without a usable answer.
Kind = Literal[
    "connect", "connect-timeout", "read-timeout", "reset", "cut", "wrong-answer", "not-answered"
]


class Class(StrEnum):
    """What an error means for a request; `route` says what follows."""

    PERMANENT_NUMBER = "permanent-number"
    PERMANENT_PACKAGE = "permanent-package"
    TRANSIENT = "transient"
    RATE_LIMIT = "rate-limit"
    PACKAGE_RATE_LIMIT = "package-rate-limit"
    PACKAGE_STOP = "package-stop"
    ACCOUNT_STOP = "account-stop"
    JOB_CONFIGURATION = "job-configuration"
    OTHER_REGION = "other-region"
    #: `valid: false`; an answer, never a problem.
    INVALID = "invalid"


class Rule(BaseModel):
    """One row of the table; without `code`, `status` and `kind` it catches the rest of its place."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    place: Place
    code: int | None = None
    #: First and last HTTP status it is for.
    status: tuple[int, int] | None = None
    kind: Kind | None = None
    klass: Class = Field(alias="class")
    #: Whether a paid package of the call is billed; `unknown` where Twilio does not say.
    billed: Billed
    #: Most attempts of a request that ends with this; the policy's number without it.
    cap: PositiveInt | None = None
    #: Worth a person's look whenever it happens.
    loud: bool = False
    #: Short name, for filters and counts.
    reason: str
    #: A sentence for people.
    means: str
    #: The page of Twilio's documentation, or what else it is known from.
    source: str


class CodeTable:
    """Finds the rule for an error, the most exact one first."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = tuple(rules)
        self._by_code = {(r.place, r.code): r for r in self.rules if r.code is not None}
        self._by_kind = {(r.place, r.kind): r for r in self.rules if r.kind is not None}
        self._fallbacks = [r for r in self.rules if r.code is None and r.kind is None]

    def known(self, place: Place, code: int | None) -> Rule | None:
        """The rule of a code, or None if the table lacks it."""
        return None if code is None else self._by_code.get((place, code))

    def kind(self, place: Place, kind: Kind) -> Rule:
        """The rule of a call that brought no usable answer."""
        return self._by_kind[place, kind]

    def fallback(self, place: Place, status: int) -> Rule:
        """The rule for a code that the table lacks: the first that takes the HTTP status."""
        return next(
            rule
            for rule in self._fallbacks
            if rule.place == place
            and (rule.status is None or rule.status[0] <= status <= rule.status[1])
        )


@cache
def code_table() -> CodeTable:
    """The table as it is shipped."""
    text = files("services.lookup").joinpath("codes.json").read_bytes()
    return CodeTable(TypeAdapter(list[Rule]).validate_json(text))
