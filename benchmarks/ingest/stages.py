"""Where ingest's time goes: each stage alone, over the same file.

A stage is measured with those it needs before it, and what those take is taken off.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from services.contracts.packages import Package
from services.ingest.accept import Accepted, Judge, Terms
from services.ingest.ids import request_ids
from services.ingest.options import Options
from services.ingest.parse import Row, open_contacts
from services.ingest.phone import normalise
from services.ingest.spool import Spool, SpooledFile
from services.ingest.tables.opening import Said, open_table
from services.ingest.tally import Tally
from services.runtime.kafka import partition_of

#: A file is read whole before anything is published, and then again for its contacts.
_READINGS = 2
#: The mean counts, as what they are taken off is one too.
_TRIALS = 3
#: Bytes, more than are needed.
_ROOM = 1024**3


def _seconds(work: Callable[[], Iterable[object]]) -> float:
    started = time.process_time()
    deque(work(), maxlen=0)
    return time.process_time() - started


def stages(path: Path, rows: int, partitions: int) -> dict[str, float]:
    """Give microseconds of CPU for each row of a CSV file, by stage."""
    with Spool(path.parent, _ROOM, _ROOM).open(0) as file:
        asyncio.run(file.fill(_chunks(path.read_bytes())))
        return _stages(file, rows, partitions)


async def _chunks(data: bytes) -> AsyncIterator[bytes]:
    yield data


def _stages(file: SpooledFile, rows: int, partitions: int) -> dict[str, float]:
    table = open_table(file, Said(), lambda: None)
    contacts = open_contacts(file, Options(), is_json=False)
    terms = Terms(
        job_id=UUID(int=1),
        source="benchmark",
        account="default",
        packages=(Package.BASIC,),
        fresh_for=0.0,
        content="0" * 64,
        sheet="",
        accepted_at=datetime.now(UTC),
        phones=contacts.columns.phones,
    )
    judge = Judge(terms)
    taken = list(contacts.rows())
    written = [row for row in taken if isinstance(row, Row)]
    phones = [made.phone for row in taken if isinstance(made := judge.judge(row), Accepted)]
    id_of = request_ids(terms.job_id, terms.content, terms.sheet, "Phone")
    tally = Tally(file.scratch)

    def cost(work: Callable[[], Iterable[object]]) -> float:
        return sum(_seconds(work) for _ in range(_TRIALS)) / _TRIALS * 1e6 / rows

    cells = cost(table.rows)
    filled = cost(contacts.filled)
    columns = cost(contacts.rows)
    numbers = cost(lambda: (normalise(row.phone_text, row.country) for row in written))
    ids = cost(lambda: (id_of(row.number) for row in written))
    records = cost(lambda: map(judge.judge, taken))
    return {
        "bytes to cells": _READINGS * cells,
        "cells to contacts": _READINGS * (filled - cells) + columns - filled,
        "numbers": numbers,
        "ids": ids,
        "records": records - numbers - ids,
        "counting": cost(lambda: map(tally.accept, phones)),
        "partitions": cost(lambda: (partition_of(phone.encode(), partitions) for phone in phones)),
    }
