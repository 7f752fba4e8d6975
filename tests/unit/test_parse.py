"""How a file becomes rows of contacts, and what makes it no file at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.contracts.reject_reasons import RejectReason
from services.ingest.columns import Column
from services.ingest.options import Options
from services.ingest.parse import BadRow, Contacts, Row, open_contacts, read_contacts
from services.ingest.parse_error import ParseCode, ParseError
from services.ingest.tables.table import MAX_FIELD, Found, Kind, Made, Nested, Table
from tests.unit.held_source import HeldSource

NONE = Options()


def contacts_of(data: str | bytes, options: Options = NONE) -> Contacts:
    data = data if isinstance(data, bytes) else data.encode()
    return open_contacts(HeldSource(data), options, is_json=False)


def parse(data: str | bytes, options: Options = NONE) -> list[Row | BadRow]:
    return list(contacts_of(data, options).rows())


def row(
    number: int,
    text: str,
    country: str | None = None,
    reference: str | None = None,
    column: str = "Phone",
) -> Row:
    return Row(number, column, text, country, reference, [])


def bad(number: int, reason: RejectReason, text: str, column: str = "Phone") -> BadRow:
    return BadRow(number, column, reason, text, [])


def failure(data: bytes, options: Options = NONE) -> ParseError:
    with pytest.raises(ParseError) as caught:
        parse(data, options)
    return caught.value


@pytest.mark.parametrize(
    "text",
    [
        "Phone,Country,Customer ID\n+44 1,GB,7\n",
        "\ufeffPhone,Country,Customer ID\r\n+44 1,GB,7",
        "phone_number;COUNTRY;customer_id\r\n+44 1;GB;7\r\n",
        "Ref\tcountry code\tMobile No.\n7\tGB\t+44 1\n",
        "id|Land|Telefonnummer\r7|GB|+44 1\r",
        '"Phone","Country","Customer ID"\n"+44 1"," GB ","7 "\n',
        "Phone,Country,Customer ID,,\n+44 1,GB,7,,\n",
        "Notes,Numéro de téléphone,Pays,Référence\nx,+44 1,GB,7\n",
        "電話番号,国,顧客番号\n+44 1,GB,7\n",
        "TELEFON NUMARASI;ÜLKE;ID\n+44 1;GB;7\n",
        "Phone 1,Country,Country Code,ID,Customer ID\n+44 1,United Kingdom,GB,0,7\n",
        '"Phone,\nnational",Tel,"Country",ID\nx,+44 1,GB,7\n',
    ],
)
def test_finds_delimiter_and_columns(text: str) -> None:
    """Delimiter, line ends and columns are found from the header, in many languages."""
    [contact] = parse(text)
    assert isinstance(contact, Row)
    assert (contact.number, contact.phone_text) == (2, "+44 1")
    assert (contact.country, contact.reference) == ("GB", "7")


def test_says_which_columns_it_reads() -> None:
    """What was found, and how, can be shown to the sender."""
    contacts = contacts_of("Name,Phone ,Where,ID\nA,1,B,2\n", Options(country_column="where"))
    columns = contacts.columns
    assert columns.phones == (Column(1, "Phone", "heading"),)
    assert columns.country == Column(2, "Where", "option")
    assert columns.reference == Column(3, "ID", "heading")
    assert (contacts.has_header, contacts.headings) == (True, ["Name", "Phone", "Where", "ID"])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (Options(phone_column="Mobile"), row(2, "2", column="Mobile")),
        (Options(phone_column=" work_PHONE "), row(2, "1", column="Work Phone")),
        (Options(phone_column="Mobile", default_country="de"), row(2, "2", "DE", column="Mobile")),
        (
            Options(phone_column="Mobile", country_column="where", reference_column="x-no"),
            row(2, "2", "GB", "9", column="Mobile"),
        ),
    ],
)
def test_takes_columns_by_name(options: Options, expected: Row) -> None:
    """A name given for a column beats what its heading means, and need not match in case."""
    assert parse("Work Phone,Mobile,Where,X No\n1,2,GB,9\n", options) == [expected]


def test_default_country_stands_in_for_an_empty_cell() -> None:
    """The row's own country comes first, the default only where there is none."""
    rows = parse("Phone,Country\n1,GB\n2, \n3\n", Options(default_country="UK"))
    assert rows == [row(2, "1", "GB"), row(3, "2", "GB"), row(4, "3", "GB")]


def test_rows_count_as_in_a_spreadsheet() -> None:
    """Quoted line breaks are inside a row, empty rows count, and are no contacts."""
    text = '\nPhone,Notes\n1,"a\n\nb\r\nc"\n\n , \n2,x\n\n'
    assert [(row.number, getattr(row, "phone_text", None)) for row in parse(text)] == [
        (3, "1"),
        (6, "2"),
    ]


def test_empty_cell_in_a_filled_row_is_rejected_by_name() -> None:
    """A row with no number but other text is a rejected one."""
    assert parse("Phone,Name\n,Somebody\n") == [bad(2, "empty", "")]


def test_bad_rows_stand_among_the_good() -> None:
    """A row that does not fit the header is rejected alone, and the rest is read."""
    text = "Name,Phone,ID\nA\nB,+44 1,5,surplus\nC,+44 2,6\nD,+44 3," + "x" * 513 + "\nE,+44 4\n"
    assert parse(text) == [
        bad(2, "too-few-cells", ""),
        bad(3, "too-many-cells", "+44 1"),
        row(4, "+44 2", reference="6"),
        bad(5, "reference-too-long", "+44 3"),
        row(6, "+44 4"),
    ]


def test_a_row_keeps_its_cells() -> None:
    """Whatever else stands in a row can ride along, and a rejected one comes back whole."""
    assert [contact.cells for contact in parse("Name,Phone\nA,+44 1\nB,,C\n")] == [
        ["A", "+44 1"],
        ["B", "", "C"],
    ]


@pytest.mark.parametrize(
    ("data", "code", "row", "said"),
    [
        (b"", "empty-file", None, "The file is empty"),
        (b"\xef\xbb\xbf\r\n , \r\n", "empty-file", None, "The file is empty"),
        (b"Phone,Country\r\n\r\n,\r\n", "no-rows", None, "no contacts"),
        (b"Name,City\nA,B\n", "no-phone-column", None, "'Name', 'City'"),
        (b"Phone,Mobile\n1,2\n", "ambiguous-column", None, "'Phone', 'Mobile'"),
    ],
)
def test_file_that_cannot_be_taken(
    data: bytes, code: ParseCode, row: int | None, said: str
) -> None:
    """A fault of the whole file has a stable code, its place, and a way out."""
    error = failure(data)
    assert (error.code, error.row) == (code, row)
    assert said in str(error)
    assert str(error).endswith(".")


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (Options(phone_column="Fax"), "no-such-column", "`phone_column`"),
        (Options(country_column="Fax"), "no-such-column", "`country_column`"),
        (Options(reference_column="Fax"), "no-such-column", "`reference_column`"),
        (Options(reference_column="note"), "ambiguous-column", "2 columns are called 'note'"),
    ],
)
def test_name_that_is_no_column(options: Options, code: ParseCode, said: str) -> None:
    """A wrong name is told with the option to correct."""
    error = failure(b"Phone,Note,Note\n1,2,3\n", options)
    assert error.code == code
    assert said in str(error)


def test_file_without_headings_shows_no_number() -> None:
    """A first row that is a contact, and was said to be headings, is told masked."""
    message = str(failure(b"Jo,020 7946 0958\n", Options(header=True)))
    assert "02***58" in message
    assert "7946" not in message


def test_field_at_the_limit_is_read() -> None:
    """Exactly the longest cell allowed is a cell."""
    assert len(parse("Phone,Notes\n1," + "x" * MAX_FIELD + "\n")) == 1


@pytest.mark.parametrize("country", ["Nowhere", "D", "999", "ZZ", "Kongo", "x" * 1000])
def test_default_country_is_checked(country: str) -> None:
    """A default country that is none is refused before any row is read."""
    with pytest.raises(ValidationError, match="two letters"):
        Options(default_country=country)


def test_options_not_given_may_be_blank() -> None:
    """An empty form field is an option not given."""
    assert Options(phone_column=" ", default_country="") == Options()


def table(*rows: list[str], kind: Kind = "csv") -> Table:
    return Table(Found(kind, compressed=False), lambda: iter(list(enumerate(rows, start=3))))


def test_any_format_gives_contacts() -> None:
    """Rows of cells from any reader are read the same, under the numbers it gives, again and again."""
    contacts = read_contacts(table(["Phone"], [""], ["+44 1"]), NONE)
    assert list(contacts.rows()) == list(contacts.rows()) == [row(5, "+44 1")]


def test_cells_that_are_no_text_are_no_numbers() -> None:
    """A date or a decimal is rejected as a number, and is kept as a reference as it is shown."""
    contacts = read_contacts(
        table(
            ["Phone", "Country", "ID"],
            [Made("2024-05-01"), "GB", "1"],
            ["+44 1", "GB", Made("12.5")],
            [Nested("[1]"), "GB", "1"],
            ["+44 1", Nested("{}"), "1"],
            ["+44 1", "GB", Nested("[]")],
        ),
        NONE,
    )
    assert list(contacts.rows()) == [
        bad(4, "spreadsheet-damaged", "2024-05-01"),
        row(5, "+44 1", "GB", "12.5"),
        bad(6, "nested-value", "[1]"),
        bad(7, "nested-value", "+44 1"),
        bad(8, "nested-value", "+44 1"),
    ]


@pytest.mark.parametrize(
    ("given", "options"),
    [
        ({"delimiter": "tab"}, Options(delimiter="\t")),
        ({"delimiter": "\t"}, Options(delimiter="\t")),
        ({"delimiter": ""}, NONE),
        ({"encoding": "CP1252"}, Options(encoding="windows-1252")),
        ({"encoding": "latin1"}, Options(encoding="windows-1252")),
        ({"encoding": "UTF8"}, Options(encoding="utf-8")),
        ({"encoding": "utf-16LE"}, Options(encoding="utf-16-le")),
        ({"default_country": "Deutschland"}, Options(default_country="DE")),
        ({"phone_column": ["Tel", " "]}, Options(phone_column="Tel")),
        ({"phone_column": " "}, NONE),
        ({"accept": "", "guess": ""}, NONE),
    ],
)
def test_what_a_file_is_can_be_said_in_usual_words(given: dict[str, str], options: Options) -> None:
    """A tab has a name, and an encoding all its names."""
    assert Options.model_validate(given) == options


@pytest.mark.parametrize(
    "given",
    [
        {"delimiter": ":"},
        {"encoding": "shift_jis"},
        {"accept": "anything"},
        {"header": "perhaps"},
        {"phone_column": [str(number) for number in range(17)]},
    ],
)
def test_what_no_file_may_be_is_refused(given: dict[str, str]) -> None:
    """An option that names what is not read is refused before the file is."""
    with pytest.raises(ValidationError):
        Options.model_validate(given)


def test_jobs_of_before_keep_their_name() -> None:
    """What was added to the options later is no part of a job's name unless it is given."""
    always = {"phone_column": None, "country_column": None, "reference_column": None}
    assert Options().named() == always | {"default_country": None}
    given = Options(phone_column="Tel", default_country="de", guess=False)
    assert given.named() == always | {"phone_column": "Tel", "default_country": "DE"}
    several = Options(phone_column=("Tel", "Fax"), header=False, accept="possible")
    assert several.named() == always | {
        "phone_column": ["Tel", "Fax"],
        "default_country": None,
        "header": False,
        "accept": "possible",
    }


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_rows_or_an_error(data: bytes, headed: bool) -> None:
    """Whatever is sent, it is rows or the one error, never another."""
    try:
        rows = parse((b"Phone,ID\n" if headed else b"") + data)
    except ParseError:
        return
    assert rows
