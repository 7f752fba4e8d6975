from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from aiokafka.structs import ConsumerRecord
from pydantic import ValidationError

from services.contracts.messages import DeadLetter, LookupRequest, RejectedContact
from services.contracts.packages import Package
from services.ingest.accept import Terms, accept, reject, with_basic
from services.ingest.inbound_contact import Defaults, judge
from services.ingest.parse import BadRow, Row
from services.ingest.settings import IngestSettings
from services.ingest.tally import Tally

TERMS = Terms(
    job_id=UUID(int=1),
    source="shop",
    account="main",
    packages=(Package.BASIC, Package.CALLER_NAME),
    fresh_for=60.0,
    content="c" * 64,
    accepted_at=datetime(2026, 1, 1, tzinfo=UTC),
)


def test_a_number_becomes_a_request_with_the_jobs_terms() -> None:
    """The contact carries number, country, reference, place and what the job asks."""
    request = accept(Row(7, "(202) 555-0123", "US", "c7"), "Phone", TERMS)
    assert isinstance(request, LookupRequest)
    assert (request.phone, request.country, request.reference) == ("+12025550123", "US", "c7")
    assert (request.row, request.column, request.source) == (7, "Phone", "shop")
    assert request.packages == TERMS.packages
    assert request.fresh_for == {Package.BASIC: 60.0, Package.CALLER_NAME: 60.0}
    assert (request.generation, request.turn, request.accepted_at) == (0, 1, TERMS.accepted_at)


def test_the_same_row_of_the_same_job_makes_the_same_record() -> None:
    """Publishing again, after a crash, changes nothing; another row is another request."""
    row = Row(7, "+12025550123", None, None)
    assert accept(row, "Phone", TERMS) == accept(row, "Phone", TERMS)
    other = accept(Row(8, "+12025550123", None, None), "Phone", TERMS)
    first = accept(row, "Phone", TERMS)
    assert isinstance(first, LookupRequest)
    assert isinstance(other, LookupRequest)
    assert first.request_id != other.request_id


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (Row(3, "202 555 01", "US", None), "too-short"),
        (Row(3, "0301234567", None, None), "no-country"),
        (Row(3, "", None, None), "empty"),
        (BadRow(3, "Phone", "too-many-cells", "+12025550123"), "too-many-cells"),
    ],
)
def test_what_cannot_be_a_number_is_rejected_with_its_place_and_no_digits(
    row: Row | BadRow, reason: str
) -> None:
    """A rejected row says row, column and reason; of its text only a masked shape is kept."""
    rejected = accept(row, "Phone", TERMS)
    assert isinstance(rejected, RejectedContact)
    assert (rejected.row, rejected.column, rejected.reason) == (3, "Phone", reason)
    assert "5550" not in rejected.text
    assert "1234" not in rejected.text


def test_a_fault_of_our_own_is_a_rejected_row() -> None:
    """A row that our code fails on is turned away by name, its text masked too."""
    rejected = reject(Row(3, "+12025550123", None, None), "internal-error", "Phone", TERMS)
    assert (rejected.reason, rejected.text) == ("internal-error", "+12*******23")


def test_a_long_heading_does_not_swell_every_record() -> None:
    """A heading of any length leaves each record small, and ids still tell columns apart."""
    long = "Phone" * 1000
    request = accept(Row(7, "+12025550123", None, None), long, TERMS)
    assert isinstance(request, LookupRequest)
    assert len(request.column or "") == 128


@pytest.mark.parametrize(
    ("asked", "got"),
    [
        ([], ["basic"]),
        (["caller_name"], ["basic", "caller_name"]),
        (
            ["caller_name", "line_type_intelligence", "caller_name"],
            ["basic", "line_type_intelligence", "caller_name"],
        ),
    ],
)
def test_basic_is_always_asked_and_the_order_is_one(asked: list[str], got: list[str]) -> None:
    """The same packages in any order, and named twice, are the same question."""
    assert with_basic(map(Package, asked)) == tuple(map(Package, got))


def test_duplicates_are_accepted_rows_whose_number_came_before() -> None:
    """Of n rows with one number n - 1 are duplicates; rejected rows are none."""
    tally = Tally()
    for row, text in enumerate(["+12025550123", "+12025550123", "+4930901820", "12", "12"]):
        tally.note(accept(Row(row, text, "US", None), "Phone", TERMS))
    counts = tally.counts()
    assert (counts.accepted, counts.rejected, counts.duplicates) == (3, 2, 1)
    assert tally.rejected == {"too-short": 2}


def _inbound(contact: bytes, **settings: Any) -> LookupRequest | DeadLetter:
    known = IngestSettings(**settings)
    defaults = Defaults(known.default_account, known.nameable_accounts, (Package.BASIC,), 60.0)
    record = ConsumerRecord(
        "contacts.inbound", 0, 0, 0, 0, None, contact, None, 0, len(contact), ()
    )
    return judge(record, defaults, TERMS.accepted_at)


@pytest.mark.parametrize(
    ("named", "account"),
    [(b"", "main"), (b', "account": "main"', "main"), (b', "account": "second"', "second")],
)
def test_an_upstream_contact_may_name_the_accounts_of_the_settings(
    named: bytes, account: str
) -> None:
    """DEFAULT_ACCOUNT holds without a name; it and those of ACCOUNTS may be named."""
    request = _inbound(
        b'{"phone": "+12025550123"' + named + b"}", default_account="main", accounts="second,third"
    )
    assert isinstance(request, LookupRequest)
    assert request.account == account


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (b"default", "account: 'default' is neither DEFAULT_ACCOUNT nor among ACCOUNTS of ingest"),
        (b"a12025550123", "account: 'a12***23' is neither DEFAULT_ACCOUNT nor among ACCOUNTS"),
        (b"No Such", "account: is no account's name"),
    ],
)
def test_an_upstream_contact_of_any_other_account_is_a_dead_letter(name: bytes, said: str) -> None:
    """It says what is wrong; the name stands there only if it could be one, digits masked."""
    letter = _inbound(
        b'{"phone": "+12025550123", "account": "' + name + b'"}', default_account="main"
    )
    assert isinstance(letter, DeadLetter)
    assert letter.reason == "bad-inbound"
    assert letter.detail.startswith(said)


@pytest.mark.parametrize(
    ("text", "accounts"),
    [("", ()), ("second", ("second",)), (" second, third ,", ("second", "third"))],
)
def test_accounts_are_names_with_commas(text: str, accounts: tuple[str, ...]) -> None:
    """ACCOUNTS is a list in one text; none is the default."""
    settings = IngestSettings(accounts=text)
    assert settings.accounts == accounts
    assert settings.nameable_accounts == {"default", *accounts}


def test_accounts_are_checked_when_ingest_starts() -> None:
    """What no account can be called is a wrong setting."""
    with pytest.raises(ValidationError, match="accounts"):
        IngestSettings(accounts="second,No Such")
