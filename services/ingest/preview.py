"""A dry run: what would become of a file's contacts. Needs neither Kafka nor PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Literal

from pydantic import BaseModel, Field

from services.contracts.reject_reasons import SENTENCES, RejectReason
from services.ingest.accept import phone_of
from services.ingest.columns import Column
from services.ingest.found import FoundFile, found_in
from services.ingest.given_back import kept_of
from services.ingest.options import Options
from services.ingest.parse import BadRow, Row, open_contacts
from services.ingest.phone import Accept, Phone
from services.ingest.submissions import BusyError
from services.ingest.tables.table import Source
from services.ingest.tally import Tally
from services.runtime.logs import get_logger

log = get_logger(__name__)

#: Contacts that are shown as they were read.
SHOWN = 10
#: Dry runs at work at a time, and those that wait besides.
_AT_WORK = 2
_TAKEN = 20
#: Rows judged before others get their turn.
_BATCH = 5_000


class RejectedFor(BaseModel):
    """Rows that would be rejected for one reason."""

    reason: RejectReason
    rows: int
    way_out: str = Field(description="What is wrong, and what to do.")


class ReadContact(BaseModel):
    """A contact as it was read; what stands in the file is shown as it is."""

    row: int
    column: str
    text: str = Field(description="What stands there for the number.")
    phone: str | None = Field(
        default=None, description="The number that it is read as, if it is taken."
    )
    country: str | None = Field(
        default=None, description="Of the number; as written, if it is not taken."
    )
    reference: str | None = None
    extra: dict[str, str] = Field(default={}, description="The columns to keep, by heading.")
    reason: RejectReason | None = Field(default=None, description="Why it is rejected, if it is.")


class DryRun(BaseModel):
    """What would become of a file; nothing was stored or published."""

    dry_run: Literal[True] = True
    accepted: int = Field(description="Contacts to look up, duplicates among them.")
    rejected: int = Field(description="Rows that cannot be a number.")
    duplicates: int = Field(
        description="Accepted contacts whose number stands in an earlier row; paid once."
    )
    reasons: list[RejectedFor] = Field(description="Rejected rows by reason, most first.")
    found: FoundFile
    contacts: list[ReadContact] = Field(description="The first ten, as they were read.")


class DryRuns:
    """All dry runs of this process."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(_AT_WORK)
        self._taken = 0

    async def run(self, file: Source, options: Options, *, is_json: bool) -> DryRun:
        """Read a whole file, and say what would become of it.

        Raises:
            ParseError: It cannot be taken.
            SpoolFullError: There is no room to unpack it.
            BusyError: There are too many.
        """
        if self._taken >= _TAKEN:
            raise BusyError
        self._taken += 1
        try:
            async with self._turns:
                return await _run(file, options, is_json=is_json)
        finally:
            self._taken -= 1


async def _run(file: Source, options: Options, *, is_json: bool) -> DryRun:
    contacts = await asyncio.to_thread(open_contacts, file, options, is_json=is_json)
    tally = Tally(file.scratch)
    shown: list[ReadContact] = []
    rows = contacts.rows()
    kept = contacts.columns.kept
    while await asyncio.to_thread(_judge, rows, options.accept, tally, shown, kept):
        pass
    counts = await asyncio.to_thread(tally.counts)
    return DryRun(
        accepted=counts.accepted,
        rejected=counts.rejected,
        duplicates=counts.duplicates,
        reasons=[
            RejectedFor(reason=reason, rows=count, way_out=SENTENCES[reason])
            for reason, count in tally.rejected.most_common()
        ],
        found=found_in(contacts),
        contacts=shown,
    )


def _judge(
    rows: Iterator[Row | BadRow],
    accept: Accept,
    tally: Tally,
    shown: list[ReadContact],
    kept: Sequence[Column],
) -> bool:
    """Judge some rows; tells whether there may be more."""
    count = 0
    for row in islice(rows, _BATCH):
        count += 1
        phone = _phone(row, accept)
        if isinstance(phone, Phone):
            tally.accept(phone.e164)
        else:
            tally.reject(phone)
        if len(shown) < SHOWN:
            shown.append(_shown(row, phone, kept))
    return count == _BATCH


def _phone(row: Row | BadRow, accept: Accept) -> Phone | RejectReason:
    """As publishing has it: a row on which our own code fails is rejected for that."""
    try:
        return row.reason if isinstance(row, BadRow) else phone_of(row, accept)
    except Exception as error:
        log.exception("a row could not be judged", row=row.number, error=type(error).__name__)
        return "internal-error"


def _shown(row: Row | BadRow, phone: Phone | RejectReason, kept: Sequence[Column]) -> ReadContact:
    shown = ReadContact(
        row=row.number,
        column=row.column,
        text=row.text if isinstance(row, BadRow) else row.phone_text,
    )
    if isinstance(row, Row):
        shown.country, shown.reference = row.country, row.reference
        shown.extra = kept_of(row.cells, kept)
    if isinstance(phone, Phone):
        shown.phone, shown.country = phone.e164, phone.country
    else:
        shown.reason = phone
    return shown
