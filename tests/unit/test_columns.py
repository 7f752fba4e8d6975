"""Which columns hold the numbers, and whether there are headings, when headings do not say."""

from __future__ import annotations

import json

import pytest

from services.ingest.columns import Candidate, ColumnError, letters
from services.ingest.options import Options
from services.ingest.parse import Contacts, Row, open_contacts
from services.ingest.parse_error import ParseCode
from tests.unit.held_source import HeldSource

NUMBERS = [f"+1 202 555 01{number:02}" for number in range(40)]


def read(text: str, **options: object) -> Contacts:
    return open_contacts(
        HeldSource(text.encode()), Options.model_validate(options), is_json=text[:1] in "[{"
    )


def refused(text: str, **options: object) -> ColumnError:
    with pytest.raises(ColumnError) as caught:
        read(text, **options)
    return caught.value


def file(headings: str, *columns: list[str]) -> str:
    rows = zip(*columns, strict=True)
    return "\n".join([*filter(None, [headings]), *map(",".join, rows)])


NAMES = [f"Name {number}" for number in range(40)]
GAPS = [number if place % 4 == 0 else "" for place, number in enumerate(NUMBERS)]
DIRTY = [number if place % 3 else "n/a" for place, number in enumerate(NUMBERS)]
IDS = [f"{2025550100 + number}" for number in range(40)]
DATES = [f"2024-05-{1 + number % 30:02}" for number in range(40)]
NOTES = ["call +1 202 555 0199"] + ["+1 202 555 0123"] + [""] * 38


@pytest.mark.parametrize(
    ("headings", "columns", "options", "found"),
    [
        ("Who,Where to", [NAMES, NUMBERS], {}, "Where to"),
        ("Who,Where to", [NAMES, GAPS], {}, "Where to"),
        ("Who,Where to", [NAMES, DIRTY], {}, "Where to"),
        ("Who,Where to", [NAMES, IDS], {"default_country": "US"}, "Where to"),
        ("Born,Where to", [DATES, NUMBERS], {"default_country": "DE"}, "Where to"),
        ("Notes,Where to", [NOTES, NUMBERS], {}, "Where to"),
        ("ID,Where to", [IDS, NUMBERS], {"default_country": "US"}, "Where to"),
        ("Code,Where to", [IDS, NUMBERS], {}, "Where to"),
        ("Who,", [NAMES, NUMBERS], {"header": True}, "B"),
    ],
)
def test_the_column_of_numbers_is_found_by_what_it_holds(
    headings: str, columns: list[list[str]], options: dict[str, object], found: str
) -> None:
    """Where no heading tells, the one column of mostly valid numbers is taken, and this is said."""
    contacts = read(file(headings, *columns), **options)
    [column] = contacts.columns.phones
    assert (column.heading, column.by) == (found, "content")
    assert contacts.has_header
    assert [row.number for row in contacts.rows()][:2] == [2, 3]


def test_of_columns_of_one_name_the_one_with_the_numbers_is_read() -> None:
    """A column is found by its place: another one may be called the same."""
    [column] = read(file("Where,Where", NAMES, NUMBERS)).columns.phones
    assert (column.index, column.heading) == (1, "Where")


def test_the_rows_own_country_counts() -> None:
    """A number written nationally is one by the country that its row names."""
    text = file("Who,Land,Where to", NAMES, ["USA"] * 40, IDS)
    assert read(text).columns.phones[0].heading == "Where to"


@pytest.mark.parametrize(
    ("headings", "columns", "candidates"),
    [
        ("Phone,Mobile", [NUMBERS, NUMBERS], [("Phone", None), ("Mobile", None)]),
        ("Who,Here,There", [NAMES, NUMBERS, GAPS], [("Here", 40), ("There", 10)]),
    ],
)
def test_two_candidates_are_named(
    headings: str, columns: list[list[str]], candidates: list[tuple[str, int | None]]
) -> None:
    """With two columns that may be meant, the file is refused with both, and how sure each is."""
    error = refused(file(headings, *columns))
    assert error.code == "ambiguous-column"
    assert [(c.column, c.numbers) for c in error.candidates] == candidates
    assert all(repr(name) in str(error) for name, _ in candidates)
    assert "`phone_column`" in str(error)


def test_a_guess_can_be_forbidden() -> None:
    """With guess=false, what would have been guessed is named instead, its example masked."""
    error = refused(file("Who,Where to", NAMES, NUMBERS), guess=False)
    assert error.code == "uncertain-column"
    assert error.candidates == [Candidate("Where to", 40, 40, "+1 2** *** **00")]
    assert not read(file("Who,Phone", NAMES, NUMBERS), guess=False).columns.country


@pytest.mark.parametrize("columns", [[NAMES, NAMES], [NAMES, IDS], [DATES, DATES]])
def test_no_column_of_numbers_lists_what_there_is(columns: list[list[str]]) -> None:
    """Without any column of valid numbers the file is refused with the columns it has."""
    error = refused(file("Who,Where to", *columns))
    assert (error.code, error.columns, error.candidates) == (
        "no-phone-column",
        ["Who", "Where to"],
        (),
    )
    assert "'Who', 'Where to'" in str(error)


@pytest.mark.parametrize(
    ("text", "options", "phone"),
    [
        (file("", NAMES, NUMBERS), {}, "B"),
        (file("", NAMES, NUMBERS), {"header": False}, "B"),
        (file("", NAMES, NUMBERS), {"phone_column": "b"}, "B"),
        (file("", NUMBERS, ["mobile"] * 40), {}, "A"),
        (file("", NAMES, IDS), {"default_country": "US"}, "B"),
        (file("", NAMES, IDS), {"header": False, "phone_column": "B"}, "B"),
        ("A,(415) 555-0100,US\nB,+44 20 7946 0123,GB\n", {}, "B"),
        (file("Phone,Mobile", NUMBERS, NUMBERS), {"header": False, "phone_column": "B"}, "B"),
    ],
)
def test_a_file_without_headings(text: str, options: dict[str, object], phone: str) -> None:
    """Told so, or with a number in its first row, all rows are contacts, and columns have letters."""
    contacts = read(text, **options)
    assert contacts.columns.phones[0].heading == phone
    assert not contacts.has_header
    first = next(contacts.rows())
    assert (first.number, first.column) == (1, phone)


@pytest.mark.parametrize(
    ("text", "options"),
    [
        (file("Phone,Name", NUMBERS, NAMES), {}),
        (file("+1 202 555 0100,Name", NUMBERS, NAMES), {"header": True}),
        (file("+1 202 555 0100,Name", NUMBERS, NAMES), {"phone_column": "+1-202-555-0100"}),
        (file("2025550100,Telefon", NAMES, NUMBERS), {"default_country": "US"}),
    ],
)
def test_a_file_with_headings(text: str, options: dict[str, object]) -> None:
    """Headings are headings if said to be, if one is known, or if a column is named by one."""
    contacts = read(text, **options)
    assert contacts.has_header
    assert next(contacts.rows()).number == 2


def test_json_always_has_headings() -> None:
    """The keys of JSON are the headings, whatever they look like; to say otherwise is an error."""
    text = '{"+12025550100": "+12025550101"}'
    assert read(text).has_header
    with pytest.raises(ValueError, match="`header`"):
        read(text, header=False)


@pytest.mark.parametrize("key", ["", " "])
def test_keys_of_json_may_be_blank(key: str) -> None:
    """A blank heading has the column's letter, and no object is taken for the headings."""
    contacts = read(json.dumps([{key: number} for number in NUMBERS]))
    assert (contacts.headings, contacts.columns.phones[0].heading) == (["A"], "A")
    assert [row.number for row in contacts.rows()] == list(range(1, 41))


def test_each_of_several_columns_is_a_contact() -> None:
    """Named columns give a contact each, by their own names; empty cells beside one are none."""
    contacts = read(
        'Who,"Phone, work",Mobile\nA,+1 202 555 0101,+1 202 555 0102\nB,,+1 202 555 0103\n'
        "C,n/a,\nD, ,\nE\n",
        phone_column=["Mobile", "phone work", "mobile"],
    )
    assert [
        (row.number, row.column, row.phone_text if isinstance(row, Row) else row.reason)
        for row in contacts.rows()
    ] == [
        (2, "Mobile", "+1 202 555 0102"),
        (2, "Phone, work", "+1 202 555 0101"),
        (3, "Mobile", "+1 202 555 0103"),
        (4, "Phone, work", "n/a"),
        (5, "Mobile", "empty"),
        (6, "Mobile", "too-few-cells"),
    ]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"phone_column": ["Phone", "Fax"]}, "no-such-column"),
        ({"country_column": "Fax"}, "no-such-column"),
        ({"header": False, "phone_column": "C"}, "no-such-column"),
    ],
)
def test_a_name_that_is_none_lists_what_there_is(
    options: dict[str, object], code: ParseCode
) -> None:
    """A wrong name is refused with the names there are, for programs too."""
    error = refused("Phone,Mobile\n1,2\n", **options)
    assert error.code == code
    assert error.columns == (["A", "B"] if "header" in options else ["Phone", "Mobile"])


@pytest.mark.parametrize(
    ("index", "name"),
    [(0, "A"), (25, "Z"), (26, "AA"), (51, "AZ"), (52, "BA"), (701, "ZZ"), (702, "AAA")],
)
def test_letters_are_those_of_a_spreadsheet(index: int, name: str) -> None:
    """Columns without headings are called as every spreadsheet calls them."""
    assert letters(index) == name
