"""The records on Kafka, each a frozen model that says its kind and version.

Readers ignore fields they do not know; within a version fields are only added, with
defaults. A breaking change is a new version, lifted to the newest by `codec`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)

from services.contracts.packages import Answer, Package

E164 = Annotated[str, StringConstraints(pattern=r"^\+[1-9][0-9]{6,14}$")]
AccountName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]

#: Numbers that PostgreSQL's integer and bigint hold.
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
Position = Annotated[int, Field(ge=0, le=2**63 - 1)]
#: JSON has neither infinity nor NaN.
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]

#: Characters of a client's reference.
MAX_REFERENCE = 512
#: Texts of the client's own that ride along with a contact, and characters of a text's name.
MAX_EXTRA = 20
MAX_EXTRA_NAME = 128
#: Characters of all of them together, names and texts: they pass through every topic.
MAX_EXTRA_CHARS = 8000


class Message(BaseModel):
    """Base of every record: frozen, deaf to fields it does not know, bytes as base64."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        ser_json_bytes="base64",
        val_json_bytes="base64",
        hide_input_in_errors=True,
    )


class Contact(Message):
    """Who is asked about, for which job, and what is wanted; it never changes on its way."""

    request_id: UUID
    job_id: UUID
    #: The token's name for jobs over HTTP, the upstream system's for `contacts.inbound`.
    source: str
    account: AccountName
    phone: E164
    #: ISO 3166 region of the number, when there is one (+800 and the like have none).
    country: str | None = None
    #: Always with `basic`.
    packages: tuple[Package, ...]
    #: The client's own name for the contact.
    reference: str | None = None
    #: Row of the file as a spreadsheet shows it, the header being row 1.
    row: Position | None = None
    #: Heading of the phone column.
    column: str | None = None
    accepted_at: AwareDatetime
    #: How old an answer from before `accepted_at` may be, in seconds; 0: none is taken.
    fresh_for: dict[Package, Seconds] = Field(default_factory=dict)
    #: Texts that come back with the result: columns of the file that the client asked to keep,
    #: by heading, or what an upstream system sent along.
    extra: dict[str, str] = Field(default_factory=dict)


class LookupRequest(Contact):
    """A contact put before lookup, or on its way back there (`contacts`, retry, parked, due)."""

    kind: Literal["lookup-request/1"] = "lookup-request/1"
    #: One more for each redrive.
    generation: Count = 0
    #: One more each time it is put before lookup; on `lookup.parked`, the turn that ended.
    turn: Count = 1
    #: Calls that failed for the contact's own sake, in this generation.
    attempts: Count = 0
    #: When the first of them failed, moved on by the time it was parked.
    failing_since: AwareDatetime | None = None
    #: The last failure's code or reason, for people.
    last_error: str | None = None
    #: What was answered so far; kept, not asked again.
    answers: dict[Package, Answer] = Field(default_factory=dict)
    #: On `lookup.parked`: the keys of `lookup.control` it waits for.
    waits_for: tuple[str, ...] = ()


class LookupResult(Contact):
    """What came of a contact: valid and answered, or not a number to Twilio."""

    kind: Literal["lookup-result/1"] = "lookup-result/1"
    generation: Count
    #: The turn it ended.
    turn: Count
    attempts: Count
    state: Literal["completed", "invalid"]
    answers: dict[Package, Answer]
    completed_at: AwareDatetime


class RejectedContact(Message):
    """A row that cannot be a number, on `contacts.rejected`."""

    kind: Literal["rejected-contact/1"] = "rejected-contact/1"
    rejection_id: UUID
    job_id: UUID
    source: str
    row: Position
    column: str | None
    reason: str
    #: What stood there, its digits masked.
    text: str
    rejected_at: AwareDatetime
    #: The whole row as it was read, not masked, to be given back to the sender; of several
    #: columns of numbers only this one's.
    cells: tuple[str, ...] | None = None
    #: True if cells were cut to keep this record small.
    cut: bool = False


def _decimal_as_it_stands(value: Any) -> Any:
    """Keep the `.0` or the exponent of a number: digits may be gone, which ingest must see."""
    return str(value) if isinstance(value, float) else value


def extra_chars(extra: Mapping[str, str | None]) -> int:
    """Characters of texts that ride along, their names included: at most `MAX_EXTRA_CHARS`."""
    return sum(len(name) + len(text or "") for name, text in extra.items())


def _bounded(extra: dict[str, str | None] | None) -> dict[str, str | None] | None:
    if extra and extra_chars(extra) > MAX_EXTRA_CHARS:
        raise ValueError(f"has over {MAX_EXTRA_CHARS} characters, names and texts together")
    return extra


class InboundContact(BaseModel):
    """What upstream systems send on `contacts.inbound`; only `phone` is needed."""

    model_config = ConfigDict(frozen=True, extra="ignore", coerce_numbers_to_str=True)

    phone: Annotated[str, BeforeValidator(_decimal_as_it_stands)] = Field(
        max_length=256, description="The number, best as +E.164."
    )
    country: str | None = Field(
        default=None, description="ISO 3166 region of a number written nationally."
    )
    id: str | None = Field(
        default=None,
        max_length=256,
        description="The sender's id: the same id, number and packages are asked once.",
    )
    source: str | None = Field(
        default=None, max_length=128, description="Who sends; the topic's name without it."
    )
    account: str | None = Field(default=None, description="The Twilio account to ask.")
    packages: tuple[str, ...] | None = Field(
        default=None, max_length=16, description="What to ask; the setting's default without it."
    )
    reference: str | None = Field(
        default=None, max_length=MAX_REFERENCE, description="Comes back with the result."
    )
    extra: Annotated[
        dict[Annotated[str, StringConstraints(max_length=MAX_EXTRA_NAME)], str | None] | None,
        Field(max_length=MAX_EXTRA),
        AfterValidator(_bounded),
    ] = Field(
        default=None,
        description=f"Up to {MAX_EXTRA} texts by name that come back with the result; together "
        f"up to {MAX_EXTRA_CHARS:,} characters.",
    )


DeadReason = Literal[
    "undecodable",  # bytes that are no record of ours
    "internal-error",  # our own code failed on it
    "number-not-found",  # Twilio: 20404, confirmed once
    "bad-request",  # Twilio refused the request for this number alone
    "attempts-exhausted",
    "age-exhausted",
    "not-a-number",  # inbound: the phone cannot be a number
    "bad-inbound",  # inbound: JSON, but not a contact
]


class DeadLetter(Message):
    """A record that goes no further, whole enough to be put back exactly as it was."""

    kind: Literal["dead-letter/1"] = "dead-letter/1"
    dead_letter_id: UUID
    reason: DeadReason
    #: For people; numbers masked.
    detail: str
    original_topic: str
    original_partition: Count
    original_offset: Position
    original_timestamp: AwareDatetime | None = None
    original_key: bytes | None = None
    original_value: bytes | None = None
    original_headers: tuple[tuple[str, bytes], ...] = ()
    #: True if the original's key or value was cut to keep this record within the broker's limit.
    truncated: bool = False
    attempts: Count = 0
    first_failed_at: AwareDatetime
    last_failed_at: AwareDatetime
    #: The request as far as it could be read, with the answers already paid.
    request: LookupRequest | None = None


class ControlState(Message):
    """One cause for which an account, a package of it, or a job is held (`lookup.control`)."""

    kind: Literal["control-state/1"] = "control-state/1"
    key: str
    held: bool
    why: str
    by: str
    at: AwareDatetime


AnyMessage = LookupRequest | LookupResult | RejectedContact | DeadLetter | ControlState
