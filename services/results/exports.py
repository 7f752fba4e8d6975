"""Files of a whole job, written page by page: its results, and its rejected rows. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from services.contracts.csv_cells import REJECTED_COLUMNS, neutral
from services.contracts.reject_reasons import SENTENCES
from services.results.contact_csv import csv_header, csv_row
from services.results.contacts import contact_of

_WAYS_OUT: Mapping[str, str] = {str(reason): said for reason, said in SENTENCES.items()}
#: By which spreadsheets know UTF-8.
_MARK = "\ufeff"
_CUT = "The row is too long to be given back whole: take it from your own file."
_UNKNOWN = "The row itself is not known any more: take it from your own file."


class ResultsCsv:
    """All contacts of a job as CSV, the columns that were kept among their fields."""

    def __init__(self, job: Mapping[str, Any]) -> None:
        """Take a job's row."""
        self._kept = kept_columns(job)

    def begin(self) -> str:
        """The row of headings."""
        return csv_text([csv_header(self._kept)])

    def page(self, rows: Iterable[Any]) -> str:
        """Rows of `requests`."""
        contacts = (contact_of(row).model_dump(mode="json") for row in rows)
        return csv_text(csv_row(contact, self._kept) for contact in contacts)


class ResultsJson:
    """All contacts of a job as JSON Lines, each as the API shows it."""

    def begin(self) -> str:
        """Nothing."""
        return ""

    def page(self, rows: Iterable[Any]) -> str:
        """Rows of `requests`."""
        return "".join(f"{contact_of(row).model_dump_json()}\n" for row in rows)


class RejectedCsv:
    """A job's rejected rows as they stood in the file, behind what is wrong with each.

    For a spreadsheet, to be mended and sent again: the delimiter is that of the file, so that
    what was said of it still holds.
    """

    def __init__(self, job: Mapping[str, Any]) -> None:
        """Take a job's row."""
        self._headings: list[str] = job["headings"] or []
        self._delimiter = found_in(job).get("delimiter") or ","

    def begin(self) -> str:
        """The row of headings."""
        return _MARK + csv_text([[*REJECTED_COLUMNS, *self._headings]], self._delimiter)

    def page(self, rows: Iterable[Any]) -> str:
        """Rows of `rejected`."""
        return csv_text(map(_rejected, rows), self._delimiter)


def found_in(job: Mapping[str, Any]) -> Mapping[str, Any]:
    """What ingest found in a job's file; nothing if it came in none, or long ago."""
    return job["options"].get("found") or {}


def kept_columns(job: Mapping[str, Any]) -> list[str] | None:
    """Headings of the columns that were kept of a job's file; None if it is none."""
    if job["state"] == "standing":
        return None
    return [column["column"] for column in found_in(job).get("kept") or ()]


def way_out(reason: str) -> str:
    """What is wrong with a rejected row and what to do; empty if the reason is of a later release."""
    return _WAYS_OUT.get(reason, "")


def csv_text(rows: Iterable[Sequence[str]], delimiter: str = ",") -> str:
    """Rows as CSV that no spreadsheet takes for formulas (`services.contracts.csv_cells`)."""
    text = io.StringIO()
    usual = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    # The writer knows of its own line ends only that they need quotes.
    quoting = csv.writer(text, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for row in rows:
        cells = [neutral(cell) for cell in row]
        writer = quoting if any("\r" in cell for cell in cells) else usual
        writer.writerow(cells)
    return text.getvalue()


def _rejected(row: Mapping[str, Any]) -> list[str]:
    said = [way_out(row["reason"])]
    if row["cells"] is None:
        said.append(_UNKNOWN)
    elif row["cut"]:
        said.append(_CUT)
    return [
        str(row["row_number"]),
        row["column_name"] or "",
        row["reason"],
        " ".join(filter(None, said)),
        *(row["cells"] or ()),
    ]
