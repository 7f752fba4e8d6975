"""Whether the Kafka that an outcome goes to is the one that results has read."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from services.contracts.messages import LookupRequest
from services.contracts.packages import Package
from services.contracts.topics import topic_table
from services.lookup.intake import Taken
from services.lookup.memory import Memory
from services.lookup.outlet import Outlet
from services.runtime.kafka import Publisher
from services.runtime.program import FaultError

TOPICS = topic_table()
PARKED = TOPICS.parked.name
REQUEST = LookupRequest.model_validate(
    {
        "request_id": "7d0a6a54-1c7e-5c52-8f0b-52f1f8a0c3d9",
        "job_id": "7d0a6a54-1c7e-5c52-8f0b-52f1f8a0c3d8",
        "source": "tests",
        "account": "main",
        "phone": "+14155550100",
        "packages": (Package.BASIC,),
        "accepted_at": datetime(2026, 11, 24, tzinfo=UTC),
        "waits_for": ("account:main:person",),
    }
)


def _nothing() -> None: ...


class Written:
    """An outlet, where its next record will stand, and what is known of results meanwhile."""

    def __init__(self, offset: int) -> None:
        self.offset = offset
        self.memory = Memory(10)
        self.outlet = Outlet(cast("Publisher", self), TOPICS, self.memory)
        self.meanwhile: Callable[[], None] = _nothing

    async def publish(self, _topic: str, _value: bytes, **_place: Any) -> Any:
        self.meanwhile()
        return SimpleNamespace(offset=self.offset)

    async def park(self) -> None:
        message = SimpleNamespace(tp=SimpleNamespace(topic="contacts", partition=7), key=b"k")
        await self.outlet.park(Taken(SimpleNamespace(message=message)), REQUEST)


async def test_an_outcome_below_what_is_stored_stops_the_program() -> None:
    """A topic that was made anew counts from 0: what is written there would pass for stored."""
    written = Written(offset=0)
    written.memory.forget_stored({(PARKED, 7): 5_000})
    with pytest.raises(FaultError, match=r"results has stored all below 5000.*made anew"):
        await written.park()
    assert len(written.memory) == 0


@pytest.mark.parametrize(
    "stored", [{}, {(PARKED, 7): 8}, {(PARKED, 6): 5_000}, {("lookup.results", 7): 5_000}]
)
async def test_an_outcome_at_the_end_of_the_log_is_remembered(
    stored: dict[tuple[str, int], int],
) -> None:
    """Behind all that is stored of its own partition; others do not matter."""
    written = Written(offset=8)
    written.memory.forget_stored(stored)
    await written.park()
    assert len(written.memory) == 1


async def test_results_may_be_told_of_it_first() -> None:
    """An acknowledgement that comes late, when the record is stored already, is none of this."""
    written = Written(offset=8)
    written.memory.forget_stored({(PARKED, 7): 8})
    written.meanwhile = lambda: written.memory.forget_stored({(PARKED, 7): 9})
    await asyncio.wait_for(written.park(), 10)
