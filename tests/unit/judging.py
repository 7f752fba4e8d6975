"""Rows judged as those of a job, and read back as the records they become."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from services.contracts.codec import decode
from services.contracts.messages import LookupRequest, RejectedContact
from services.contracts.packages import Package
from services.ingest.accept import Accepted, Judge, Terms
from services.ingest.parse import Contacts

#: What a job asks for that has chosen nothing.
TERMS = Terms(
    job_id=UUID(int=1),
    source="shop",
    account="main",
    packages=(Package.BASIC,),
    fresh_for=0.0,
    content="c" * 64,
    sheet="",
    accepted_at=datetime(2026, 1, 1, tzinfo=UTC),
)


def records_of(contacts: Contacts) -> Iterator[LookupRequest | RejectedContact]:
    """The record of each row, as it is read: what ends the file is raised after those before it."""
    columns = contacts.columns
    judge = Judge(replace(TERMS, phones=columns.phones, kept=columns.kept))
    for row in contacts.rows():
        outcome = judge.judge(row)
        if isinstance(outcome, Accepted):
            yield decode(outcome.value, LookupRequest)
        else:
            yield decode(outcome.value, RejectedContact)
