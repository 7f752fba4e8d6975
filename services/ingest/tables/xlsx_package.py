"""Opens the ZIP archive that a workbook is, and finds its parts, each of a bounded size."""

from __future__ import annotations

import io
import posixpath
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, BinaryIO, cast

from services.ingest.parse_error import ParseError
from services.ingest.tables.table import read_head
from services.ingest.tables.unpack import check_size
from services.ingest.tables.watched import Watched
from services.ingest.tables.xlsx_values import Format, format_of
from services.ingest.tables.xlsx_xml import Attributes, Events, damaged, relation_of

#: Bytes of a list of parts, or of a part that is kept in memory for what it says.
_MAX_DIRECTORY = 4 * 1024 * 1024
_MAX_PART = 16 * 1024 * 1024
_ENCRYPTED = 1
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
#: What `zipfile` and `zlib` raise for archives that are damaged or not what they seem.
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    ValueError,
    NotImplementedError,
    OverflowError,
)

_OTHER_PACKAGES = {
    "xl/workbook.bin": "a binary Excel workbook (.xlsb)",
    "word/document.xml": "a Word document (.docx)",
    "ppt/presentation.xml": "a PowerPoint presentation (.pptx)",
    "Index/Document.iwa": "an Apple Numbers or Pages document",
}


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet with cells."""

    name: str
    part: str
    hidden: bool


@dataclass(frozen=True, slots=True)
class Workbook:
    """What a workbook says of itself."""

    sheets: tuple[Sheet, ...]
    since_1904: bool
    #: By the number of a cell's style.
    formats: tuple[Format, ...]
    #: The part with the shared strings, if there are any.
    strings: str | None


class _ShortReads(io.RawIOBase):
    """A file of which only so much is read at once: an archive's list of parts is, whole."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int = -1, /) -> bytes:
        if size > _MAX_DIRECTORY:
            raise zipfile.BadZipFile
        if size < 0:
            size = _MAX_DIRECTORY
        return read_head(self._file, size)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True


class Package:
    """An open archive.

    Args:
        file: The archive; can seek.
        on_progress: Called for everything that is read of a part.

    Raises:
        ParseError: It is damaged, or no workbook.
    """

    def __init__(self, file: BinaryIO, on_progress: Callable[[], None]) -> None:
        self._on_progress = on_progress
        with _as_damage():
            self._archive = zipfile.ZipFile(_ShortReads(file))
            self._names = {name.lower(): name for name in self._archive.namelist()}

    @contextmanager
    def part(self, name: str, *, kept: bool = False) -> Iterator[IO[bytes]]:
        """Open a part.

        Args:
            name: Its path in the archive; case makes no difference.
            kept: What it says is kept in memory, so that it must be small.

        Raises:
            ParseError: It is not there, damaged, encrypted, or too large.
        """
        with _as_damage():
            found = self._names.get(name.lower())
            if found is None:
                raise damaged(f"its part {_shown(name)} is missing")
            info = self._archive.getinfo(found)
            if info.flag_bits & _ENCRYPTED or info.compress_type not in _METHODS:
                raise damaged(f"its part {_shown(name)} cannot be unpacked")
            check_size(info.compress_size, info.file_size)
            if kept and info.file_size > _MAX_PART:
                raise damaged(f"its part {_shown(name)} is too large")
            with self._archive.open(info) as part:
                yield cast("IO[bytes]", Watched(part, self._on_progress))

    def workbook(self) -> Workbook:
        """Read what the workbook says of itself.

        Raises:
            ParseError: It is none, or damaged.
        """
        self._check_kind()
        main = next(
            (target for _, kind, target in self._relations("") if kind == "officeDocument"), None
        )
        if main is None:
            raise damaged("it does not say where its workbook is")
        relations = {name: (kind, part) for name, kind, part in self._relations(main)}
        parts = {kind: part for kind, part in relations.values() if kind != "worksheet"}
        sheets: list[Sheet] = []
        since_1904 = False

        def sheet(attributes: Attributes) -> None:
            kind, part = relations.get(relation_of(attributes) or "", ("", ""))
            if kind == "worksheet":
                hidden = attributes.get("state", "visible") != "visible"
                sheets.append(Sheet(attributes.get("name", ""), part, hidden))

        def properties(attributes: Attributes) -> None:
            nonlocal since_1904
            since_1904 = attributes.get("date1904") in {"1", "true"}

        self._go_over(main, Events({"sheet": sheet, "workbookPr": properties}, {}))
        formats = self._formats(parts["styles"]) if "styles" in parts else ()
        return Workbook(tuple(sheets), since_1904, formats, parts.get("sharedStrings"))

    def _check_kind(self) -> None:
        names = self._archive.namelist()
        if "mimetype" in names:
            raise ParseError(
                "open-document",
                "The file is an OpenDocument spreadsheet (.ods) or another such document. "
                "Save it as .xlsx or as CSV and send that.",
            )
        for name, kind in _OTHER_PACKAGES.items():
            if name in names:
                raise ParseError(
                    "not-a-table", f"The file is {kind}. Save it as .xlsx or as CSV and send that."
                )
        if "[content_types].xml" not in self._names:
            raise ParseError(
                "zip-archive",
                "The file is a ZIP archive and no workbook. Unpack it, and send each file in it "
                "by itself; gzip is taken if it has to be compressed.",
            )

    def _relations(self, part: str) -> list[tuple[str, str, str]]:
        """Read what a part refers to: the relation's id, the last word of its type, the part."""
        folder, name = posixpath.split(part)
        found: list[tuple[str, str, str]] = []

        def relation(attributes: Attributes) -> None:
            kind = attributes.get("Type", "").rpartition("/")[2]
            if attributes.get("TargetMode") != "External":
                # From the archive's root if it begins with a slash, else from the part's folder.
                target = posixpath.join("/", folder, attributes.get("Target", ""))
                path = posixpath.normpath(target).lstrip("/")
                found.append((attributes.get("Id", ""), kind, path))

        self._go_over(
            posixpath.join(folder, "_rels", f"{name}.rels"), Events({"Relationship": relation}, {})
        )
        return found

    def _formats(self, part: str) -> tuple[Format, ...]:
        codes: dict[str, str] = {}
        formats: list[Format] = []
        in_cells = False

        def code(attributes: Attributes) -> None:
            codes[attributes.get("numFmtId", "")] = attributes.get("formatCode", "")

        def cells_start(_: Attributes) -> None:
            nonlocal in_cells
            in_cells = True

        def cells_end() -> None:
            nonlocal in_cells
            in_cells = False

        def style(attributes: Attributes) -> None:
            if in_cells:
                number = attributes.get("numFmtId", "0")
                known = int(number) if number.isascii() and number.isdigit() else 0
                formats.append(format_of(known, codes.get(number)))

        self._go_over(
            part,
            Events({"numFmt": code, "cellXfs": cells_start, "xf": style}, {"cellXfs": cells_end}),
        )
        return tuple(formats)

    def _go_over(self, name: str, events: Events) -> None:
        with self.part(name, kept=True) as part:
            for _ in events.read(part, _shown(name)):
                pass


@contextmanager
def _as_damage() -> Iterator[None]:
    """Turn what a broken archive raises into the one error."""
    try:
        yield
    except ParseError:
        # It is a ValueError too.
        raise
    except _BROKEN:
        raise damaged("the ZIP archive that it is cannot be read") from None


def _shown(name: str) -> str:
    return name if name.isascii() and name.isprintable() and len(name) < 100 else "?"  # noqa: PLR2004 - fits a line
