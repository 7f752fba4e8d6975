"""What came of a job by package and by reason, added up from counted groups; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import BaseModel, Field

from services.contracts.packages import Package
from services.contracts.turns import State

AnswerStatus = Literal["ok", "failed", "exhausted"]


class Failure(BaseModel):
    """Why a package brought no answer, and for how many contacts."""

    status: AnswerStatus
    code: int | None = Field(description="Twilio's error code, if it gave one.")
    reason: str | None
    count: int


class PackageOutcome(BaseModel):
    """What came of one package over all contacts of a job."""

    package: Package
    ok: int = 0
    failed: int = 0
    exhausted: int = 0
    reused: int = Field(default=0, description="Answers that needed no call of this contact.")
    asked: int = Field(default=0, description="Answers that came of calls for this job.")
    billed_yes: int = Field(default=0, description="Of those asked: billed.")
    billed_no: int = Field(default=0, description="Of those asked: free, or not billed.")
    billed_unknown: int = Field(default=0, description="Of those asked: nobody can tell.")
    failures: list[Failure] = Field(default_factory=list)


class Reason(BaseModel):
    """Why contacts are where they are."""

    state: State
    reason: str | None = Field(
        description="dead: of the dead letter; invalid: what is wrong with the number; "
        "retrying: the last failure; parked: the holds."
    )
    count: int


def package_outcomes(groups: Iterable[Mapping[str, Any]]) -> list[PackageOutcome]:
    """Add up answers that were counted by package, status, code, reason, reuse and bill."""
    sums: dict[str, dict[str, int]] = {}
    failures: dict[str, dict[tuple[str, str | None, str | None], int]] = {}
    for group in groups:
        package, status, n = group["package"], group["status"], group["n"]
        counts = sums.setdefault(package, {})
        for name in (status, "reused" if group["reused"] else "asked"):
            counts[name] = counts.get(name, 0) + n
        if not group["reused"]:
            billed = f"billed_{group['billed'] or 'unknown'}"
            counts[billed] = counts.get(billed, 0) + n
        if status != "ok":
            why = (status, group["code"], group["reason"])
            of_package = failures.setdefault(package, {})
            of_package[why] = of_package.get(why, 0) + n
    return [
        PackageOutcome.model_validate(
            {
                "package": package,
                **counts,
                "failures": [
                    {"status": status, "code": code, "reason": reason, "count": n}
                    for (status, code, reason), n in sorted(
                        failures.get(package, {}).items(), key=lambda item: -item[1]
                    )
                ],
            }
        )
        for package, counts in sorted(sums.items())
    ]
