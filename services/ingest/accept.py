"""Decides what becomes of a row of a file, and makes its record: a contact, or a rejected one. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from json.encoder import encode_basestring
from uuid import UUID

from services.contracts.codec import encode
from services.contracts.masking import mask_phone
from services.contracts.messages import LookupRequest, RejectedContact
from services.contracts.packages import Package
from services.contracts.reject_reasons import RejectReason
from services.ingest.columns import Column
from services.ingest.given_back import bounded, kept_of, only_number
from services.ingest.ids import rejection_id, request_ids
from services.ingest.parse import BadRow, Row
from services.ingest.phone import Accept, Phone, Rejection, normalise

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
    #: Of a workbook; empty for files that have none.
    sheet: str
    accepted_at: datetime
    accept: Accept = "valid"
    phones: tuple[Column, ...] = ()
    #: Columns that ride along.
    kept: tuple[Column, ...] = ()


# Not frozen: one is made for every row, and freezing triples what that costs.
@dataclass(slots=True)
class Accepted:
    """A `LookupRequest`, as bytes."""

    phone: str = field(repr=False)
    value: bytes = field(repr=False)


@dataclass(slots=True)
class Rejected:
    """A `RejectedContact`, as bytes."""

    reason: RejectReason
    value: bytes = field(repr=False)


def with_basic(packages: Iterable[Package]) -> tuple[Package, ...]:
    """Put packages into Twilio's order, each once; `basic` rides on every call."""
    asked = {Package.BASIC, *packages}
    return tuple(package for package in Package if package in asked)


def phone_of(row: Row, accept: Accept) -> Phone | RejectReason:
    """The number of a row, or why it has none."""
    phone = normalise(row.phone_text, row.country, accept)
    return phone.reason if isinstance(phone, Rejection) else phone


class Judge:
    """Makes the records of one job's rows; the same row always makes the same record."""

    def __init__(self, terms: Terms) -> None:
        self.job_id = terms.job_id
        self._terms = terms
        self._writers: dict[str, Callable[[Row, Phone], bytes]] = {}

    def judge(self, row: Row | BadRow) -> Accepted | Rejected:
        """Accept or reject one row."""
        if isinstance(row, BadRow):
            return self.reject(row, row.reason)
        phone = phone_of(row, self._terms.accept)
        if not isinstance(phone, Phone):
            return self.reject(row, phone)
        write = self._writers.get(row.column)
        if write is None:
            write = self._writers[row.column] = _writer(self._terms, row.column)
        return Accepted(phone.e164, write(row, phone))

    def reject(self, row: Row | BadRow, reason: RejectReason) -> Rejected:
        """Turn a row away, its text masked; `internal-error` is for a fault of our own code."""
        terms = self._terms
        if isinstance(row, BadRow):
            text, cells = row.text, row.cells
        else:
            text, cells = row.phone_text, only_number(row.cells, terms.phones, row.column)
        given_back, cut = bounded(cells)
        contact = RejectedContact(
            rejection_id=rejection_id(
                terms.job_id, terms.content, terms.sheet, row.number, row.column
            ),
            job_id=terms.job_id,
            source=terms.source,
            row=row.number,
            column=row.column[:_HEADING],
            reason=reason,
            text=mask_phone(text),
            rejected_at=terms.accepted_at,
            cells=given_back,
            cut=cut,
        )
        return Rejected(reason, encode(contact))


def _writer(terms: Terms, column: str) -> Callable[[Row, Phone], bytes]:
    """Give what writes the requests of a phone column.

    All but a few fields is the same in each, so the model writes one, and its text with holes
    serves for the others: a sixth of what a model for each would cost.
    """
    id_of = request_ids(terms.job_id, terms.content, terms.sheet, column)
    text = encode(
        LookupRequest(
            request_id=UUID(int=0),
            job_id=terms.job_id,
            source=terms.source,
            account=terms.account,
            phone="+10000000",
            packages=terms.packages,
            row=0,
            column=column[:_HEADING],
            accepted_at=terms.accepted_at,
            fresh_for=dict.fromkeys(terms.packages, terms.fresh_for),
        )
    ).decode()
    # Quotes within a string are escaped: outside its own place no field can read like this.
    template = (
        text.replace("%", "%%")
        .replace(f'"request_id":"{UUID(int=0)}"', '"request_id":"%s"', 1)
        .replace('"phone":"+10000000"', '"phone":"%s"', 1)
        .replace('"country":null', '"country":%s', 1)
        .replace('"reference":null', '"reference":%s', 1)
        .replace('"row":0', '"row":%d', 1)
        .replace('"extra":{}', '"extra":%s', 1)
    )
    names = [encode_basestring(column.heading) for column in terms.kept]

    def extra(cells: list[str]) -> str:
        texts = map(encode_basestring, kept_of(cells, terms.kept).values())
        return (
            "{" + ",".join(f"{name}:{text}" for name, text in zip(names, texts, strict=True)) + "}"
        )

    def write(row: Row, phone: Phone) -> bytes:
        return (
            template
            % (
                id_of(row.number),
                phone.e164,
                _json(phone.country),
                _json(row.reference),
                row.number,
                extra(row.cells) if names else "{}",
            )
        ).encode()

    return write


def _json(text: str | None) -> str:
    return "null" if text is None else encode_basestring(text)
