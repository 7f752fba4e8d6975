"""How a file becomes rows of contacts, and what makes it no file at all."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.ingest.csv_rows import MAX_FIELD, MAX_ROW, read_rows
from services.ingest.parse import BadRow, Contacts, Options, Row, parse_csv, read_contacts
from services.ingest.parse_error import ParseCode, ParseError

NONE = Options()


def parse(text: str | bytes, options: Options = NONE) -> list[Row | BadRow]:
    data = text if isinstance(text, bytes) else text.encode()
    return list(parse_csv([data], options).rows)


def failure(data: bytes, options: Options = NONE) -> ParseError:
    with pytest.raises(ParseError) as caught:
        list(parse_csv([data], options).rows)
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
    assert parse(text) == [Row(2, "+44 1", "GB", "7")]


def test_says_which_columns_it_reads() -> None:
    """What was found can be shown to the sender."""
    columns = parse_csv([b"Name,Phone ,Country\nA,1,B\n"], NONE).columns
    assert (columns.phone.index, columns.phone.heading) == (1, "Phone")
    assert columns.country is not None
    assert columns.country.heading == "Country"
    assert columns.reference is None


@pytest.mark.parametrize(
    ("options", "row"),
    [
        (Options(phone_column="Mobile"), Row(2, "2", None, None)),
        (Options(phone_column=" work_PHONE "), Row(2, "1", None, None)),
        (Options(phone_column="Mobile", default_country="de"), Row(2, "2", "DE", None)),
        (
            Options(phone_column="Mobile", country_column="where", reference_column="x-no"),
            Row(2, "2", "GB", "9"),
        ),
    ],
)
def test_takes_columns_by_name(options: Options, row: Row) -> None:
    """A name given for a column beats what its heading means, and need not match in case."""
    assert parse("Work Phone,Mobile,Where,X No\n1,2,GB,9\n", options) == [row]


def test_default_country_stands_in_for_an_empty_cell() -> None:
    """The row's own country comes first, the default only where there is none."""
    rows = parse("Phone,Country\n1,GB\n2, \n3\n", Options(default_country="UK"))
    assert rows == [Row(2, "1", "GB", None), Row(3, "2", "GB", None), Row(4, "3", "GB", None)]


def test_rows_count_as_in_a_spreadsheet() -> None:
    """Quoted line breaks are inside a row, empty rows count, and are no contacts."""
    text = '\nPhone,Notes\n1,"a\n\nb\r\nc"\n\n , \n2,x\n\n'
    assert [(row.number, getattr(row, "phone_text", None)) for row in parse(text)] == [
        (3, "1"),
        (6, "2"),
    ]


def test_empty_cell_in_a_filled_row_is_a_contact() -> None:
    """A row with no number but other text goes on, to be rejected by name."""
    assert parse("Phone,Name\n,Somebody\n") == [Row(2, "", None, None)]


def test_bad_rows_stand_among_the_good() -> None:
    """A row that does not fit the header is rejected alone, and the rest is read."""
    text = "Name,Phone,ID\nA\nB,+44 1,5,surplus\nC,+44 2,6\nD,+44 3," + "x" * 513 + "\nE,+44 4\n"
    assert parse(text) == [
        BadRow(2, "Phone", "too-few-cells", ""),
        BadRow(3, "Phone", "too-many-cells", "+44 1"),
        Row(4, "+44 2", None, "6"),
        BadRow(5, "Phone", "reference-too-long", "+44 3"),
        Row(6, "+44 4", None, None),
    ]


@pytest.mark.parametrize(
    ("data", "code", "row", "said"),
    [
        (b"", "empty-file", None, "The file is empty"),
        (b"\xef\xbb\xbf\r\n , \r\n", "empty-file", None, "The file is empty"),
        (b"Phone,Country\r\n\r\n,\r\n", "no-rows", None, "no contacts"),
        (b"Name,City\nA,B\n", "no-phone-column", None, "'Name', 'City'"),
        (b"Phone,Mobile\n1,2\n", "ambiguous-column", None, "'Phone', 'Mobile'"),
        (b"Phone\nf\xfcr\n", "not-utf-8", 2, "Byte 8 "),
        (b"\xef\xbb\xbfPhone\n1\n\xc3", "not-utf-8", 3, "Byte 12 "),
        (b"\xff\xfeP\x00h\x00", "not-csv", None, "UTF-16"),
        (b"P\x00h\x00o\x00", "nul-bytes", 1, "NUL"),
        (b"Phone\n1\n2\x00\n", "nul-bytes", 3, "NUL"),
        (b"PK\x03\x04rest of it", "not-csv", None, ".xlsx"),
        (b"\xd0\xcf\x11\xe0\xa1", "not-csv", None, ".xls"),
        (b"\x1f\x8b\x08\x00", "not-csv", None, "gzip"),
        (b"%PDF-1.7", "not-csv", None, "PDF"),
        (b'Phone,Notes\n1,"a\n2,b\n', "unclosed-quote", 2, "Row 2"),
        (b'Phone\n1\n"2', "unclosed-quote", 3, "Row 3"),
        (b'Phone,Notes\n1,"a"b\n', "stray-quote", 2, "Row 2"),
        (b'Phone,Notes\n1,"a\n2,"b"\n', "stray-quote", 2, "Row 2"),
        (
            b"Phone,Notes\n1,x\n2," + b"x" * (MAX_FIELD + 1) + b"\n",
            "field-too-long",
            3,
            "column 'Notes'",
        ),
        (b"Phone,Notes\n1," + b"x" * 3 * MAX_FIELD, "field-too-long", 2, "Row 2"),
        (b"Phone,Notes\n1," + b"x," * MAX_ROW, "row-too-long", 2, "Row 2"),
        (b"Phone,Notes\n1," + b"x,\r" * 10 + b'"' + b"\n" * MAX_ROW, "field-too-long", 12, "Row"),
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
    """A first row that is a contact is told masked."""
    message = str(failure(b"Jo,+44 20 7946 0958\n"))
    assert "+44***58" in message
    assert "7946" not in message


def test_rows_before_a_fault_have_been_read() -> None:
    """Reading stops at the fault and not before it, so its row can be told."""
    contacts = parse_csv([b"Phone\n1\n2\n", b"3\n\xff\n"], NONE)
    assert [next(contacts.rows).number for _ in range(3)] == [2, 3, 4]
    with pytest.raises(ParseError, match="Row 5: Byte 13 "):
        next(contacts.rows)


def test_field_at_the_limit_is_read() -> None:
    """Exactly the longest cell allowed is a cell."""
    assert len(parse("Phone,Notes\n1," + "x" * MAX_FIELD + "\n")) == 1


@pytest.mark.parametrize("country", ["Germany", "D", "999", "ZZ"])
def test_default_country_is_checked(country: str) -> None:
    """A default country that is none is refused before any row is read."""
    with pytest.raises(ValidationError, match="two letters"):
        Options(default_country=country)


def test_options_not_given_may_be_blank() -> None:
    """An empty form field is an option not given."""
    assert Options(phone_column=" ", default_country="") == Options()


def test_any_format_gives_contacts() -> None:
    """Rows of cells from any reader are read the same."""
    contacts = read_contacts(iter([(4, ["Phone"]), (9, ["+44 1"])]), NONE)
    assert isinstance(contacts, Contacts)
    assert list(contacts.rows) == [Row(9, "+44 1", None, None)]


CELLS = st.text(
    alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8
)


@given(
    st.lists(st.tuples(CELLS, CELLS), max_size=6),
    st.sampled_from(",;\t|"),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
    st.integers(1, 7),
)
def test_chunks_may_be_cut_anywhere(
    rows: list[tuple[str, str]], delimiter: str, line_end: str, mark: bool, size: int
) -> None:
    """What a CSV writer wrote is read back, however the bytes come in."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator=line_end, quoting=csv.QUOTE_ALL)
    table = [("Phone", "Notes"), *rows]
    writer.writerows(table)
    data = text.getvalue().encode("utf-8-sig" if mark else "utf-8")
    chunks = [data[start : start + size] for start in range(0, len(data), size)]
    assert list(read_rows(chunks)) == [
        (number, list(cells)) for number, cells in enumerate(table, start=1)
    ]


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_rows_or_an_error(data: bytes, headed: bool) -> None:
    """Whatever is sent, it is rows or the one error, never another."""
    try:
        rows = parse((b"Phone,ID\n" if headed else b"") + data)
    except ParseError:
        return
    assert rows
