"""A file is seen to be read on wherever no rows come of it, so that nobody takes it for stuck."""

import gzip

import pytest

from services.ingest.options import Options
from services.ingest.parse import Row, open_contacts
from services.ingest.tables.table import CHUNK
from tests.unit.held_source import HeldSource
from tests.unit.workbooks import by_hand

#: Bytes of what holds nothing, at the least.
NOTHING = 32 * CHUNK
PHONE = "+12025550123"
EMPTY_LINES = "\n" * NOTHING
EMPTY_CELLS = f"<row>{'<c/>' * 16_000}</row>" * (NOTHING // 64_000 + 1)


def sheet(*values: str) -> bytes:
    """Make a sheet with empty rows before its last row."""
    heading, contact = (
        f'<row><c t="inlineStr"><is><t>{value}</t></is></c></row>' for value in values
    )
    return by_hand(heading + EMPTY_CELLS + contact)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(f"Phone\n{EMPTY_LINES}{PHONE}\n".encode(), id="csv"),
        pytest.param(gzip.compress(f"Phone\n{EMPTY_LINES}{PHONE}\n".encode()), id="gzip"),
        pytest.param(f'{{"Phone":""}}\n{EMPTY_LINES}{{"Phone":"{PHONE}"}}\n'.encode(), id="lines"),
        pytest.param(f'[{{"Phone":""}},{EMPTY_LINES}{{"Phone":"{PHONE}"}}]'.encode(), id="array"),
        pytest.param(sheet("Phone", PHONE), id="xlsx"),
    ],
)
def test_progress_is_told_by_what_is_read_and_not_by_rows(data: bytes) -> None:
    """Two megabytes without a row are told part by part while the rows are gone over."""
    told = 0

    def tell() -> None:
        nonlocal told
        told += 1

    contacts = open_contacts(HeldSource(data), Options(), is_json=False, on_progress=tell)
    told = 0
    rows = list(contacts.rows())
    assert isinstance(rows[-1], Row)
    assert (rows[-1].phone_text, len(rows) <= 2) == (PHONE, True)
    assert told >= NOTHING // CHUNK
