"""Cells in CSV: no spreadsheet takes one for a formula, and each comes back as it was."""

import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contracts.csv_cells import neutral, plain
from services.results.exports import csv_text

CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)
AWKWARD = st.text(st.sampled_from("'\"=+-@,;\t\r\n1. a\uff1d"), max_size=8)


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+1 415 555 0100", "'+1 415 555 0100"),
        ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t1", "'\t1"),
        ("\r1", "'\r1"),
        ("\n=1", "'\n'=1"),
        ("\uff1d1+1", "'\uff1d1+1"),
        ("'=1+1", "''=1+1"),
        ("'+1", "''+1"),
        ("+", "'+"),
        ("-5\n=1+1", "'-5\n'=1+1"),
        ("a;=1+1", "a;'=1+1"),
        ("a, '=1+1", "a, ''=1+1"),
        ('a;"=1+1', "a;\"'=1+1"),
        ("a;+14155550100;-1", "a;+14155550100;-1"),
        ("+4;@x", "'+4;'@x"),
        ("+14155550100", "+14155550100"),
        ("-12.50", "-12.50"),
        ("-12,50", "-12,50"),
        ("a=1", "a=1"),
        ("O'Brien", "O'Brien"),
        ("'quoted'", "'quoted'"),
        (" =1", " =1"),
        ("", ""),
    ],
)
def test_what_would_be_a_formula_gets_an_apostrophe(cell: str, written: str) -> None:
    """Only what a spreadsheet would work out is marked; numbers stay as programs read them."""
    assert neutral(cell) == written
    assert plain(written) == cell


@given(CELLS | AWKWARD)
def test_taking_the_mark_off_gives_back_what_was(cell: str) -> None:
    """No text is changed by being written and read."""
    assert plain(neutral(cell)) == cell


@given(CELLS | AWKWARD)
def test_nothing_written_is_a_formula(cell: str) -> None:
    """Wherever a spreadsheet cuts a written cell, no piece is a sign and more than a number.

    White space and quotes before a later piece count as nothing.
    """
    first, *later = re.split("[,;\t\r\n]", neutral(cell))
    number = re.fullmatch("[+-][0-9]+([.,][0-9]+)?", neutral(cell))
    for piece in () if number else (first, *(text.lstrip('" ') for text in later)):
        if piece and piece[0] in "=+-@\uff1d\uff0b\uff0d\uff20":
            assert re.fullmatch("[+-][0-9]+([.,][0-9]+)?", piece)


@given(st.lists(st.lists(CELLS | AWKWARD, min_size=1, max_size=5), max_size=5))
def test_a_csv_reader_gives_back_every_cell(rows: list[list[str]]) -> None:
    """Delimiters, quotes and line breaks of every kind stay within their cells."""
    text = csv_text(rows, ";")
    read = csv.reader(io.StringIO(text, newline=""), delimiter=";", strict=True)
    assert [[plain(cell) for cell in row] for row in read] == rows
