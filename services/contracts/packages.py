"""What can be asked of Twilio Lookup about a number, and what came of each question.

`basic` is the free request every other package rides on: formatting and validity.
Names are Twilio's own (`Fields` of Lookup v2), so that a column in PostgreSQL,
a filter of the API and Twilio's documentation use one word for one thing.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class Package(StrEnum):
    """A package of Twilio Lookup v2 that this version asks for."""

    BASIC = "basic"
    LINE_TYPE_INTELLIGENCE = "line_type_intelligence"
    CALLER_NAME = "caller_name"


#: Packages that cost money; `basic` alone is a free call.
PAID_PACKAGES = tuple(package for package in Package if package is not Package.BASIC)

Billed = Literal["yes", "no", "unknown"]


class Answer(BaseModel):
    """What came of one package for one number.

    - `ok`: Twilio answered; `data` is its object for the package.
    - `failed`: a final failure for this number and package (`code`, `reason`); it is
      kept and reused like an answer, because asking again gives the same and may cost.
    - `exhausted`: transient failures until attempts or age ran out; never reused.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    status: Literal["ok", "failed", "exhausted"]
    #: Twilio's error code, if it gave one.
    code: int | None = None
    reason: str | None = None
    data: dict[str, Any] | None = None
    #: When Twilio answered (UTC); for a reused answer the time of the first asking.
    looked_up_at: AwareDatetime
    #: Generation and turn of the request that brought it (see `turns`).
    generation: int = Field(default=0, ge=0)
    turn: int = Field(default=1, ge=0)
    billed: Billed = "unknown"
    #: True if it was paid for by another request, or an earlier one.
    reused: bool = False
    #: Of a failure: asking again gives the same, whoever asks.
    permanent: bool = False

    @property
    def is_reusable(self) -> bool:
        """Whether another request for the number may take it instead of asking."""
        return self.status == "ok" or (self.status == "failed" and self.permanent)


Answers = dict[Package, Answer]


def merge_answers(kept: Answers, brought: Answers) -> Answers:
    """Merge two sets of answers per package, the same in either order.

    An answer of Twilio beats a final failure beats an exhausted one (and of `basic`, a
    valid number beats an invalid one); among equals the earlier generation and turn stays,
    then the earlier time: what was paid first is kept.
    """
    merged = dict(kept)
    for package, answer in brought.items():
        held = merged.get(package)
        if held is None or _rank(answer) < _rank(held):
            merged[package] = answer
    return merged


def standing(answers: Answers, generation: int) -> Answers:
    """The answers that stand for a request in its generation.

    A redrive asks again for what failed in an earlier one.
    """
    return {
        package: answer
        for package, answer in answers.items()
        if answer.status == "ok" or answer.generation >= generation
    }


def newest(*sources: Answers) -> Answers:
    """Per package the answer of the latest lookup, from whichever source."""
    found: Answers = {}
    for source in sources:
        for package, answer in source.items():
            held = found.get(package)
            if held is None or answer.looked_up_at > held.looked_up_at:
                found[package] = answer
    return found


_ORDER = {"ok": 0, "failed": 2, "exhausted": 3}
_SAID_INVALID = 1


def _rank(answer: Answer) -> tuple[int, int, int, datetime, bool, str]:
    said_invalid = answer.data is not None and answer.data.get("valid") is False
    return (
        _SAID_INVALID if said_invalid else _ORDER[answer.status],
        answer.generation,
        answer.turn,
        answer.looked_up_at,
        answer.reused,
        answer.model_dump_json(),
    )
