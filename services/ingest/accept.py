"""Decides what becomes of a row of a file: a contact to look up, or a rejected one. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from services.contracts.masking import mask_phone
from services.contracts.messages import LookupRequest, RejectedContact
from services.contracts.packages import Package
from services.ingest.ids import rejection_id, request_id
from services.ingest.parse import BadRow, Row
from services.ingest.phone import Rejection, normalise
from services.ingest.reasons import RejectReason

#: A CSV file has one sheet, without a name.
_SHEET = ""
#: Characters of a heading that stand in each record.
_HEADING = 128


@dataclass(frozen=True, slots=True)
class Terms:
    """What all contacts of a job have in common.

    `accepted_at` is the job's beginning, so that publishing a broken job again makes the
    same records.
    """

    job_id: UUID
    source: str
    account: str
    packages: tuple[Package, ...]
    #: Seconds, the same for every package.
    fresh_for: float
    #: `ids.content_key` of the file and its options.
    content: str
    accepted_at: datetime


def with_basic(packages: Iterable[Package]) -> tuple[Package, ...]:
    """Put packages into Twilio's order, each once; `basic` rides on every call."""
    asked = {Package.BASIC, *packages}
    return tuple(package for package in Package if package in asked)


def accept(row: Row | BadRow, column: str, terms: Terms) -> LookupRequest | RejectedContact:
    """Judge one row; `column` is the heading of the phone column."""
    if isinstance(row, BadRow):
        return reject(row, row.reason, column, terms)
    phone = normalise(row.phone_text, row.country)
    if isinstance(phone, Rejection):
        return reject(row, phone.reason, column, terms)
    return LookupRequest(
        request_id=request_id(terms.job_id, terms.content, _SHEET, row.number, column),
        job_id=terms.job_id,
        source=terms.source,
        account=terms.account,
        phone=phone.e164,
        country=phone.country,
        packages=terms.packages,
        reference=row.reference,
        row=row.number,
        column=column[:_HEADING],
        accepted_at=terms.accepted_at,
        fresh_for=dict.fromkeys(terms.packages, terms.fresh_for),
    )


def reject(
    row: Row | BadRow, reason: RejectReason | Literal["internal-error"], column: str, terms: Terms
) -> RejectedContact:
    """Turn a row away, its text masked; `internal-error` is for a fault of our own code."""
    return RejectedContact(
        rejection_id=rejection_id(terms.job_id, terms.content, _SHEET, row.number, column),
        job_id=terms.job_id,
        source=terms.source,
        row=row.number,
        column=column[:_HEADING],
        reason=reason,
        text=mask_phone(row.text if isinstance(row, BadRow) else row.phone_text),
        rejected_at=terms.accepted_at,
    )
