"""Workbooks for tests: by openpyxl as people make them, by hand where no program would."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import openpyxl

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"


def saved(book: openpyxl.Workbook) -> bytes:
    """Give the bytes of a workbook."""
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def workbook(rows: Sequence[Sequence[Any]], title: str = "Contacts") -> bytes:
    """Make a workbook of one sheet."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = title
    for row in rows:
        sheet.append(list(row))
    return saved(book)


def packed(parts: Mapping[str, bytes]) -> bytes:
    """Make a ZIP archive."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return file.getvalue()


def by_hand(
    sheet_data: str = "",
    *,
    strings: str | None = None,
    styles: str | None = None,
    properties: str = "",
    changed: Mapping[str, bytes | None] | None = None,
) -> bytes:
    """Make a workbook of one sheet from its XML; `changed` parts stand for those it would have."""
    relations = f'<Relationship Id="r1" Type="{_OFFICE}/worksheet" Target="worksheets/s.xml"/>'
    parts: dict[str, bytes | None] = {
        "[Content_Types].xml": b"<Types/>",
        "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}"><Relationship Id="r1" '
        f'Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>'.encode(),
        "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}">{properties}<sheets>'
        '<sheet name="S" sheetId="1" r:id="r1"/></sheets></workbook>'.encode(),
        "xl/worksheets/s.xml": f'<worksheet xmlns="{_MAIN}"><sheetData>{sheet_data}</sheetData>'
        "</worksheet>".encode(),
    }
    for name, kind, root, content in (
        ("sharedStrings", "sharedStrings", "sst", strings),
        ("styles", "styles", "styleSheet", styles),
    ):
        if content is not None:
            relations += f'<Relationship Id="{kind}" Type="{_OFFICE}/{kind}" Target="{name}.xml"/>'
            parts[f"xl/{name}.xml"] = f'<{root} xmlns="{_MAIN}">{content}</{root}>'.encode()
    parts["xl/_rels/workbook.xml.rels"] = (
        f'<Relationships xmlns="{_PACKAGE}">{relations}</Relationships>'.encode()
    )
    parts |= changed or {}
    return packed({name: data for name, data in parts.items() if data is not None})
