"""Reads contacts from a table: which columns, and of each row the numbers as written.

Rows come numbered from a reader of the file's format (`tables`); what they mean is decided
here, the same for any format. Nothing is held but the row at hand, and once, if the headings
do not tell, the first few. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from services.contracts.messages import MAX_EXTRA_CHARS, MAX_REFERENCE, extra_chars
from services.contracts.reject_reasons import RejectReason
from services.ingest.column_content import (
    SAMPLE_CHARS,
    SAMPLE_ROWS,
    candidates,
    is_like_number,
    is_number,
)
from services.ingest.columns import (
    By,
    Candidate,
    Column,
    ColumnError,
    Columns,
    called,
    country_by_heading,
    has_known_heading,
    is_called,
    kept_by_name,
    letters,
    phones_by_heading,
    reference_by_heading,
    seen,
    several,
)
from services.ingest.given_back import kept_of, only_number
from services.ingest.mended import marks_of
from services.ingest.options import Options
from services.ingest.parse_error import ParseError
from services.ingest.tables.opening import open_table
from services.ingest.tables.table import Found, Made, Nested, Rows, Source, Table

#: Their keys are headings.
_JSON = {"json-lines", "json-array"}


# Not frozen: one is made for every row, and freezing triples what that costs.
@dataclass(slots=True)
class Row:
    """A contact of the file, its number not looked at yet."""

    #: As the program counts that wrote the file.
    number: int
    #: Heading of the phone column.
    column: str
    phone_text: str = field(repr=False)
    #: The row's own, as written, or the default; `phone.normalise` reads it.
    country: str | None
    reference: str | None = field(repr=False)
    #: The whole row, for columns that ride along; it may be shorter than the headings.
    cells: list[str] = field(repr=False, compare=False)


@dataclass(slots=True)
class BadRow:
    """A row that cannot be taken; `text` is what stands for the number, not masked yet."""

    number: int
    column: str
    reason: RejectReason
    text: str = field(repr=False)
    cells: list[str] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Contacts:
    """A file whose columns are known.

    `rows()` reads its contacts from the start, as often as it is called. Rows without any
    text are counted and left out. Of several phone columns each cell with text is a contact;
    a row without any is one, of the first. `filled()` gives the rows with text as they are,
    for a third of the cost. Going over either raises `ParseError` where the file stops being
    readable, and at its end if there was no contact in it.
    """

    file: Found
    #: Of all columns; their letters in a file without headings, and where a heading is blank.
    headings: list[str]
    has_header: bool
    header_by: By
    columns: Columns
    filled: Callable[[], Rows]
    #: Of the file's own header, if rows must fit in it.
    width: int | None
    default_country: str | None

    def rows(self) -> Iterator[Row | BadRow]:
        """Read the contacts from the start."""
        return _contacts(self.filled(), self.columns, self.width, self.default_country)


def open_contacts(
    source: Source,
    options: Options,
    *,
    is_json: bool,
    on_progress: Callable[[], None] = lambda: None,
) -> Contacts:
    """Open an upload and find its columns; blocks, so call it in a thread.

    Args:
        source: The upload.
        options: What is said of it.
        is_json: Its type or name says JSON.
        on_progress: Called for every part of the file that is read, here and by the contacts'
            rows, in the thread that reads.

    Raises:
        ParseError: It cannot be taken.
    """
    return read_contacts(open_table(source, options.said(json=is_json), on_progress), options)


def read_contacts(table: Table, options: Options) -> Contacts:
    """Find the header of a file, which is the first row with any text, and its columns.

    Raises:
        ColumnError: The columns are not clear.
        ParseError: There are no rows, or they cannot be read.
    """
    is_json = table.found.kind in _JSON
    rows = table.rows()
    # Keys of JSON are headings also where they are blank.
    begun = next(rows if is_json else _filled(rows), None)
    if begun is None or not begun[1]:
        raise ParseError(
            "empty-file",
            "The file is empty. Send a row of headings, one of them 'Phone', and the contacts.",
        )
    marks = marks_of(begun[1], is_json=is_json)
    [(_, first)] = marks.without(iter([begun]))
    has_header, header_by = _has_header(first, options, is_json=is_json)
    if marks.columns:
        # Written by us, with headings whatever the first file had.
        has_header, header_by = True, "heading"
    if has_header:
        headings = [cell.strip() or letters(index) for index, cell in enumerate(first)]
    else:
        headings = [letters(index) for index in range(len(first))]
    columns = _columns(headings, first, marks.without(rows), options, has_header=has_header)
    lettered = headings == list(map(letters, range(len(first))))
    # The letters that we wrote for a file without headings do not say how long its rows are.
    width = len(first) if has_header and not (marks.columns and lettered) else None
    header = begun[0] if has_header else -1
    return Contacts(
        table.found,
        headings,
        has_header,
        header_by,
        columns,
        lambda: _after(header, marks.without(table.rows())),
        width,
        options.default_country,
    )


def _has_header(first: list[str], options: Options, *, is_json: bool) -> tuple[bool, By]:
    if is_json:
        if options.header is False:
            raise ParseError(
                "wrong-option",
                "The file is JSON, whose keys are the headings, so `header` means nothing. "
                "Leave it out.",
            )
        return True, "heading"
    if options.header is not None:
        return options.header, "option"
    names = (*(options.phone_column or ()), options.country_column, options.reference_column)
    if any(is_called(cell, name) for name in names if name for cell in first):
        return True, "heading"
    if any(is_number(cell, None) for cell in first):
        return False, "content"
    if has_known_heading(first):
        return True, "heading"
    # Its country may stand in a column that nothing says is one: no contact is lost by that.
    if any(is_like_number(cell) or is_number(cell, options.default_country) for cell in first):
        return False, "content"
    return True, "heading"


def _columns(
    headings: list[str], first: list[str], rows: Rows, options: Options, *, has_header: bool
) -> Columns:
    country = (
        called(headings, options.country_column, "country_column")
        if options.country_column
        else country_by_heading(headings)
    )
    reference = (
        called(headings, options.reference_column, "reference_column")
        if options.reference_column
        else reference_by_heading(headings)
    )
    if options.phone_column:
        named = [called(headings, name, "phone_column") for name in options.phone_column]
        phones = list({column.index: column for column in named}.values())
    elif phones := phones_by_heading(headings):
        if len(phones) > 1:
            raise several(headings, [Candidate(column.heading) for column in phones])
    else:
        sample = _sample(rows) if has_header else [first, *_sample(rows)]
        phones = [_by_content(headings, sample, country, reference, options)]
    kept = kept_by_name(headings, options.keep or ())
    return Columns(tuple(phones), country, reference, kept)


def _sample(rows: Rows) -> list[list[str]]:
    taken: list[list[str]] = []
    chars = 0
    for _, cells in islice(rows, SAMPLE_ROWS):
        taken.append(cells)
        chars += sum(map(len, cells))
        if chars > SAMPLE_CHARS:
            break
    return taken


def _by_content(
    headings: list[str],
    sample: list[list[str]],
    country: Column | None,
    reference: Column | None,
    options: Options,
) -> Column:
    found = candidates(
        headings,
        sample,
        besides={column.index for column in (country, reference) if column},
        country=country.index if country else None,
        default_country=options.default_country,
    )
    if not found:
        raise ColumnError(
            "no-phone-column",
            "No column has a heading that means a phone number, and in none are most cells valid "
            f"numbers. {seen(headings)} Name the column by `phone_column`; if numbers stand there "
            "without calling code, say their country by `default_country` too.",
            headings,
        )
    if len(found) > 1:
        raise several(headings, [candidate for _, candidate in found])
    [(index, one)] = found
    if not options.guess:
        raise ColumnError(
            "uncertain-column",
            f"No column has a heading that means a phone number. In {one.column!r}, {one.numbers} "
            f"of the first {one.of} cells are numbers. Name it by `phone_column` if it is meant.",
            headings,
            candidates=[one],
        )
    return Column(index, one.column, "content")


def _contacts(
    rows: Rows, columns: Columns, width: int | None, default_country: str | None
) -> Iterator[Row | BadRow]:
    """Read contacts from the rows; `width` is the header's, if they must fit in it."""
    heading = columns.phones[0].heading
    nearest = min(column.index for column in columns.phones)
    country = columns.country.index if columns.country else None
    reference = columns.reference.index if columns.reference else None
    for number, cells in rows:
        count = len(cells)
        if count <= nearest:
            yield BadRow(number, heading, "too-few-cells", "", cells)
            continue
        wrong = _wrong_with(cells, width, country, reference) or _wrong_to_keep(cells, columns.kept)
        if wrong is not None:
            yield BadRow(number, heading, wrong, _cell(cells, columns.phones[0].index), cells)
            continue
        row_country = _cell(cells, country).strip() or default_country
        row_reference = _cell(cells, reference).strip() or None
        blank = True
        for column in columns.phones:
            text = _cell(cells, column.index)
            if not text or text.isspace():
                continue
            blank = False
            if isinstance(text, Made):
                alone = only_number(cells, columns.phones, column.heading)
                yield BadRow(number, column.heading, text.reason, text, alone)
            else:
                yield Row(number, column.heading, text, row_country, row_reference, cells)
        if blank:
            yield BadRow(number, heading, "empty", _cell(cells, columns.phones[0].index), cells)


def _after(header: int, rows: Rows) -> Rows:
    """Give what has text and follows the header, which is the row of this number."""
    empty = True
    for row in _filled(rows):
        if row[0] > header:
            empty = False
            yield row
    if empty:
        raise ParseError(
            "no-rows", "The file has headings and no contacts. Add a row for each contact."
        )


def _filled(rows: Rows) -> Rows:
    return (row for row in rows if any(map(str.strip, row[1])))


def _wrong_with(
    cells: list[str], width: int | None, country: int | None, reference: int | None
) -> RejectReason | None:
    if width is not None and len(cells) > width and any(map(str.strip, cells[width:])):
        return "too-many-cells"
    if isinstance(_cell(cells, country), Nested) or isinstance(_cell(cells, reference), Nested):
        return Nested.reason
    if len(_cell(cells, reference).strip()) > MAX_REFERENCE:
        return "reference-too-long"
    return None


def _wrong_to_keep(cells: list[str], kept: tuple[Column, ...]) -> RejectReason | None:
    if not kept:
        return None
    too_long = extra_chars(kept_of(cells, kept)) > MAX_EXTRA_CHARS
    return "extra-too-long" if too_long else None


def _cell(cells: list[str], index: int | None) -> str:
    """Read a cell that the row need not have."""
    return cells[index] if index is not None and index < len(cells) else ""
