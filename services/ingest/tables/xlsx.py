"""Opens an Excel workbook (.xlsx, .xlsm) and chooses the sheet to read."""

from __future__ import annotations

from collections.abc import Callable

from services.ingest.parse_error import ParseError
from services.ingest.shown import listed, shown
from services.ingest.tables.table import Rows, Source
from services.ingest.tables.xlsx_package import Package, Sheet, Workbook
from services.ingest.tables.xlsx_sheet import Meanings, has_text, sheet_rows
from services.ingest.tables.xlsx_strings import Strings


def xlsx_table(
    open_package: Callable[[], Package],
    source: Source,
    named: str | None,
) -> tuple[str, Callable[[], Rows]]:
    """Choose a sheet, and give its name with what reads its rows from their start.

    Args:
        open_package: Opens the workbook anew.
        source: Where the shared strings can go.
        named: The sheet that the sender asks for.

    Raises:
        ParseError: It is no workbook, damaged, or it is not clear which sheet to read.
    """
    package = open_package()
    workbook = package.workbook()
    strings = Strings(source.scratch(), source.scratch())
    if workbook.strings is not None:
        with package.part(workbook.strings) as part:
            strings.fill(part, workbook.strings)
    meanings = Meanings(strings, workbook.formats, workbook.since_1904)
    sheet = _only(workbook, package, meanings) if named is None else _named(workbook, named)

    def rows() -> Rows:
        with open_package().part(sheet.part) as part:
            yield from sheet_rows(part, sheet.part, meanings)

    return sheet.name, rows


def _named(workbook: Workbook, name: str) -> Sheet:
    # Spreadsheet programs know no difference of case in the names of sheets.
    for same in (str, str.casefold):
        for sheet in workbook.sheets:
            if same(sheet.name.strip()) == same(name.strip()):
                return sheet
    seen = [sheet.name for sheet in workbook.sheets if not sheet.hidden]
    raise ParseError(
        "no-such-sheet",
        f"No sheet is called {shown(name)}. There are: {listed(seen)}. Correct `sheet`.",
    )


def _only(workbook: Workbook, package: Package, meanings: Meanings) -> Sheet:
    filled: list[Sheet] = []
    for sheet in workbook.sheets:
        if sheet.hidden:
            continue
        with package.part(sheet.part) as part:
            if has_text(part, sheet.part, meanings):
                filled.append(sheet)
    if not filled:
        raise ParseError(
            "empty-file",
            "No sheet of the workbook has any text, those that are hidden aside. Name a hidden "
            "one by `sheet`, or send a sheet with a row of headings, one of them 'Phone'.",
        )
    if len(filled) > 1:
        raise ParseError(
            "several-sheets",
            f"Several sheets have rows: {listed([sheet.name for sheet in filled])}. "
            "Name the one to read by `sheet`.",
        )
    return filled[0]
