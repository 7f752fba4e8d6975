"""How cells stand in the CSV files that we write, and are read back. Pure.

A spreadsheet takes a cell that begins with one of `= + - @`, a tab or a line break for a
formula, and a formula can send what stands beside it anywhere. Such a cell gets an apostrophe
before it, with which spreadsheets mark text, unless it is a plain number: `+14155550100` and
`-12.50` are no formulas, and stay as every program reads them. Apostrophes that stand there
already get one more, so that taking one off gives back what was.

Spreadsheets of half the world separate cells by semicolons, the other half by commas, and
whichever the file has, the other kind cuts its cells there and at line breaks, quoted or not.
So what follows such a place within a cell is looked at as if it began one.

What a formula begins with is OWASP's list under "CSV injection", full-width signs included.
"""

from __future__ import annotations

import re

#: Stand before the sender's own columns in a file of rejected rows, which is mended and sent
#: again; ingest passes over them.
REJECTED_COLUMNS = ("rejected.row", "rejected.column", "rejected.reason", "rejected.way_out")

_SIGNS = "=+\\-@\uff1d\uff0b\uff0d\uff20"
_CUTS = ",;\t\r\n"
_NUMBER = r"[+-][0-9]+(?:[.,][0-9]+)?"
_PLAIN = re.compile(_NUMBER)
_FORMULA = re.compile(rf"'*[{_SIGNS}\t\r\n]")
_MARKED = re.compile(rf"'+[{_SIGNS}\t\r\n]")
# White space and quotes may stand before a sign that begins a cell after a cut.
_FORMULA_WITHIN = re.compile(rf"""([{_CUTS}]["\s]*)(?!{_NUMBER}(?:[{_CUTS}]|\Z))('*[{_SIGNS}])""")
_MARKED_WITHIN = re.compile(rf"""([{_CUTS}]["\s]*)'('*[{_SIGNS}])""")


def neutral(cell: str) -> str:
    """Give a cell as it stands in CSV: text that no spreadsheet takes for a formula.

    >>> neutral("=1+1"), neutral("+14155550100"), neutral("+1 415 555 0100")
    ("'=1+1", '+14155550100', "'+1 415 555 0100")
    >>> neutral("Smith; =1+1")
    "Smith; '=1+1"
    """
    begins = _FORMULA.match(cell) and not _PLAIN.fullmatch(cell)
    marked = _FORMULA_WITHIN.sub(r"\1'\2", cell)
    return f"'{marked}" if begins else marked


def plain(cell: str) -> str:
    """Give back what `neutral` was given; a cell without such an apostrophe is the same object.

    >>> plain("'=1+1"), plain("O'Brien"), plain("'quoted'")
    ('=1+1', "O'Brien", "'quoted'")
    """
    begun = cell[1:] if _MARKED.match(cell) else cell
    return _MARKED_WITHIN.sub(r"\1\2", begun) if _MARKED_WITHIN.search(begun) else begun
