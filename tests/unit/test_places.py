from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition

from services.results.places import PlaceOutsideLogError, Places, check_place
from services.results.writer import stamp
from services.runtime.health import Readiness


@pytest.mark.parametrize("stored", [5, 7, 9])
def test_a_place_in_the_log_is_right(stored: int) -> None:
    """Anything from the first record to the end is a place, the end of an empty log too."""
    check_place(("contacts", 0), stored, 5, 9)
    check_place(("contacts", 0), stored, stored, stored)


@pytest.mark.parametrize(
    ("stored", "told"), [(4, "no longer has the records 4 to 4"), (10, "log ends at 9")]
)
def test_a_place_outside_says_the_way_out(stored: int, told: str) -> None:
    """Before the log's start records are lost, beyond its end the topic is another one."""
    with pytest.raises(PlaceOutsideLogError, match=told) as raised:
        check_place(("contacts", 3), stored, 5, 9)
    assert "SET next_offset = 5 WHERE topic = 'contacts' AND partition = 3" in str(raised.value)


@pytest.mark.parametrize("milliseconds", [-1, 10**18])
def test_a_stamp_that_is_no_time_stops_nothing(milliseconds: int) -> None:
    """A record's timestamp is what its producer wrote, sane or not."""
    assert stamp(milliseconds).year in {1969, 1970}


def test_a_revocation_makes_it_unready_until_the_next_assignment() -> None:
    """An assignment of nothing is one too; to read the places anew is no reason to wait."""
    nothing: Any = None
    readiness = Readiness("assignment")
    places = Places(nothing, nothing, readiness)
    assert readiness.missing == {"assignment": "not yet"}
    places.on_partitions_assigned([TopicPartition("lookup.results", 0)])
    places.lose()
    assert readiness.missing == {}
    places.on_partitions_revoked([TopicPartition("lookup.results", 0)])
    assert readiness.missing == {"assignment": "revoked"}
    places.on_partitions_assigned([])
    assert readiness.missing == {}


def test_a_batch_that_begins_later_is_read_again() -> None:
    """What is stored already is left out; a hole is believed only when it is met once more."""
    nothing: Any = None
    places = Places(nothing, nothing, Readiness("assignment"))
    place = TopicPartition("lookup.results", 0)
    places._next[place] = 5

    def admitted(*offsets: int) -> list[int]:
        records: list[Any] = [SimpleNamespace(offset=offset) for offset in offsets]
        return [record.offset for record in places.admit({place: records})]

    places._settled = True
    assert (admitted(4, 5, 6), places._settled) == ([5, 6], True)
    assert (admitted(7, 8), places._settled) == ([], False)
    assert admitted(7, 8) == [7, 8]
