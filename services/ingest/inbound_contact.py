"""Decides what becomes of a record on `contacts.inbound`: a contact, or a dead letter. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from pydantic import TypeAdapter, ValidationError

from services.contracts.dead_letters import make_dead_letter
from services.contracts.masking import mask_phone, mask_text
from services.contracts.messages import (
    AccountName,
    DeadLetter,
    DeadReason,
    InboundContact,
    LookupRequest,
)
from services.contracts.packages import Package
from services.contracts.reject_reasons import SENTENCES
from services.ingest.accept import with_basic
from services.ingest.ids import inbound_job_id, inbound_record_id, inbound_request_id
from services.ingest.phone import Rejection, normalise

_SHOWN = 5
_ACCOUNT: TypeAdapter[str] = TypeAdapter(AccountName)
_PACKAGES = ", ".join(Package)
_SEND = 'Send an object in UTF-8, such as {"phone": "+..."}.'


class InboundRecord(Protocol):
    """A record as aiokafka gives it; `timestamp` in milliseconds, negative if there is none."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


@dataclass(frozen=True, slots=True)
class Defaults:
    """What holds for contacts that do not say, and which accounts they may name."""

    account: str
    #: With `account` among them.
    accounts: frozenset[str]
    packages: tuple[Package, ...]
    #: Seconds, for every package.
    fresh_for: float


@dataclass(frozen=True, slots=True)
class _Refused(Exception):  # noqa: N818 - never leaves this file
    reason: DeadReason
    detail: str = field(repr=False)


def judge(record: InboundRecord, defaults: Defaults, now: datetime) -> LookupRequest | DeadLetter:
    """Make a request of a record, or a dead letter that names what is wrong."""
    try:
        return _request(record, defaults, now)
    except _Refused as refused:
        return bury(record, refused.reason, refused.detail, now)


def bury(record: InboundRecord, reason: DeadReason, detail: str, now: datetime) -> DeadLetter:
    """Make the record's dead letter; `detail` holds no number."""
    return make_dead_letter(
        reason=reason,
        detail=detail,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        timestamp=_time(record.timestamp),
        key=record.key,
        value=record.value,
        headers=record.headers,
        failed_at=now,
    )


def _request(record: InboundRecord, defaults: Defaults, now: datetime) -> LookupRequest:
    contact = _contact(record.value or b"")
    packages = _packages(contact.packages) if contact.packages else defaults.packages
    source = contact.source or record.topic
    account = _account(contact.account, defaults.accounts) if contact.account else defaults.account
    phone = normalise(contact.phone, contact.country)
    if isinstance(phone, Rejection):
        raise _Refused(
            "not-a-number",
            f"phone: '{mask_phone(contact.phone)}': {phone.reason}: {SENTENCES[phone.reason]}",
        )
    if contact.id:
        request_id = inbound_request_id(source, contact.id, phone.e164, packages)
    else:
        request_id = inbound_record_id(
            record.topic, record.partition, record.offset, record.timestamp, record.value or b""
        )
    return LookupRequest(
        request_id=request_id,
        job_id=inbound_job_id(source),
        source=source,
        account=account,
        phone=phone.e164,
        country=phone.country,
        packages=packages,
        reference=contact.reference,
        accepted_at=now,
        fresh_for=dict.fromkeys(packages, defaults.fresh_for),
        extra={name: text for name, text in (contact.extra or {}).items() if text is not None},
    )


def _contact(value: bytes) -> InboundContact:
    if not value:
        raise _Refused("undecodable", f"The record has no value. {_SEND}")
    try:
        contact = InboundContact.model_validate_json(value)
    except ValidationError as error:
        problems = error.errors(include_input=False, include_url=False, include_context=False)
        if problems[0]["type"] == "json_invalid":
            # What the reader says is a place and what it looked for there, never what it found.
            raise _Refused("undecodable", f"{problems[0]['msg']}. {_SEND}") from None
        listed = "; ".join(
            f"{'.'.join(map(str, problem['loc'])) or 'record'}: {problem['msg']}"
            for problem in problems[:_SHOWN]
        )
        # The names within `extra` are the sender's, and may hold anything.
        raise _Refused("bad-inbound", mask_text(listed)) from None
    extra = "".join(f"{name}{text}" for name, text in (contact.extra or {}).items())
    for name, text in (
        ("source", contact.source),
        ("reference", contact.reference),
        ("extra", extra),
    ):
        if text is not None and "\0" in text:
            raise _Refused("bad-inbound", f"{name}: has a NUL character, which no database keeps")
    return contact


def _packages(names: tuple[str, ...]) -> tuple[Package, ...]:
    try:
        return with_basic(map(Package, names))
    except ValueError:
        raise _Refused("bad-inbound", f"packages: one is none of {_PACKAGES}") from None


def _account(name: str, nameable: frozenset[str]) -> str:
    if name in nameable:
        return name
    try:
        _ACCOUNT.validate_python(name)
    except ValidationError:
        raise _Refused(
            "bad-inbound", "account: is no account's name (a-z, 0-9, _ and -, up to 63)"
        ) from None
    raise _Refused(
        "bad-inbound",
        f"account: '{mask_text(name)}' is neither DEFAULT_ACCOUNT nor among ACCOUNTS of ingest",
    )


def _time(milliseconds: int) -> datetime | None:
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds >= 0 else None
    except (OverflowError, ValueError, OSError):
        return None
