"""How an Excel workbook becomes rows of cells, and which of its sheets."""

from __future__ import annotations

import random
import zipfile
from datetime import date, datetime, time
from io import BytesIO
from typing import Any

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl.cell.rich_text import CellRichText, TextBlock
from openpyxl.cell.text import InlineFont

from services.ingest.parse_error import ParseCode, ParseError
from services.ingest.phone_text import read as read_phone
from services.ingest.tables import unpack
from services.ingest.tables.opening import Said
from services.ingest.tables.table import MAX_FIELD, MAX_ROW, Made
from tests.unit.held_source import opened, read
from tests.unit.workbooks import by_hand, packed, saved, workbook


def failure(data: bytes, said: Said | None = None) -> ParseError:
    with pytest.raises(ParseError) as caught:
        read(data, said or Said())
    return caught.value


def cell_of(data: bytes) -> str:
    """The one cell of a workbook."""
    ((_, (cell,)),) = read(data)
    return cell


# Cells ------------------------------------------------------------------------------------


def test_rows_and_cells_stand_where_the_spreadsheet_shows_them() -> None:
    """Empty rows are counted, empty cells before a full one are there."""
    rows: list[list[Any]] = [
        ["Phone", None, "Name"],
        [],
        [None, None, "A"],
        ["+44 1"],
        [" "],
        [None, "x"],
    ]
    assert read(workbook(rows)) == [
        (1, ["Phone", "", "Name"]),
        (3, ["", "", "A"]),
        (4, ["+44 1"]),
        (6, ["", "x"]),
    ]


def test_cells_right_of_the_headings_count_as_one() -> None:
    """A row with a note far to the right has too many cells, and takes no more memory."""
    rows: list[list[Any]] = [["Phone", "Name"], ["1", "A", None, "x", "y"], ["2", "B", " "]]
    assert read(workbook(rows)) == [
        (1, ["Phone", "Name"]),
        (2, ["1", "A", "x"]),
        (3, ["2", "B"]),
    ]


@pytest.mark.parametrize(
    ("value", "form", "text"),
    [
        ("+44 20 7946 0958", "@", "+44 20 7946 0958"),
        (" x\n<&>\u00fc \N{GRINNING FACE}", "General", " x\n<&>\u00fc \N{GRINNING FACE}"),
        (4155550100, "General", "4155550100"),
        (441782123456, "0.00E+00", "441782123456"),
        (441782123456, "[<=9999999]###\\-####;\\(###\\)\\ ###\\-####", "441782123456"),
        (441782123456, '"tel" 0', "441782123456"),
        (441782123456, "[Red]0", "441782123456"),
        (441782123456, "+0", "+441782123456"),
        (441782123456, '"+"0', "+441782123456"),
        (441782123456, "\\+#", "+441782123456"),
        (-5, "+0;-0", "-5"),
        (2079460958, "00000000000", "02079460958"),
        (42, "0", "42"),
    ],
)
def test_text_and_whole_numbers_keep_their_characters(value: Any, form: str, text: str) -> None:
    """A number comes as its digits, with the plus and the zeros that its format shows."""
    book = openpyxl.Workbook()
    book.active["A1"] = value  # type: ignore[index]  # a new workbook has a sheet with cells
    book.active["A1"].number_format = form  # type: ignore[index]  # the same
    cell = cell_of(saved(book))
    assert (type(cell), cell) == (str, text)


@pytest.mark.parametrize(
    ("stored", "text"),
    [
        ("4155550100", "4155550100"),
        ("4.41782123456E11", "441782123456"),
        ("4.4178212E11", "441782120000"),
        ("4155550100.0", "4155550100"),
        ("123456789012345", "123456789012345"),
    ],
)
def test_a_whole_number_comes_as_its_digits_however_it_is_stored(stored: str, text: str) -> None:
    """Programs may store an exponent; the number is the same."""
    cell = cell_of(by_hand(f'<row r="1"><c r="A1"><v>{stored}</v></c></row>'))
    assert (type(cell), cell) == (str, text)


@pytest.mark.parametrize(
    ("stored", "text"),
    [
        ("4155550100.5", "4155550100.5"),
        ("415.555", "415.555"),
        ("4.4178212345678912E+17", "4.417821234567891e+17"),
        ("nan", "nan"),
        ("1e999", "inf"),
        ("x", "x"),
    ],
)
def test_a_number_that_is_not_whole_is_no_phone_number(stored: str, text: str) -> None:
    """It is shown, and marked."""
    cell = cell_of(by_hand(f'<row r="1"><c r="A1"><v>{stored}</v></c></row>'))
    assert (type(cell), str(cell)) == (Made, text)
    assert Made.reason == "spreadsheet-damaged"


@pytest.mark.parametrize(
    ("form", "built_in", "stored", "text"),
    [
        ("General", 0, "4.41782E+11", "4.41782E+11"),
        ("0.00E+00", 0, "441782000000", "4.41782E+11"),
        ("General", 11, "441782000000", "4.41782E+11"),
        ("General", 48, "442000000000.0", "4.42E+11"),
        ("##0.0E+0", 0, "-441782000000", "-4.41782E+11"),
    ],
)
def test_a_number_that_was_rounded_by_its_exponent_is_marked(
    form: str, built_in: int, stored: str, text: str
) -> None:
    """What 4.41782E+11 in a CSV file becomes in a workbook is another number's digits."""
    data = by_hand(
        f'<row r="1"><c r="A1" s="{2 if built_in else 1}"><v>{stored}</v></c></row>',
        styles=STYLES.format(code=form, built_in=built_in),
    )
    cell = cell_of(data)
    assert (type(cell), str(cell)) == (Made, text)
    # And so it stays when the row comes back to be mended.
    assert read_phone(text) == "spreadsheet-damaged"


@pytest.mark.parametrize("since_1904", [False, True])
@pytest.mark.parametrize(
    ("value", "text"),
    [
        (date(2024, 5, 1), "2024-05-01"),
        (datetime(2024, 5, 1, 13, 30), "2024-05-01 13:30:00"),  # noqa: DTZ001 - as in a sheet
        (time(13, 30), "13:30:00"),
        (True, "TRUE"),
        (False, "FALSE"),
    ],
)
def test_dates_times_and_booleans_are_marked(value: Any, text: str, since_1904: bool) -> None:
    """They are told from numbers by their formats, in both calendars of Excel."""
    book = openpyxl.Workbook()
    if since_1904:
        book.epoch = datetime(1904, 1, 1)  # noqa: DTZ001 - as openpyxl names it
    book.active["A1"] = value  # type: ignore[index]  # a new workbook has a sheet with cells
    cell = cell_of(saved(book))
    assert (type(cell), str(cell)) == (Made, text)


STYLES = (
    '<numFmts><numFmt numFmtId="164" formatCode="{code}"/></numFmts>'
    '<cellStyleXfs><xf numFmtId="14"/></cellStyleXfs>'
    '<cellXfs><xf numFmtId="0"/><xf numFmtId="164"/><xf numFmtId="{built_in}"/></cellXfs>'
)


@pytest.mark.parametrize(
    ("code", "style", "stored", "text"),
    [
        ("d/m/yy", 1, "1", "1900-01-01"),
        ("d/m/yy", 1, "59", "1900-02-28"),
        ("d/m/yy", 1, "61", "1900-03-01"),
        ("[h]:mm", 1, "0.5", "12:00:00"),
        ("d/m/yy", 1, "1e300", "1e300"),
        ("d/m/yy", 1, "-1e9", "-1e9"),
        ("", 2, "45413", "2024-05-01"),
        ("", 0, "45413", "45413"),
        ("", 9, "45413", "45413"),
        ("&quot;day&quot; 0", 1, "45413", "45413"),
        ("[Magenta]0_d", 1, "45413", "45413"),
        ("General", 1, "45413", "45413"),
    ],
)
def test_formats_are_read_as_the_standard_says(
    code: str, style: int, stored: str, text: str
) -> None:
    """Built-in and own formats; letters in quotes and colours mean nothing."""
    data = by_hand(
        f'<row r="1"><c r="A1" s="{style}"><v>{stored}</v></c></row>',
        styles=STYLES.format(code=code, built_in=14),
    )
    assert cell_of(data) == text


@pytest.mark.parametrize(
    ("xml", "text"),
    [
        ('<c r="A1" t="str"><f>"+44 "&amp;1</f><v>+44 1</v></c>', "+44 1"),
        ('<c r="A1"><f>B1*2</f><v>4155550100</v></c>', "4155550100"),
        ('<c r="A1" t="e"><f>1/0</f><v>#DIV/0!</v></c>', "#DIV/0!"),
        ('<c r="A1" t="e"><v>#N/A</v></c>', "#N/A"),
        ('<c r="A1" t="inlineStr"><is><t>+44 1</t></is></c>', "+44 1"),
        ('<c r="A1" t="inlineStr"><is><r><t>+44</t></r><r><t> 1</t></r></is></c>', "+44 1"),
        ('<c r="A1" t="inlineStr"><is><t>x</t><rPh sb="0"><t>y</t></rPh></is></c>', "x"),
        ('<c t="inlineStr"><is><t>a_x000D__x000a_b_x0000_</t></is></c>', "a\r\nb_x0000_"),
        ('<c t="inlineStr"><is><t>a_x005F_x0041_b</t></is></c>', "a_x0041_b"),
        ('<c t="d"><v>2024-05-01T00:00:00</v></c>', "2024-05-01T00:00:00"),
    ],
)
def test_cells_of_other_types(xml: str, text: str) -> None:
    """A formula gives the value it had when the file was saved; an error its name."""
    assert cell_of(by_hand(f'<row r="1">{xml}</row>')) == text


def test_an_error_in_a_cell_is_a_damaged_number() -> None:
    """As in a CSV file that a spreadsheet wrote."""
    cell = cell_of(by_hand('<row r="1"><c t="e"><v>#REF!</v></c></row>'))
    assert read_phone(cell) == "spreadsheet-damaged"


def test_shared_strings_are_read_whole() -> None:
    """Rich text is one text, and how a name is read is no part of it."""
    strings = (
        "<si><r><t>+44</t></r><r><t> 1</t></r></si><si/>"
        '<si><t>\u6771</t><rPh sb="0" eb="1"><t>\u3072\u304c\u3057</t></rPh></si>'
    )
    cells = "".join(f'<c r="{column}1" t="s"><v>{n}</v></c>' for n, column in enumerate("ABC"))
    assert read(by_hand(f'<row r="1">{cells}</row>', strings=strings)) == [
        (1, ["+44 1", "", "\u6771"])
    ]


def test_rich_text_of_a_program_is_read() -> None:
    """As openpyxl writes it."""
    text = CellRichText("+44 ", TextBlock(InlineFont(b=True), "1"))
    assert cell_of(workbook([[text]])) == "+44 1"


def test_places_need_not_be_written() -> None:
    """Rows and cells without a place stand one after the other."""
    data = by_hand("<row><c><v>1</v></c><c><v>2</v></c></row><row/><row><c><v>3</v></c></row>")
    assert read(data) == [(1, ["1", "2"]), (3, ["3"])]


def test_other_names_of_the_same_things_are_known() -> None:
    """The strict form of the format, prefixes, absolute paths, any case of a part's name."""
    main = "http://purl.oclc.org/ooxml/spreadsheetml/main"
    office = "http://purl.oclc.org/ooxml/officeDocument/relationships"
    package = "http://schemas.openxmlformats.org/package/2006/relationships"
    data = packed(
        {
            "[Content_Types].xml": b"<Types/>",
            "_rels/.rels": f'<p:Relationships xmlns:p="{package}"><p:Relationship Id="a" '
            f'Type="{office}/officeDocument" Target="/book.xml"/></p:Relationships>'.encode(),
            "_rels/book.xml.rels": f'<Relationships xmlns="{package}"><Relationship Id="b" '
            f'Type="{office}/worksheet" Target="/Sheets/One.xml"/></Relationships>'.encode(),
            "book.xml": f'<x:workbook xmlns:x="{main}" xmlns:q="{office}"><x:sheets>'
            '<x:sheet name="S" q:id="b"/></x:sheets></x:workbook>'.encode(),
            "sheets/one.xml": f'<x:worksheet xmlns:x="{main}"><x:sheetData><x:row><x:c><x:v>1'
            "</x:v></x:c></x:row></x:sheetData></x:worksheet>".encode(),
        }
    )
    assert read(data) == [(1, ["1"])]


@pytest.mark.parametrize(
    ("xml", "text"),
    [
        ('<f>"+44 "&amp;B1</f>', '="+44 "&B1'),
        ("<f>B1*2</f><v/>", "=B1*2"),
        ('<f t="shared" si="0"/>', "="),
    ],
)
def test_a_formula_that_was_never_reckoned_is_marked(xml: str, text: str) -> None:
    """Programs that write workbooks may leave that to Excel; the row is not taken for a blank one."""
    cell = cell_of(by_hand(f'<row r="1"><c r="A1">{xml}</c></row>'))
    assert (type(cell), str(cell)) == (Made, text)


def test_rows_of_formulas_without_values_are_there() -> None:
    """As a program writes them that reckons nothing."""
    book = workbook([["Phone", "Name"], ["=1+1"], ["=1+1", "A"]])
    assert read(book)[1:] == [(2, ["=1+1"]), (3, ["=1+1", "A"])]


def test_a_formula_that_came_to_nothing_is_a_blank_cell() -> None:
    """Its value is there, and is no text."""
    xml = '<row r="1"><c r="A1" t="str"><f>""</f><v></v></c><c r="B1"><v>1</v></c></row>'
    assert read(by_hand(xml)) == [(1, ["", "1"])]


# Sheets -----------------------------------------------------------------------------------


def several() -> bytes:
    book = openpyxl.Workbook()
    book.active.title = "Empty"  # type: ignore[union-attr]  # a new workbook has a sheet
    for name, state in (("May", "visible"), ("June", "visible"), ("Secret", "hidden")):
        sheet = book.create_sheet(name)
        sheet.append(["Phone"])
        sheet.append([name])
        sheet.sheet_state = state
    return saved(book)


@pytest.mark.parametrize(
    ("named", "sheet"),
    [("May", "May"), (" june ", "June"), ("SECRET", "Secret"), ("Empty", "Empty")],
)
def test_a_sheet_is_read_by_its_name(named: str, sheet: str) -> None:
    """Without regard to case, as in Excel; hidden ones too if they are asked for."""
    table = opened(several(), Said(sheet=named))
    assert table.found.sheet == sheet
    expected = [] if sheet == "Empty" else [(1, ["Phone"]), (2, [sheet])]
    assert list(table.rows()) == expected


def test_several_sheets_are_a_choice_of_the_sender() -> None:
    """Those with rows that can be seen are named."""
    error = failure(several())
    assert error.code == "several-sheets"
    assert "'May', 'June'." in str(error)
    assert "`sheet`" in str(error)


def test_a_wrong_name_is_told_with_the_right_ones() -> None:
    """Hidden sheets are not given away."""
    error = failure(several(), Said(sheet="July"))
    assert error.code == "no-such-sheet"
    assert "'Empty', 'May', 'June'." in str(error)


@pytest.mark.parametrize("state", ["hidden", "veryHidden"])
def test_the_only_sheet_with_rows_is_read(state: str) -> None:
    """Empty ones, hidden ones and charts do not count."""
    book = openpyxl.Workbook()
    book.create_chartsheet("Chart")
    book.create_sheet("Contacts").append(["Phone"])
    hidden = book.create_sheet("Lists")
    hidden.append(["DE"])
    hidden.sheet_state = state
    assert opened(saved(book)).found.sheet == "Contacts"


def test_a_workbook_without_rows_is_empty() -> None:
    """Blanks are no text."""
    assert failure(workbook([[" ", None]])).code == "empty-file"


# What is damaged or hostile ----------------------------------------------------------------

DOCTYPE = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bb">]><a>&b;</a>'
ROW = '<row r="1"><c r="A1" t="inlineStr"><is><t>{}</t></is></c></row>'


@pytest.mark.parametrize(
    ("data", "code", "row", "says"),
    [
        (by_hand(changed={"xl/worksheets/s.xml": None}), "damaged-workbook", None, "missing"),
        (by_hand(changed={"xl/workbook.xml": None}), "damaged-workbook", None, "missing"),
        (by_hand(changed={"xl/workbook.xml": b"<a>"}), "damaged-workbook", None, "whole XML"),
        (by_hand(changed={"xl/workbook.xml": DOCTYPE}), "damaged-workbook", None, "document type"),
        (by_hand(changed={"_rels/.rels": b"<a/>"}), "damaged-workbook", None, "where"),
        (
            by_hand(changed={"xl/worksheets/s.xml": b"<a>" * 1000}),
            "damaged-workbook",
            None,
            "nested",
        ),
        (
            by_hand(changed={"xl/worksheets/s.xml": b'<a b="' + b"x" * 3_000_000 + b'"/>'}),
            "damaged-workbook",
            None,
            "does not end",
        ),
        (
            by_hand(changed={"xl/worksheets/s.xml": b"<!--" + b"x" * 3_000_000}),
            "damaged-workbook",
            None,
            "does not end",
        ),
        (by_hand('<row r="1"><c r="A1" t="s"><v>0</v></c></row>'), "damaged-workbook", 1, "not there"),
        (by_hand('<row r="1"><c t="s"><v>x</v></c></row>'), "damaged-workbook", 1, "Row 1"),
        (by_hand('<row r="2"/><row r="2"/>'), "damaged-workbook", None, "after row 2"),
        (by_hand('<row r="1048577"/>'), "damaged-workbook", None, "in order"),
        (by_hand('<row r="99999999999"/>'), "damaged-workbook", None, "in order"),
        (by_hand('<row r="1"><c r="XFE1"><v>1</v></c></row>'), "damaged-workbook", 1, "columns"),
        (by_hand('<row r="1"><c r="1A"><v>1</v></c></row>'), "damaged-workbook", 1, "no place"),
        (by_hand(ROW.format("x" * 200_000)), "field-too-long", 1, "Row 1"),
        (
            by_hand(ROW.format("") + '<row r="2"><c t="s"><v>0</v></c></row>',
                    strings=f"<si><t>{'x' * 200_000}</t></si>"),
            "field-too-long",
            None,
            str(MAX_FIELD),
        ),
        (
            by_hand(
                '<row r="1">' + '<c t="s"><v>0</v></c>' * 100 + "</row>",
                strings=f"<si><t>{'x' * 50_000}</t></si>",
            ),
            "row-too-long",
            1,
            str(MAX_ROW),
        ),
        (
            by_hand(changed={"xl/worksheets/s.xml": bytes(70 * 1024**2)}),
            "unpacks-too-large",
            None,
            "Split",
        ),
        (
            by_hand(changed={"xl/workbook.xml": random.Random(1).randbytes(17 * 1024**2)}),
            "damaged-workbook",
            None,
            "too large",
        ),
    ],
)  # fmt: skip
def test_a_workbook_that_cannot_be_read(
    data: bytes, code: ParseCode, row: int | None, says: str
) -> None:
    """What no program writes is refused before it costs memory or time."""
    error = failure(data)
    assert (error.code, error.row) == (code, row)
    assert says in str(error)
    assert str(error).endswith(".")


def test_rows_before_the_damage_are_given() -> None:
    """So that what was read can be told."""
    sheet = by_hand(changed={"xl/worksheets/s.xml": by_hand_xml("<row><c><v>1</v></c></row><row>")})
    rows = opened(sheet).rows()
    assert next(rows) == (1, ["1"])
    with pytest.raises(ParseError, match="whole XML"):
        next(rows)


def by_hand_xml(cut: str) -> bytes:
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    return f'<worksheet xmlns="{main}"><sheetData>{cut}'.encode()


def test_an_archive_with_a_huge_list_of_parts_is_refused() -> None:
    """The list is read whole, so its size has an end."""
    file = BytesIO(by_hand())
    with zipfile.ZipFile(file, "a") as archive:
        for number in range(1000):
            info = zipfile.ZipInfo(f"{number}")
            info.extra = b"\xff\xff" + (4400).to_bytes(2, "little") + bytes(4400)
            archive.writestr(info, b"")
    assert failure(file.getvalue()).code == "damaged-workbook"


def test_parts_that_are_encrypted_are_refused() -> None:
    """Such an archive is no workbook of any program."""
    data = bytearray(by_hand())
    for signature, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(signature)
        while at >= 0:
            data[at + place] |= 1
            at = data.find(signature, at + 1)
    assert "cannot be unpacked" in str(failure(bytes(data)))


def test_a_workbook_may_be_read_through_gzip_in_pieces() -> None:
    """The same, however few bytes come at a time."""
    data = workbook([["Phone", "Name"], *([f"+44 {n}", "A"] for n in range(50))])
    assert read(data, sip=7) == read(data)


def test_the_shared_strings_of_many_blocks_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any string can be asked for in any order."""
    monkeypatch.setattr(unpack, "_ANY_RATIO", 1 << 30)
    names = [f"name {n * n} ü" for n in range(3000)]
    order = random.Random(7).sample(range(3000), 3000)
    strings = "".join(f"<si><t>{name}</t></si>" for name in names)
    rows = "".join(f'<row><c t="s"><v>{n}</v></c></row>' for n in order)
    assert [cells for _, cells in read(by_hand(rows, strings=strings))] == [
        [names[n]] for n in order
    ]


SAMPLE = several()


@given(st.lists(st.tuples(st.integers(0, len(SAMPLE) - 1), st.integers(0, 255)), max_size=5))
def test_a_damaged_workbook_is_rows_or_an_error(changes: list[tuple[int, int]]) -> None:
    """Whichever bytes are wrong, no other error comes out."""
    data = bytearray(SAMPLE)
    for place, value in changes:
        data[place] = value
    try:
        rows = read(bytes(data), Said(sheet="May"))
    except ParseError:
        return
    assert all(isinstance(cell, str) for _, cells in rows for cell in cells)


@given(st.binary(max_size=300), st.sampled_from(["xl/worksheets/s.xml", "xl/workbook.xml"]))
def test_a_damaged_part_is_rows_or_an_error(tail: bytes, part: str) -> None:
    """The same within a part, where the archive itself is whole."""
    whole = zipfile.ZipFile(BytesIO(by_hand())).read(part)
    try:
        rows = read(by_hand(changed={part: whole[: len(whole) // 2] + tail}))
    except ParseError:
        return
    assert all(isinstance(cell, str) for _, cells in rows for cell in cells)


CELLS = (
    st.none()
    | st.integers(-(10**14), 10**14)
    | st.text(
        st.characters(
            min_codepoint=32, exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"
        ),
        max_size=20,
    ).filter(lambda text: not text.startswith("="))
)


@given(st.lists(st.lists(CELLS, min_size=1, max_size=4), max_size=6))
def test_what_openpyxl_wrote_is_read_back(rows: list[list[Any]]) -> None:
    """Texts and whole numbers, each in its place."""
    table: list[list[Any]] = [["Phone", "B", "C", "D"], *rows]
    expected = []
    for number, row in enumerate(table, start=1):
        texts = ["" if cell is None else str(cell) for cell in row]
        while texts and not texts[-1]:
            texts.pop()
        if any(map(str.strip, texts)):
            expected.append((number, texts))
    assert read(workbook(table)) == expected
