"""What of a row goes back to its sender, and that a mended file is read as any other."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contracts.codec import decode, encode
from services.contracts.csv_cells import REJECTED_COLUMNS
from services.contracts.messages import (
    MAX_EXTRA,
    MAX_EXTRA_CHARS,
    MAX_EXTRA_NAME,
    LookupRequest,
    RejectedContact,
)
from services.contracts.reject_reasons import SENTENCES
from services.ingest.accept import Judge, Rejected
from services.ingest.columns import ColumnError
from services.ingest.given_back import MAX_CELLS, MAX_CHARS, bounded
from services.ingest.options import Options
from services.ingest.parse import BadRow, Contacts, read_contacts
from services.results.exports import RejectedCsv
from tests.unit.held_source import opened
from tests.unit.judging import TERMS, records_of

NONE = Options()


def contacts_of(text: str | bytes, options: Options = NONE) -> Contacts:
    data = text if isinstance(text, bytes) else text.encode()
    return read_contacts(opened(data, options.said(json=data.startswith(b"{"))), options)


def rejected_of(contacts: Contacts) -> list[RejectedContact]:
    return [record for record in records_of(contacts) if isinstance(record, RejectedContact)]


def rejected_file(contacts: Contacts) -> str:
    """The file of a job's rejected rows, as results writes it."""
    job = {
        "state": "sealed",
        "headings": contacts.headings,
        "options": {"found": {"delimiter": contacts.file.delimiter}},
    }
    form = RejectedCsv(job)
    return form.begin() + form.page(stored(record) for record in rejected_of(contacts))


def stored(record: RejectedContact) -> dict[str, Any]:
    return {
        "row_number": record.row,
        "column_name": record.column,
        "reason": record.reason,
        "cells": None if record.cells is None else list(record.cells),
        "cut": record.cut,
    }


# Columns that ride along -----------------------------------------------------------------


def test_columns_that_are_kept_ride_along() -> None:
    """Their cells stand in the record as they were, whatever they look like, in the order asked."""
    text = 'Phone,"Na""me",Formula,Other\n+12025550123," Zoë\n",\'=1+1,x\n+12025550124,%s\n'
    [first, second] = records_of(contacts_of(text, Options(keep=("formula", 'Na"me'))))
    assert isinstance(first, LookupRequest)
    assert isinstance(second, LookupRequest)
    assert list(first.extra.items()) == [("Formula", "=1+1"), ('Na"me', " Zoë\n")]
    assert first.row == 2
    # The row ends before the other one.
    assert second.extra == {"Formula": "", 'Na"me': "%s"}


def test_without_columns_to_keep_nothing_rides_along() -> None:
    """A record is as small as it was."""
    [record] = records_of(contacts_of("Phone,Name\n+12025550123,Zoë\n"))
    assert isinstance(record, LookupRequest)
    assert record.extra == {}


@pytest.mark.parametrize(
    ("heading", "keep", "code"),
    [
        ("Name", ["Nam"], "no-such-column"),
        ("Name,name", ["NAME"], "ambiguous-column"),
        ("N" * (MAX_EXTRA_NAME + 1), ["N" * (MAX_EXTRA_NAME + 1)], "field-too-long"),
    ],
)
def test_a_column_that_cannot_be_kept_is_said(heading: str, keep: list[str], code: str) -> None:
    """A file whose columns are not what was asked for is refused, and the option named."""
    with pytest.raises(ColumnError) as caught:
        contacts_of(f"Phone,{heading}\n+12025550123,x,y\n", Options(keep=tuple(keep)))
    assert caught.value.code == code


def test_so_many_columns_are_kept() -> None:
    """The limit of columns is an error of the request."""
    names = [f"c{n}" for n in range(MAX_EXTRA + 1)]
    assert Options(keep=tuple(names[:-1])).keep == tuple(names[:-1])
    with pytest.raises(ValueError, match=f"at most {MAX_EXTRA}"):
        Options(keep=tuple(names))


def test_a_row_with_too_much_to_keep_is_rejected() -> None:
    """The limit holds for each row, headings among it; the others go on."""
    most = "x" * (MAX_EXTRA_CHARS - len("Note"))
    text = f"Phone,Note\n+12025550123,{most}\n+12025550124,{most}x\n"
    first, second = records_of(contacts_of(text, Options(keep=("Note",))))
    assert isinstance(first, LookupRequest)
    assert first.extra == {"Note": most}
    assert isinstance(second, RejectedContact)
    assert (second.row, second.reason) == (3, "extra-too-long")
    # The whole limit in the costliest characters still is a small record.
    costly = first.model_copy(update={"extra": {"Note": "\x01" * MAX_EXTRA_CHARS}})
    assert len(encode(costly)) < 60_000


def test_columns_to_keep_are_part_of_a_jobs_name() -> None:
    """The same file with other columns to keep is another job; without any it is the old one."""
    assert "keep" not in NONE.named()
    assert Options(keep=("A",)).named()["keep"] == ("A",)
    assert json.loads(json.dumps(Options(keep=("A",)).named()))["keep"] == ["A"]


# Rejected rows ---------------------------------------------------------------------------


def test_a_rejected_row_carries_its_cells() -> None:
    """All of the row goes back, not masked; what people are shown stays masked."""
    [record] = rejected_of(contacts_of("Name,Phone,Note\nZoë, 202 555 01 ,=x\n"))
    assert record.cells == ("Zoë", " 202 555 01 ", "=x")
    assert not record.cut
    assert "555" not in record.text


def test_of_several_numbers_only_the_rejected_one_goes_back() -> None:
    """When the row is sent again, the numbers that were taken are not asked for again."""
    options = Options(phone_column=("Home", "Work", "Fax"))
    text = "Name,Home,Work,Fax\nZoë,12,+12025550123,34\n"
    first, second = rejected_of(contacts_of(text, options))
    assert (first.column, first.cells) == ("Home", ("Zoë", "12", "", ""))
    assert (second.column, second.cells) == ("Fax", ("Zoë", "", "", "34"))


def test_a_row_rejected_as_such_goes_back_with_all_its_numbers() -> None:
    """None of its numbers was taken, so none may be missing."""
    options = Options(phone_column=("Home", "Work"))
    [record] = rejected_of(contacts_of("Home,Work\n+12025550123,+12025550124,x\n", options))
    assert (record.reason, record.cells) == (
        "too-many-cells",
        ("+12025550123", "+12025550124", "x"),
    )


def test_a_number_that_is_no_text_goes_back_alone_too() -> None:
    """A value of JSON that stands for a number is one of several numbers as any other."""
    options = Options(phone_column=("Home", "Work"))
    data = b'{"Home": 1.5, "Work": "+12025550123"}\n{"Home": "+12025550124", "Work": null}\n'
    [record] = rejected_of(contacts_of(data, options))
    assert (record.reason, record.cells) == ("spreadsheet-damaged", ("1.5", ""))


@pytest.mark.parametrize(
    ("cells", "given_back", "cut"),
    [
        (["a", "b"], ("a", "b"), False),
        ([], (), False),
        (["x" * MAX_CHARS], ("x" * MAX_CHARS,), False),
        (["12", "x" * MAX_CHARS], ("12", "x" * (MAX_CHARS // 2)), True),
        (["x"] * (MAX_CELLS + 1), ("x",) * MAX_CELLS, True),
    ],
    ids=["whole", "none", "as long as can be", "one too long", "too many"],
)
def test_a_row_beyond_the_bound_carries_what_fits(
    cells: list[str], given_back: tuple[str, ...], cut: bool
) -> None:
    """A row of any size makes a record of bounded size, which says that it is not all."""
    assert bounded(cells) == (given_back, cut)


def test_the_largest_row_makes_a_record_that_kafka_takes() -> None:
    """The limits, in the costliest characters, stay far below a message's megabyte."""
    cells, cut = bounded(["\x01" * MAX_CHARS] * MAX_CELLS)
    assert cut
    record = RejectedContact(
        rejection_id=UUID(int=1),
        job_id=UUID(int=1),
        source="s",
        row=1,
        column=None,
        reason="empty",
        text="",
        rejected_at=datetime(2026, 1, 1, tzinfo=UTC),
        cells=cells,
        cut=cut,
    )
    assert len(encode(record)) < 250_000


# Mended and sent again --------------------------------------------------------------------


def test_the_rejected_file_says_what_is_wrong_before_each_row() -> None:
    """Row, column, reason and way out come first; then the columns as they were."""
    file = rejected_file(contacts_of("Name;Phone;Note\nZoë;+1202;=x\nA;+12025550123;\n"))
    assert list(csv.reader(io.StringIO(file), delimiter=";")) == [
        ["\ufeff" + REJECTED_COLUMNS[0], *REJECTED_COLUMNS[1:], "Name", "Phone", "Note"],
        ["2", "Phone", "too-short", SENTENCES["too-short"], "Zoë", "+1202", "'=x"],
    ]


def test_a_mended_row_is_accepted() -> None:
    """What was put right is read; our own columns and apostrophes are not there any more."""
    options = Options(keep=("Note",))
    file = rejected_file(contacts_of("Name,Phone,Note\nZoë,12,=x\n", options))
    again = contacts_of(file.replace(",12,", ",+12025550123,"), options)
    assert again.headings == ["Name", "Phone", "Note"]
    [record] = records_of(again)
    assert isinstance(record, LookupRequest)
    assert (record.phone, record.extra) == ("+12025550123", {"Note": "=x"})


def test_our_columns_may_stand_anywhere_or_be_gone() -> None:
    """Whoever mends a file may move our columns, or remove some."""
    again = contacts_of("Phone,rejected.way_out,Name, rejected.row \n+12025550123,x,Zoë,7\n")
    assert again.headings == ["Phone", "Name"]
    [record] = records_of(again)
    assert isinstance(record, LookupRequest)


def test_a_row_that_only_we_wrote_in_is_empty() -> None:
    """A row whose own cells were all removed is left out, as any blank one."""
    again = contacts_of("rejected.row,Phone\n7,\n8,+12025550123\n")
    assert [type(record) for record in records_of(again)] == [LookupRequest]


def test_a_file_without_headings_comes_back_with_its_letters() -> None:
    """The headings that we wrote are headings, even where the options say there are none."""
    options = Options(header=False, phone_column=("B",))
    file = rejected_file(contacts_of("Zoë,12\nA,+12025550123\n", options))
    again = contacts_of(file, options)
    assert (again.headings, again.has_header) == (["A", "B"], True)
    assert [row.number for row in again.rows()] == [2]


def test_rows_longer_than_the_first_of_a_file_without_headings_can_be_mended() -> None:
    """No header says how long its rows are, so the letters that we wrote do not either."""
    file = rejected_file(contacts_of("+12025550123\n12,GB,x\n"))
    [record] = records_of(contacts_of(file.replace(",12,", ",+12025550124,")))
    assert isinstance(record, LookupRequest)
    named = contacts_of("rejected.row,A,Phone\n7,x,+12025550123,y\n")
    assert [record.reason for record in rejected_of(named)] == ["too-many-cells"]


def test_apostrophes_in_json_are_the_senders() -> None:
    """JSON is no spreadsheet's: a text there means what it says."""
    data = b'{"Phone": "+12025550123", "Note": "\'=x"}\n'
    [record] = records_of(contacts_of(data, Options(keep=("Note",))))
    assert isinstance(record, LookupRequest)
    assert record.extra == {"Note": "'=x"}


CELL = st.text(
    st.sampled_from("'\"=+-@,;|\t\r\n\x85\u2028 aé1") | st.characters(codec="utf-8"), max_size=12
).filter(lambda text: "\0" not in text)
#: Something stands beside the number, so that no row is blank or ends before it.
ROWS = st.lists(st.lists(CELL, min_size=2, max_size=2), min_size=1, max_size=4)


@given(ROWS, st.sampled_from(",;|\t"))
def test_rejected_rows_come_back_cell_by_cell(rows: list[list[str]], delimiter: str) -> None:
    """Whatever stands in a row: rejected, written, and read again it has the same cells."""
    headings = ["=Note", "Phone", "'-Name"]
    sent = [dict(zip(headings, [row[0], "x1", row[1]], strict=True)) for row in rows]
    contacts = contacts_of("".join(f"{json.dumps(row)}\n" for row in sent).encode())
    first = rejected_of(contacts)
    job = {
        "state": "sealed",
        "headings": contacts.headings,
        "options": {"found": {"delimiter": delimiter}},
    }
    form = RejectedCsv(job)
    file = form.begin() + form.page(map(stored, first))
    again = contacts_of(file)
    assert again.headings == headings
    assert [record.cells for record in rejected_of(again)] == [record.cells for record in first]
    assert [record.cells for record in first] == [tuple(row.values()) for row in sent]


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"cells": None, "cut": False}, "not known any more"),
        ({"cells": ["a"], "cut": True}, "too long to be given back"),
    ],
)
def test_a_row_that_cannot_be_given_back_whole_says_so(record: dict[str, Any], said: str) -> None:
    """Nobody mends half a row without knowing: the way out says where the whole row is."""
    form = RejectedCsv({"state": "sealed", "headings": None, "options": {}})
    row = {"row_number": 7, "column_name": None, "reason": "too-short"} | record
    assert said in form.page([row])
    assert "your own file" in form.page([row])


def test_a_reason_of_a_later_release_has_no_sentence() -> None:
    """Rows that a newer ingest rejected are given back all the same."""
    form = RejectedCsv({"state": "sealed", "headings": ["Phone"], "options": {}})
    row = {"row_number": 7, "column_name": "Phone", "reason": "new", "cells": ["1"], "cut": False}
    assert form.page([row]) == "7,Phone,new,,1\n"


def test_a_fault_of_our_own_gives_the_row_back_too() -> None:
    """A row that our code failed on is given back as any other, its other numbers left out."""
    contacts = contacts_of("Home,Work\n12,+12025550123\n", Options(phone_column=("Home", "Work")))
    row = next(contacts.rows())
    assert not isinstance(row, BadRow)
    judge = Judge(replace(TERMS, phones=contacts.columns.phones))
    outcome = judge.reject(row, "internal-error")
    assert isinstance(outcome, Rejected)
    assert decode(outcome.value, RejectedContact).cells == ("12", "")
