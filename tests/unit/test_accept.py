from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from aiokafka.structs import ConsumerRecord
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.contracts.codec import decode, encode
from services.contracts.messages import DeadLetter, LookupRequest, RejectedContact
from services.contracts.packages import Package
from services.contracts.reject_reasons import SENTENCES
from services.ingest.accept import Accepted, Judge, Rejected, Terms, with_basic
from services.ingest.ids import request_ids
from services.ingest.inbound_contact import Defaults, judge
from services.ingest.options import Options
from services.ingest.parse import BadRow, Row, read_contacts
from services.ingest.parse_error import ParseError
from services.ingest.settings import IngestSettings
from services.ingest.tables.table import Found, Table
from services.ingest.tally import Tally
from tests.unit import judging
from tests.unit.held_source import HeldScratch

TERMS = replace(judging.TERMS, packages=(Package.BASIC, Package.CALLER_NAME), fresh_for=60.0)


def row(number: int, text: str, country: str | None = None, reference: str | None = None) -> Row:
    return Row(number, "Phone", text, country, reference, [])


def request(row: Row, terms: Terms = TERMS) -> LookupRequest:
    outcome = Judge(terms).judge(row)
    assert isinstance(outcome, Accepted)
    return decode(outcome.value, LookupRequest)


def rejection(row: Row | BadRow) -> RejectedContact:
    outcome = Judge(TERMS).judge(row)
    assert isinstance(outcome, Rejected)
    return decode(outcome.value, RejectedContact)


def test_a_number_becomes_a_request_with_the_jobs_terms() -> None:
    """The contact carries number, country, reference, place and what the job asks."""
    made = request(row(7, "(202) 555-0123", "US", "c7"))
    assert (made.phone, made.country, made.reference) == ("+12025550123", "US", "c7")
    assert (made.row, made.column, made.source) == (7, "Phone", "shop")
    assert made.packages == TERMS.packages
    assert made.fresh_for == {Package.BASIC: 60.0, Package.CALLER_NAME: 60.0}
    assert (made.generation, made.turn, made.accepted_at) == (0, 1, TERMS.accepted_at)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(
    st.sampled_from(["+12025550123", "+80012345678", "+44 20 7946 0958"]),
    st.none() | TEXT,
    st.integers(0, 2**63 - 1),
    TEXT,
    TEXT,
)
def test_a_record_is_what_its_model_writes(
    text: str, reference: str | None, number: int, column: str, source: str
) -> None:
    """The record made from a template is, byte for byte, the one that the model would write."""
    terms = replace(TERMS, source=source)
    made = Judge(terms).judge(Row(number, column, text, None, reference, []))
    assert isinstance(made, Accepted)
    assert made.value == encode(
        LookupRequest(
            request_id=UUID(request_ids(TERMS.job_id, TERMS.content, "", column)(number)),
            job_id=TERMS.job_id,
            source=source,
            account="main",
            phone=made.phone,
            country={"+1": "US", "+8": None, "+4": "GB"}[text[:2]],
            packages=TERMS.packages,
            reference=reference,
            row=number,
            column=column,
            accepted_at=TERMS.accepted_at,
            fresh_for=dict.fromkeys(TERMS.packages, 60.0),
        )
    )


def test_the_same_row_of_the_same_job_makes_the_same_record() -> None:
    """Publishing again, after a crash, changes nothing; another row or column is another request."""
    first = row(7, "+12025550123")
    assert Judge(TERMS).judge(first) == Judge(TERMS).judge(first)
    judge = Judge(TERMS)
    places = [first, row(8, "+12025550123"), replace(first, column="Mobile"), row(9, "1")]
    ids = {
        decode(made.value, LookupRequest).request_id
        if isinstance(made, Accepted)
        else decode(made.value, RejectedContact).rejection_id
        for made in map(judge.judge, places)
    }
    assert len(ids) == 4


@pytest.mark.parametrize(
    ("contact", "reason"),
    [
        (row(3, "202 555 01", "US"), "too-short"),
        (row(3, "0301234567"), "no-country"),
        (row(3, ""), "empty"),
        (BadRow(3, "Phone", "too-many-cells", "+12025550123", []), "too-many-cells"),
    ],
)
def test_what_cannot_be_a_number_is_rejected_with_its_place_and_no_digits(
    contact: Row | BadRow, reason: str
) -> None:
    """A rejected row says row, column and reason; of its text only a masked shape is kept."""
    rejected = rejection(contact)
    assert (rejected.row, rejected.column, rejected.reason) == (3, "Phone", reason)
    assert "5550" not in rejected.text
    assert "1234" not in rejected.text


def test_a_fault_of_our_own_is_a_rejected_row() -> None:
    """A row that our code fails on is turned away by name, its text masked too."""
    made = Judge(TERMS).reject(row(3, "+12025550123"), "internal-error")
    rejected = decode(made.value, RejectedContact)
    assert (rejected.reason, rejected.text) == ("internal-error", "+12*******23")


def test_what_is_accepted_is_the_jobs_choice() -> None:
    """A possible number is taken by a job that asks for such, and by no other."""
    possible = row(3, "+44 1000 000000")
    assert rejection(possible).reason == "not-valid"
    assert request(possible, replace(TERMS, accept="possible")).phone == "+441000000000"


def test_a_long_heading_does_not_swell_every_record() -> None:
    """A heading of any length leaves each record small, and ids still tell columns apart."""
    made = request(replace(row(7, "+12025550123"), column="Phone" * 1000))
    assert len(made.column or "") == 128


CELLS = st.lists(
    st.sampled_from(["+12025550123", "2025550123", "n/a", "", " ", "é", "GB", '"', "1,2"])
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8),
    max_size=5,
)


@given(
    st.lists(CELLS, min_size=1, max_size=12),
    st.sampled_from([["Phone"], ["Phone", "Mobile"]]),
    st.sampled_from([None, "US"]),
)
def test_every_row_with_text_is_accepted_or_rejected(
    rows: list[list[str]], phones: list[str], country: str | None
) -> None:
    """Each row is one outcome, or one for each of its phone cells; each has an id of its own.

    Every rejection has a reason with a sentence, and reading the same again makes the same.
    """
    headings = ["Phone", "Mobile", "Country", "ID"]
    table = Table(
        Found("csv", compressed=False), lambda: iter(list(enumerate([headings, *rows], start=1)))
    )
    options = Options(phone_column=phones, default_country=country)

    def outcomes() -> list[Accepted | Rejected]:
        return list(map(Judge(TERMS).judge, read_contacts(table, options).rows()))

    filled = [cells for cells in rows if any(map(str.strip, cells))]
    if not filled:
        with pytest.raises(ParseError, match="no contacts"):
            outcomes()
        return
    made = outcomes()
    one_each = [
        1
        if len(phones) == 1 or any(map(str.strip, cells[4:]))
        else max(1, sum(1 for cell in cells[:2] if cell.strip()))
        for cells in filled
    ]
    assert len(made) == sum(one_each)
    assert len({one.value for one in made}) == len(made)
    assert all(one.reason in SENTENCES for one in made if isinstance(one, Rejected))
    assert made == outcomes()


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
    tally = Tally(HeldScratch)
    for phone in ("+12025550123", "+12025550123", "+4930901820"):
        tally.accept(phone)
    tally.reject("too-short")
    tally.reject("too-short")
    counts = tally.counts()
    assert (counts.accepted, counts.rejected, counts.duplicates) == (3, 2, 1)
    assert tally.rejected == {"too-short": 2}


@pytest.mark.parametrize("step", [1, 251])
def test_counts_are_exact_beyond_what_is_held_in_memory(step: int) -> None:
    """Most numbers lie in the file then, evenly or all in one share, and each is told apart."""
    numbers = [33_199_000_000 + step * n for n in range(100_000)]
    file = HeldScratch()
    tally = Tally(lambda: file)
    for number in (*numbers, *numbers[:700]):
        tally.accept(f"+{number}")
    assert len(file) >= 8 * (len(numbers) - 251 * 256)
    counts = tally.counts()
    assert (counts.accepted, counts.duplicates) == (100_700, 700)


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
