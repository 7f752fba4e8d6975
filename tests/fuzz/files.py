"""Files as fuzzing sends them: mostly nearly right, which is where readers go wrong."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from tests.unit.workbooks import workbook

_PHONE = st.sampled_from(["phone", "Phone", "mobile", "Telefon", "电话"])
_OTHERS = st.sampled_from(["country", "id", "name", "Notes", "", "=1+1", "phone"])
_NUMBERS = st.sampled_from(
    [
        "+14155550100",
        "+442079460123",
        "030 23125 555",
        "(415) 555-0101 ext. 12",
        "0049 30 23125 555",
        "4.41782E+11",
        "911",
        "1-800-FLOWERS",
        "",
    ]
)
_CELLS = st.one_of(
    _NUMBERS, _NUMBERS, st.sampled_from(["US", "DE", "Germany"]), st.text(max_size=20)
)
#: What a workbook cannot hold.
_PLAIN = _CELLS.map(lambda text: "".join(filter(str.isprintable, text)))


@st.composite
def _table(draw: DrawFn, cells: SearchStrategy[str]) -> list[list[str]]:
    headings = [draw(_PHONE), *draw(st.lists(_OTHERS, max_size=3))]
    width = len(headings)
    whole = st.lists(cells, min_size=width, max_size=width)
    odd = st.lists(cells, max_size=width + 1)
    return [headings, *draw(st.lists(st.one_of(whole, whole, odd), min_size=1, max_size=8))]


def _as_csv(rows: Sequence[Sequence[str]], delimiter: str, encoding: str) -> bytes:
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter).writerows(rows)
    return file.getvalue().encode(encoding, "replace")


def _as_objects(rows: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
    return [dict(zip(rows[0], row, strict=False)) for row in rows[1:]]


@st.composite
def _damaged(draw: DrawFn, files: SearchStrategy[bytes]) -> bytes:
    """A file with a few bytes of it gone, doubled or changed."""
    content = bytearray(draw(files))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(content)))
        content[place : place + draw(st.integers(0, 4))] = draw(st.binary(max_size=4))
    return bytes(content)


def _nearly(files: SearchStrategy[bytes]) -> SearchStrategy[bytes]:
    return st.one_of(files, files, _damaged(files), st.binary(max_size=64))


_TEXTS = st.builds(
    _as_csv,
    _table(_CELLS),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
)
_ARRAYS = _table(_CELLS).map(lambda rows: json.dumps(_as_objects(rows)).encode())
_LINES = _table(_CELLS).map(
    lambda rows: "\n".join(json.dumps(one) for one in _as_objects(rows)).encode()
)

CSV = _nearly(_TEXTS)
JSON_ARRAY = _nearly(_ARRAYS)
JSON_LINES = _nearly(_LINES)
WORKBOOK = _nearly(_table(_PLAIN).map(workbook))
GZIP = _nearly(st.one_of(_TEXTS, _LINES).map(gzip.compress))
ANY = st.one_of(CSV, JSON_ARRAY, JSON_LINES, WORKBOOK, GZIP)
