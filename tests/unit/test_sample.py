"""The shipped sample is what its generator writes, and is dirty in the ways it should be."""

from __future__ import annotations

from collections import Counter
from typing import get_args

import phonenumbers
import pytest

from services.contracts.reject_reasons import PhoneReason
from services.ingest.options import Options
from services.ingest.parse import Row, open_contacts
from services.ingest.phone import Phone, normalise
from services.local import sample
from tests.unit.held_source import HeldSource


@pytest.fixture(scope="module")
def contacts() -> list[sample.SampleRow]:
    return sample.rows()


def test_committed_file_is_what_is_written(contacts: list[sample.SampleRow]) -> None:
    """The committed file is the generator's, byte for byte."""
    assert sample.PATH.read_bytes() == sample.to_csv(contacts), (
        "run: python -m services.local.sample > services/local/sample.csv"
    )


def test_ingest_reads_every_row_as_it_was_meant(contacts: list[sample.SampleRow]) -> None:
    """Each row is read as the number it was made from, or rejected for what is wrong with it."""
    source = HeldSource(sample.PATH.read_bytes())
    read = list(open_contacts(source, Options(), is_json=False).rows())
    assert [row.number for row in read] == list(range(2, sample.ROWS + 2))
    for meant, row in zip(contacts, read, strict=True):
        if not isinstance(row, Row):
            assert row.reason == meant.wrong, meant
            continue
        assert row.reference == meant.customer_id
        outcome = normalise(row.phone_text, row.country)
        if isinstance(outcome, Phone):
            assert outcome.e164 == meant.e164, meant
        else:
            assert outcome.reason == meant.wrong, meant


def test_is_large_and_of_many_countries(contacts: list[sample.SampleRow]) -> None:
    """At least 5,000 contacts, each once, of 40 countries; many where caller names exist."""
    numbers = {row.e164 for row in contacts if row.e164}
    assert len(numbers) >= 5_000
    regions = Counter(
        phonenumbers.region_code_for_number(phonenumbers.parse(number)) for number in numbers
    )
    assert len(regions) >= 40
    assert regions["US"] >= 1_500


def test_has_duplicates_written_otherwise(contacts: list[sample.SampleRow]) -> None:
    """About one row in 25 is a number the file has already, mostly written another way."""
    ways: dict[str, list[str]] = {}
    for row in contacts:
        if row.e164:
            ways.setdefault(row.e164, []).append(row.phone)
    again = [texts for texts in ways.values() if len(texts) > 1]
    assert sum(len(texts) - 1 for texts in again) == 216
    assert sum(len(set(texts)) > 1 for texts in again) > 150


def test_is_wrong_in_every_way_but_a_few(contacts: list[sample.SampleRow]) -> None:
    """About one row in 33 is no number, for each reason but those that need rarer digits."""
    wrong = Counter(row.wrong for row in contacts if row.wrong)
    assert wrong.total() == 162
    assert set(wrong) == set(get_args(PhoneReason)) - {"ambiguous", "short-code", "wrong-length"}


def test_is_written_dirty() -> None:
    """A byte order mark, line breaks in cells, and all the ways of writing are in it."""
    data = sample.PATH.read_bytes()
    assert data.startswith(b"\xef\xbb\xbf")
    text = data.decode("utf-8-sig")
    in_cells = [
        ",\n",
        "\r\nsecond line",
        '""',
        " ext. ",
        ";ext=",
        "tel:+",
        "(0)",
        ",0044",
        ",'+",
        '"=""',
    ]
    in_numbers = "\u00a0\u202f\u200b\u202a\u2011\u2013\u2212\uff10"
    assert [mark for mark in (*in_cells, *in_numbers) if mark not in text] == []


def test_numbers_are_examples_or_kept_for_fiction(contacts: list[sample.SampleRow]) -> None:
    """No number may be a person's: each is an example, or in a range kept for fiction."""
    examples = {
        phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
        for region in phonenumbers.SUPPORTED_REGIONS
        for kind in phonenumbers.PhoneNumberType.values()
        if (number := phonenumbers.example_number_for_type(region, kind))
    }
    ranges = [span for spans in sample._FICTION_RANGES.values() for span in spans]
    for e164 in {row.e164 for row in contacts if row.e164} - examples:
        in_range = any(first <= int(e164[1:]) <= last for first, last in ranges)
        assert in_range or (e164[:2] == "+1" and e164[5:10] == "55501"), e164
