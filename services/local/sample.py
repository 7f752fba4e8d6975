"""Writes the sample file: contacts of all countries, written the ways people write them.

No number in it was made up to be like a person's. Each is one of

- the example numbers that libphonenumber publishes for every country and kind of number, as
  they are, because a varied one could be somebody's; or
- from ranges that numbering authorities keep for films and books: 555-0100 to 555-0199 in
  each geographic area code of the United States and Canada, and the ranges of Ofcom (United
  Kingdom), Arcep (France), Bundesnetzagentur (Germany), ACMA (Australia) and PTS (Sweden).

All are valid in their numbering plans, which is what makes them useful here: for ingest and
for the simulator they are numbers like any other. The rows that are no numbers are derived
from these. Nationally written rows name their country, so the file needs no default one.

The file is the same bytes on every run (a fixed seed, and of `random` only what Python keeps
stable between versions); a newer libphonenumber may bring other example numbers, then:

    python -m services.local.sample > services/local/sample.csv
"""

from __future__ import annotations

import csv
import io
import sys
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, TypeVar

import phonenumbers
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from services.local.sample_styles import write, write_wrong

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from services.contracts.reject_reasons import PhoneReason

_T = TypeVar("_T")

#: Where the committed file lies.
PATH = Path(__file__).with_name("sample.csv")

HEADINGS = ("Customer ID", "Phone", "Country", "Notes")

ROWS = 5_400
_DUPLICATES = 216
_WRONG = 162
_SEED = 20_260_901

# How many numbers of each country's ranges; the United States get what is left, since
# caller names exist only there.
_FICTION_SHARES = {"CA": 250, "GB": 650, "FR": 450, "DE": 450, "AU": 300, "SE": 80}

#: First and last number of ranges kept for fiction, with their calling codes.
_FICTION_RANGES = {
    "GB": (
        (44_113_4960_000, 44_113_4960_999),
        (44_161_4960_000, 44_161_4960_999),
        (44_20_7946_0000, 44_20_7946_0999),
        (44_7700_900_000, 44_7700_900_999),
        (44_808_157_0000, 44_808_157_0999),
        (44_3069_990_000, 44_3069_990_999),
    ),
    "FR": (
        (33_1_99_00_0000, 33_1_99_00_9999),
        (33_2_61_91_0000, 33_2_61_91_9999),
        (33_3_53_01_0000, 33_3_53_01_9999),
        (33_4_65_71_0000, 33_4_65_71_9999),
        (33_5_36_49_0000, 33_5_36_49_9999),
    ),
    "DE": (
        (49_30_23125_000, 49_30_23125_999),
        (49_69_90009_000, 49_69_90009_999),
        (49_40_66969_000, 49_40_66969_999),
        (49_89_99998_000, 49_89_99998_999),
    ),
    "AU": (
        (61_2_5550_0000, 61_2_5550_9999),
        (61_2_7010_0000, 61_2_7010_9999),
        (61_3_5550_0000, 61_3_5550_9999),
        (61_7_7010_0000, 61_7_7010_9999),
        (61_8_5550_0000, 61_8_5550_9999),
    ),
    "SE": (
        (46_31_390_0600, 46_31_390_0699),
        (46_40_628_0400, 46_40_628_0499),
        (46_8_465_00400, 46_8_465_00499),
        (46_70_1740_605, 46_70_1740_699),
    ),
}
_AREA_CODES = range(200, 1000)
#: Numbers with fewer cannot be dialled from abroad, and ingest does not take them.
_FEWEST_DIGITS = 7

_NOTES = (
    "Call before noon",
    "Prefers e-mail; call only if urgent",
    "Moved in spring,\nnew address to follow",
    'Says "please do not ring twice"',
    "First line\r\nsecond line, with a comma",
    "Großkunde: Rückruf erbeten",
    "お客様の希望: 午後",
    "\tchecked",
)


@dataclass(frozen=True, slots=True)
class SampleRow:
    """A row of the file, and what is right to make of it: a number, or why there is none."""

    customer_id: str
    phone: str
    country: str
    notes: str
    e164: str | None
    wrong: PhoneReason | None


def rows() -> list[SampleRow]:
    """Make the contacts, always the same."""
    random = Random(_SEED)
    numbers = _numbers(random)
    again = [_pick(random, numbers) for _ in range(_DUPLICATES)]
    written = [
        (*write(number, region, random), _e164(number), None) for number, region in numbers + again
    ]
    american = [number for number, region in numbers if region == "US"]
    made_wrong: list[tuple[str, str, str | None, PhoneReason | None]] = [
        (text, country, None, wrong)
        for text, country, wrong in (
            write_wrong(index, _pick(random, american), _pick(random, american))
            for index in range(_WRONG)
        )
    ]
    return [
        SampleRow(f"C-{place:05}", text, country, _note(random), e164, wrong)
        for place, (text, country, e164, wrong) in enumerate(
            _shuffled(random, written + made_wrong), start=1
        )
    ]


def to_csv(contacts: Iterable[SampleRow]) -> bytes:
    """Write contacts as Excel does: a byte order mark, CRLF, quotes where they are needed."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(HEADINGS)
    writer.writerows((row.customer_id, row.phone, row.country, row.notes) for row in contacts)
    return text.getvalue().encode("utf-8-sig")


def main() -> None:
    """Write the sample file to standard output."""
    sys.stdout.buffer.write(to_csv(rows()))


def _numbers(random: Random) -> list[tuple[phonenumbers.PhoneNumber, str]]:
    """Choose the numbers, each once, with their regions."""
    chosen = {_e164(number): (number, region) for number, region in _examples()}
    for region, share in _FICTION_SHARES.items():
        if region in _FICTION_RANGES:
            pool = [n for first, last in _FICTION_RANGES[region] for n in range(first, last + 1)]
        else:
            pool = _north_american(region)
        _add(chosen, region, _shuffled(random, pool), share)
    missing = ROWS - _DUPLICATES - _WRONG - len(chosen)
    _add(chosen, "US", _shuffled(random, _north_american("US")), missing)
    return list(chosen.values())


def _examples() -> Iterable[tuple[phonenumbers.PhoneNumber, str]]:
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        for kind in sorted(PhoneNumberType.values()):
            number = phonenumbers.example_number_for_type(region, kind)
            if (
                number is not None
                and phonenumbers.is_valid_number_for_region(number, region)
                and len(_e164(number)) > _FEWEST_DIGITS
            ):
                yield number, region


def _north_american(region: str) -> list[int]:
    """List 555-0100 to 555-0199 of a region's geographic area codes."""
    numbers: list[int] = []
    for area_code in _AREA_CODES:
        first = int(f"1{area_code}5550100")
        number = phonenumbers.parse(f"+{first}")
        if (
            phonenumbers.is_valid_number_for_region(number, region)
            and phonenumbers.number_type(number) == PhoneNumberType.FIXED_LINE_OR_MOBILE
        ):
            numbers += range(first, first + 100)
    return numbers


def _add(
    chosen: dict[str, tuple[phonenumbers.PhoneNumber, str]],
    region: str,
    pool: Iterable[int],
    share: int,
) -> None:
    wanted = len(chosen) + share
    for digits in pool:
        if len(chosen) == wanted:
            return
        number = phonenumbers.parse(f"+{digits}")
        if phonenumbers.is_valid_number_for_region(number, region):
            chosen.setdefault(_e164(number), (number, region))
    raise ValueError(f"the ranges of {region} have fewer than {share} valid numbers")


def _e164(number: phonenumbers.PhoneNumber) -> str:
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def _note(random: Random) -> str:
    return _pick(random, _NOTES) if random.random() < 0.3 else ""  # noqa: PLR2004 - a share, used here only


# Python promises the same sequence from `random()` for ever, and from no other method.


def _pick(random: Random, choices: Sequence[_T]) -> _T:
    return choices[int(random.random() * len(choices))]


def _shuffled(random: Random, items: Iterable[_T]) -> list[_T]:
    return [
        item for _, _, item in sorted((random.random(), i, item) for i, item in enumerate(items))
    ]


if __name__ == "__main__":
    main()
