"""Reads what Twilio said, or that it said nothing, into answers and problems. Pure.

Errors show in four places: an HTTP error body, a package's own error inside HTTP 200,
`valid: false`, and no usable answer. All four go through the one table of `codes`.
Nothing that Twilio wrote is taken on trust: an answer about another number, of another
shape, or without a package that was asked for is no answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from pydantic_core import from_json

from services.contracts.masking import mask_text
from services.contracts.packages import PAID_PACKAGES, Answer, Answers, Billed, Package
from services.lookup.codes import Class, Kind, Rule, code_table

#: `Retry-After` is believed up to here, in seconds.
LONGEST_RETRY_AFTER = 3600.0
_OK = 200
_SHOWN_MESSAGE = 200
_PACKAGE_CLASSES = {
    Class.PERMANENT_PACKAGE,
    Class.PACKAGE_RATE_LIMIT,
    Class.PACKAGE_STOP,
    Class.OTHER_REGION,
}
_BASIC_FIELDS = ("calling_country_code", "country_code", "national_format", "validation_errors")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that went wrong with a call, and what it means."""

    #: The package it is about; None for the whole call.
    package: Package | None
    klass: Class
    #: Short name, the same for the same thing.
    reason: str
    #: A sentence for people; no number in it.
    detail: str
    #: Twilio's code, if it gave one.
    code: int | None = None
    #: HTTP status, if there was an answer.
    status: int | None = None
    #: Most attempts of a request that ends with this; None: the policy's.
    cap: int | None = None
    #: The table does not know it: to be counted where people see it.
    unknown: bool = False
    billed: Billed = "unknown"

    @property
    def name(self) -> str:
        """How a request remembers it: the code, else the reason."""
        return self.reason if self.code is None else str(self.code)


@dataclass(frozen=True, slots=True)
class Reading:
    """What one call brought."""

    #: What was asked for.
    asked: frozenset[Package]
    #: Answers and final failures; `basic` comes along with every answer.
    answers: Answers = field(default_factory=dict)
    #: Everything that went wrong, final failures of packages among it.
    problems: tuple[Problem, ...] = ()
    #: Seconds that Twilio asks to wait, if it does.
    retry_after: float | None = None
    #: Whether each package asked for was billed.
    billed: Mapping[Package, Billed] = field(default_factory=dict)

    @property
    def outcome(self) -> str:
        """One word for the call as a whole: `ok`, `invalid`, or the class of its first problem."""
        if self.problems:
            return self.problems[0].klass.value
        return Class.INVALID.value if says_invalid(self.answers) else "ok"


def says_invalid(answers: Answers) -> bool:
    """Whether Twilio said that the number is none."""
    basic = answers.get(Package.BASIC)
    return basic is not None and basic.data is not None and basic.data.get("valid") is False


def read_reply(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    asked: frozenset[Package],
    phone: str,
    at: datetime,
    generation: int,
    turn: int,
) -> Reading:
    """Read a whole HTTP answer.

    Args:
        status: HTTP status.
        headers: By name in lower case, or in any case if the mapping does not mind.
        body: As it came.
        asked: What was asked for.
        phone: The number that was asked about.
        at: When the answer came, UTC.
        generation: Of the request; it stands in its answers.
        turn: Of the request; it stands in its answers.
    """
    try:
        found = from_json(body, allow_inf_nan=False)
    except ValueError:
        found = None
    if b"\\u0000" in body:
        found = _without_nulls(found)
    if status != _OK:
        said = found if isinstance(found, dict) else {}
        return _read_error(status, said, asked, retry_after(headers, at))
    if (
        not isinstance(found, dict)
        or found.get("phone_number") != phone
        or not isinstance(found.get("valid"), bool)
    ):
        return read_failure("wrong-answer", asked, status=status)
    reading = _Answered(found, asked, at, generation, turn).reading()
    if reading.problems:
        return replace(reading, retry_after=retry_after(headers, at))
    return reading


def read_failure(kind: Kind, asked: frozenset[Package], *, status: int | None = None) -> Reading:
    """Read a call that brought no usable answer: how it ended, and what it may have cost."""
    rule = code_table().kind("none", kind)
    return _whole_call(asked, _problem(rule, None, status=status))


def retry_after(headers: Mapping[str, str], at: datetime) -> float | None:
    """Seconds that `Retry-After` asks to wait, within bounds; None without a readable one."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), LONGEST_RETRY_AFTER)
    try:
        then = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if then.tzinfo is None:
        then = then.replace(tzinfo=UTC)
    return min(max((then - at).total_seconds(), 0.0), LONGEST_RETRY_AFTER)


def _read_error(
    status: int, said: dict[str, Any], asked: frozenset[Package], wait: float | None
) -> Reading:
    """Read an HTTP error; both of Twilio's forms name the code alike."""
    table = code_table()
    code = _as_code(said.get("code"))
    message = said.get("message") or said.get("detail")
    rule = table.known("http", code)
    if rule is None:
        paid = tuple(package for package in PAID_PACKAGES if package in asked)
        rule = table.known("package", code)
        if rule is not None and rule.klass in _PACKAGE_CLASSES and paid:
            return _package_error(rule, code, status, asked, paid, wait)
        rule = table.fallback("http", status)
        unknown = code is not None or rule.loud
        problem = _problem(
            rule, None, code=code, status=status, unknown=unknown, message=str(message or "")
        )
    else:
        problem = _problem(rule, None, code=code, status=status)
    return _whole_call(asked, problem, wait)


def _package_error(
    rule: Rule,
    code: int | None,
    status: int,
    asked: frozenset[Package],
    paid: tuple[Package, ...],
    wait: float | None,
) -> Reading:
    """Read a package's error that came as the error of the whole call.

    It is about every package that was paid for; `basic` then just has no answer yet.
    """
    problems = [_problem(rule, package, code=code, status=status) for package in paid]
    if Package.BASIC in asked:
        silent = code_table().kind("package", "not-answered")
        problems.append(_problem(silent, Package.BASIC, status=status))
    return Reading(asked, {}, tuple(problems), wait, _billed(asked, dict.fromkeys(paid, rule)))


class _Answered:
    """Reads an HTTP 200 about the right number, package by package."""

    def __init__(
        self,
        found: dict[str, Any],
        asked: frozenset[Package],
        at: datetime,
        generation: int,
        turn: int,
    ) -> None:
        self._found = found
        self._asked = asked
        self._at = at
        self._generation = generation
        self._turn = turn
        self._table = code_table()
        self._answers: Answers = {}
        self._problems: list[Problem] = []
        self._billed: dict[Package, Billed] = {}

    def reading(self) -> Reading:
        valid: bool = self._found["valid"]
        data = {"valid": valid} | {name: self._found.get(name) for name in _BASIC_FIELDS}
        self._answers[Package.BASIC] = self._answer(data, "no")
        for package in PAID_PACKAGES:
            if package in self._asked:
                self._read_package(package, self._found.get(package), valid=valid)
        if Package.BASIC in self._asked:
            self._billed[Package.BASIC] = "no"
        return Reading(self._asked, self._answers, tuple(self._problems), None, self._billed)

    def _read_package(self, package: Package, said: Any, *, valid: bool) -> None:
        if not isinstance(said, dict):
            if valid:
                self._complain(self._table.kind("package", "not-answered"), package, None)
            else:
                self._billed[package] = self._table.fallback("valid", _OK).billed
            return
        data = {name: value for name, value in said.items() if name != "error_code"}
        error = said.get("error_code")
        if error is None:
            self._answers[package] = self._answer(data, "yes")
            self._billed[package] = "yes"
            return
        code = _as_code(error)
        rule = self._table.known("package", code)
        if rule is not None and rule.klass is Class.PERMANENT_PACKAGE:
            self._answers[package] = Answer(
                status="failed",
                code=code,
                reason=rule.reason,
                data=data,
                looked_up_at=self._at,
                generation=self._generation,
                turn=self._turn,
                billed=rule.billed,
                permanent=True,
            )
        self._complain(
            rule or self._table.fallback("package", _OK), package, code, unknown=rule is None
        )

    def _complain(
        self, rule: Rule, package: Package, code: int | None, *, unknown: bool = False
    ) -> None:
        self._problems.append(_problem(rule, package, code=code, status=_OK, unknown=unknown))
        self._billed[package] = rule.billed

    def _answer(self, data: dict[str, Any], billed: Billed) -> Answer:
        return Answer(
            status="ok",
            data=data,
            looked_up_at=self._at,
            generation=self._generation,
            turn=self._turn,
            billed=billed,
        )


def _whole_call(asked: frozenset[Package], problem: Problem, wait: float | None = None) -> Reading:
    billed: dict[Package, Billed] = dict.fromkeys(asked, problem.billed)
    if Package.BASIC in asked:
        billed[Package.BASIC] = "no"
    return Reading(asked, {}, (problem,), wait, billed)


def _billed(asked: frozenset[Package], rules: dict[Package, Rule]) -> dict[Package, Billed]:
    return {package: rules[package].billed if package in rules else "no" for package in asked}


def _problem(
    rule: Rule,
    package: Package | None,
    *,
    code: int | None = None,
    status: int | None = None,
    unknown: bool = False,
    message: str = "",
) -> Problem:
    origin = ", ".join(
        part
        for part in (
            "" if code is None else f"code {code}",
            "" if status is None else f"HTTP {status}",
        )
        if part
    )
    shown = mask_text(message[:_SHOWN_MESSAGE])
    return Problem(
        package=package,
        klass=rule.klass,
        reason=rule.reason,
        detail=rule.means + (f" ({origin})" if origin else "") + (f" {shown}" if shown else ""),
        code=code,
        status=status,
        cap=rule.cap,
        unknown=unknown,
        billed=rule.billed,
    )


def _as_code(value: Any) -> int | None:
    """A code as Twilio writes it, a number or its text; None if it is neither."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value[:9])
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _without_nulls(value: Any) -> Any:
    """JSON without the one character that PostgreSQL's text cannot hold."""
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    if isinstance(value, dict):
        return {_without_nulls(name): _without_nulls(item) for name, item in value.items()}
    return value
