"""Finds the columns of a file: by the names given for them, or by their headings. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from services.contracts.masking import mask_text
from services.contracts.messages import MAX_EXTRA_NAME
from services.ingest.folding import fold
from services.ingest.heading_words import COUNTRY, PHONE, REFERENCE
from services.ingest.parse_error import ParseCode, ParseError
from services.ingest.shown import LISTED, listed, shown

_LETTERS = 26

#: How a column was found.
By = Literal["option", "heading", "content"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the file: its place, from 0, and its heading as written, blanks stripped.

    In a file without headings it is called by its letters, as a spreadsheet does.
    """

    index: int
    heading: str
    by: By


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns that are read: one of phone numbers, or several if asked for."""

    phones: tuple[Column, ...]
    country: Column | None
    reference: Column | None
    #: Those that come back with the results.
    kept: tuple[Column, ...] = ()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A column that may hold the phone numbers; the numbers found in a sample, if one was taken."""

    column: str
    numbers: int | None = None
    of: int | None = None
    #: One of them, masked.
    example: str | None = None


class ColumnError(ParseError):
    """The columns are not clear: the sender must name one."""

    def __init__(
        self,
        code: ParseCode,
        message: str,
        headings: Sequence[str],
        *,
        column: str | None = None,
        candidates: Sequence[Candidate] = (),
    ) -> None:
        super().__init__(code, message, column=column)
        #: The first of those that the file has, masked.
        self.columns = [mask_text(heading) for heading in headings[:LISTED]]
        self.candidates = candidates


def letters(index: int) -> str:
    """Give a column's name in a spreadsheet: A, B, … Z, AA, AB, …, for its place from 0."""
    name = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, _LETTERS)
        name = chr(ord("A") + rest) + name
    return name


def called(headings: Sequence[str], name: str, option: str) -> Column:
    """Find the column of a name; case, spaces, accents and punctuation make no difference.

    Raises:
        ColumnError: There is none, or there are several; tells to correct `option`.
    """
    exact = [i for i, heading in enumerate(headings) if heading.strip() == name.strip()]
    found = exact or [i for i, heading in enumerate(headings) if is_called(heading, name)]
    if not found:
        raise ColumnError(
            "no-such-column",
            f"No column is called {shown(name)}. {seen(headings)} Correct `{option}`.",
            headings,
            column=name,
        )
    if len(found) > 1:
        raise ColumnError(
            "ambiguous-column",
            f"{len(found)} columns are called {shown(name)}. "
            "Give each column a heading of its own.",
            headings,
            column=name,
        )
    return Column(found[0], headings[found[0]].strip(), "option")


def kept_by_name(headings: Sequence[str], names: Sequence[str]) -> tuple[Column, ...]:
    """Find the columns to keep, each once.

    Raises:
        ColumnError: One is not there, or its heading is too long to stand in every record.
    """
    kept = {column.index: column for column in (called(headings, name, "keep") for name in names)}
    for column in kept.values():
        if len(column.heading) > MAX_EXTRA_NAME:
            raise ColumnError(
                "field-too-long",
                f"The heading {shown(column.heading)} of a column to keep has over "
                f"{MAX_EXTRA_NAME} characters. Shorten it.",
                headings,
                column=column.heading,
            )
    return tuple(kept.values())


def is_called(heading: str, name: str) -> bool:
    """Tell whether a heading is what somebody means by a name."""
    key = fold(name)
    return fold(heading) == key if key else heading.strip() == name.strip()


def phones_by_heading(headings: Sequence[str]) -> list[Column]:
    """Find the columns whose headings mean a phone number."""
    return [
        Column(index, heading.strip(), "heading")
        for index, heading in enumerate(headings)
        if (key := fold(heading)) in PHONE or key.rstrip("0123456789") in PHONE
    ]


def country_by_heading(headings: Sequence[str]) -> Column | None:
    """Find the column of countries; of several the most telling heading."""
    return _most_telling(headings, COUNTRY)


def reference_by_heading(headings: Sequence[str]) -> Column | None:
    """Find the column of the client's own names; of several the most telling heading."""
    return _most_telling(headings, REFERENCE)


def has_known_heading(headings: Sequence[str]) -> bool:
    """Tell whether any heading means something to us."""
    return bool(
        phones_by_heading(headings)
        or country_by_heading(headings)
        or reference_by_heading(headings)
    )


def several(headings: Sequence[str], candidates: Sequence[Candidate]) -> ColumnError:
    """Say that only the sender can choose between columns."""
    return ColumnError(
        "ambiguous-column",
        f"Several columns may hold the phone number: {listed([c.column for c in candidates])}. "
        "Name the one to use by `phone_column`, or each of several.",
        headings,
        candidates=candidates,
    )


def seen(headings: Sequence[str]) -> str:
    """Say what columns there are."""
    return f"The file has the columns {listed(headings)}."


def _most_telling(headings: Sequence[str], names: Sequence[str]) -> Column | None:
    keys = list(map(fold, headings))
    for name in names:
        if name in keys:
            index = keys.index(name)
            return Column(index, headings[index].strip(), "heading")
    return None
