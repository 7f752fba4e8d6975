"""What the demo showed, and whether it adds up: from what the API says and the ledger. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from services.local.twilio.faults import Fault
from services.local.twilio.ledger import Call, repeats

#: States of a contact that are an end.
_ENDED = ("completed", "invalid", "dead")


@dataclass(frozen=True, slots=True)
class Expected:
    """What is right to make of a row: a number, or the reason to reject it."""

    reference: str
    e164: str | None
    wrong: str | None


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the summary is made from.

    `submitted` is ingest's answer, `job`, `contacts` and `rejected` are results', `calls`
    is the simulator's ledger; `prices` are per package and call, and `seconds` from sending
    the file until the job was complete.
    """

    rows: Sequence[Expected]
    submitted: Mapping[str, Any]
    job: Mapping[str, Any]
    contacts: Sequence[Mapping[str, Any]]
    rejected: Sequence[Mapping[str, Any]]
    calls: Sequence[Call]
    faults: Sequence[Fault]
    prices: Mapping[str, str]
    currency: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must add up; `seen` says by which figures it does, or does not."""

    rule: str
    holds: bool
    seen: str


@dataclass(frozen=True, slots=True)
class PackageLine:
    """What came of one package: counts of contacts, and of failures by code and reason."""

    package: str
    answered: int
    failed: int
    exhausted: int
    reused: int
    failures: Mapping[str, int]
    billed: int
    cost: str


@dataclass(frozen=True, slots=True)
class FaultLine:
    """A scripted fault: how many calls it struck, of how many numbers, and how these ended."""

    name: str
    recovers: bool
    calls: int
    numbers: int
    completed: int


@dataclass(frozen=True, slots=True)
class Summary:
    """The demo's figures; money is decimal text."""

    rows: int
    accepted: int
    rejected: int
    duplicates: int
    rejected_by_reason: Mapping[str, int]
    states: Mapping[str, int]
    packages: Sequence[PackageLine]
    dead_by_reason: Mapping[str, int]
    faults: Sequence[FaultLine]
    calls: int
    calls_by_outcome: Mapping[str, int]
    calls_per_contact: float
    #: How many numbers needed one call, two calls, ...
    numbers_by_calls: Mapping[int, int]
    retries: int
    cost_by_books: str
    cost_by_ledger: str
    currency: str
    seconds: float
    contacts_per_second: float
    checks: Sequence[Check] = field(default_factory=tuple)

    @property
    def adds_up(self) -> bool:
        """Whether every check holds."""
        return all(check.holds for check in self.checks)


def summarise(facts: Facts) -> Summary:
    """Add everything up."""
    per_number = Counter(call.number for call in facts.calls)
    packages = _packages(facts)
    accepted = int(facts.submitted["accepted"])
    books = sum((Decimal(line.cost) for line in packages), Decimal(0))
    ledger = sum((call.cost for call in facts.calls), Decimal(0))
    return Summary(
        rows=len(facts.rows),
        accepted=accepted,
        rejected=int(facts.submitted["rejected"]),
        duplicates=int(facts.submitted["duplicates"]),
        rejected_by_reason=_falling(Counter(row["reason"] for row in facts.rejected)),
        states={state: n for state, n in facts.job["counts"].items() if n},
        packages=packages,
        dead_by_reason={
            str(reason["reason"]): int(reason["count"])
            for reason in facts.job["reasons"]
            if reason["state"] == "dead"
        },
        faults=_fault_lines(facts),
        calls=len(facts.calls),
        calls_by_outcome=_falling(Counter(call.outcome for call in facts.calls)),
        calls_per_contact=len(facts.calls) / accepted if accepted else 0.0,
        numbers_by_calls=dict(sorted(Counter(per_number.values()).items())),
        retries=sum(n - 1 for n in per_number.values()),
        cost_by_books=str(books),
        cost_by_ledger=str(ledger),
        currency=facts.currency,
        seconds=facts.seconds,
        contacts_per_second=accepted / facts.seconds if facts.seconds else 0.0,
        checks=_checks(facts, books, ledger),
    )


def _packages(facts: Facts) -> list[PackageLine]:
    lines = []
    for outcome in facts.job["outcomes"]:
        failures: Counter[str] = Counter()
        for failure in outcome["failures"]:
            why = filter(None, (failure["reason"], failure["code"]))
            failures[" ".join(map(str, why))] += failure["count"]
        price = Decimal(facts.prices.get(outcome["package"], "0"))
        billed = outcome["billed_yes"] if price else 0
        lines.append(
            PackageLine(
                package=outcome["package"],
                answered=outcome["ok"],
                failed=outcome["failed"],
                exhausted=outcome["exhausted"],
                reused=outcome["reused"],
                failures=_falling(failures),
                billed=billed,
                cost=str(price * billed),
            )
        )
    return lines


def _fault_lines(facts: Facts) -> list[FaultLine]:
    ended = _clean_ends(facts.contacts)
    lines = []
    for fault in facts.faults:
        struck = [call for call in facts.calls if fault.name in call.faults]
        numbers = {call.number for call in struck}
        lines.append(
            FaultLine(
                name=fault.name,
                recovers=_recovers(fault),
                calls=len(struck),
                numbers=len(numbers),
                completed=len(numbers & ended),
            )
        )
    return [line for line in lines if line.calls]


def _checks(facts: Facts, books: Decimal, ledger: Decimal) -> list[Check]:
    accepted, rejected = int(facts.submitted["accepted"]), int(facts.submitted["rejected"])
    states = {state: int(n) for state, n in facts.job["counts"].items() if n}
    known, ended = sum(states.values()), sum(states.get(state, 0) for state in _ENDED)
    wanted = {row.e164 for row in facts.rows if row.e164 is not None}
    asked = {call.number for call in facts.calls}
    misread = _misread(facts)
    twice = repeats(facts.calls)
    struck = _recoverable(facts)
    left = struck - _clean_ends(facts.contacts)
    return [
        Check(
            "Every row of the file was accepted or rejected",
            len(facts.rows) == accepted + rejected,
            f"{len(facts.rows):,} = {accepted:,} + {rejected:,}",
        ),
        Check(
            "Every row was read as it is meant",
            not misread,
            f"{len(facts.contacts):,} numbers and {len(facts.rejected):,} rejections compared"
            + (f", wrong: {', '.join(misread[:5])}" if misread else ""),
        ),
        Check(
            "The states add up to the accepted contacts",
            accepted == known == len(facts.contacts),
            f"{accepted:,} = {' + '.join(f'{n:,} {state}' for state, n in states.items())}",
        ),
        Check(
            "Every accepted contact has its end",
            accepted == ended,
            f"{ended:,} of {accepted:,}",
        ),
        Check(
            "Every number was asked, and no other",
            asked == wanted,
            f"{len(asked & wanted):,} of {len(wanted):,}, {len(asked - wanted):,} others",
        ),
        Check(
            "No number was answered twice for the same package",
            not twice,
            f"{sum(twice.values()):,} answers more than needed",
        ),
        Check(
            "Every failure that passes was recovered from",
            not left,
            f"{len(struck) - len(left):,} of {len(struck):,} numbers",
        ),
        Check(
            "Our books equal Twilio's bill",
            books == ledger,
            f"{books} and {ledger} {facts.currency}",
        ),
    ]


def _misread(facts: Facts) -> list[str]:
    """References of rows that became something else than they should."""
    found = {contact["reference"]: contact["phone"] for contact in facts.contacts}
    expected = {row.reference: row.e164 for row in facts.rows if row.e164 is not None}
    wrong = [reference for reference, e164 in expected.items() if found.get(reference) != e164]
    wrong += sorted(found.keys() - expected.keys())
    reasons = Counter(row["reason"] for row in facts.rejected)
    meant = Counter(row.wrong for row in facts.rows if row.wrong is not None)
    return wrong + [f"rejected as {reason}" for reason in (reasons - meant) + (meant - reasons)]


def _recovers(fault: Fault) -> bool:
    return fault.times_per_number is not None


def _recoverable(facts: Facts) -> set[str]:
    """Numbers that were struck, and only by faults that pass."""
    passing = {fault.name for fault in facts.faults if _recovers(fault)}
    struck: dict[str, set[str]] = {}
    for call in facts.calls:
        if call.faults:
            struck.setdefault(call.number, set()).update(call.faults)
    return {number for number, names in struck.items() if names <= passing}


def _clean_ends(contacts: Iterable[Mapping[str, Any]]) -> set[str]:
    """Numbers all of whose contacts are completed, with no package given up on."""
    good: dict[str, bool] = {}
    for contact in contacts:
        clean = contact["state"] == "completed" and not any(
            package["status"] in {"exhausted", "owed"} for package in contact["packages"]
        )
        good[contact["phone"]] = good.get(contact["phone"], True) and clean
    return {phone for phone, clean in good.items() if clean}


def _falling(counts: Counter[str]) -> dict[str, int]:
    return dict(counts.most_common())
