"""How far a consumer is in its partitions, as three metrics that are read at each scrape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

from services.runtime.measured import Sample
from services.runtime.metrics import CONSUMER_ASSIGNED, CONSUMER_LAG, CONSUMER_POSITION


class Standing(NamedTuple):
    """Where a consumer stands in one partition that it has been given."""

    topic: str
    partition: int
    #: The offset of the next record to be done with; None while it is not known.
    position: int | None
    #: The end of the log, as last heard; None before that.
    end: int | None


def show_standing(
    group: str, topics: Iterable[str], read: Callable[[], Iterable[Standing]]
) -> None:
    """Show the one consumer of this program from now on.

    Args:
        group: Its group.
        topics: What it is subscribed to.
        read: Every partition it has now. It is called in the event loop and must not raise.
    """
    none = dict.fromkeys(topics, 0)

    def labels(one: Standing) -> tuple[str, str, str]:
        return group, one.topic, str(one.partition)

    def assigned() -> Iterable[Sample]:
        counts = none | Counter(one.topic for one in read())
        return [((topic,), count) for topic, count in counts.items()]

    def positions() -> Iterable[Sample]:
        return [(labels(one), one.position) for one in read() if one.position is not None]

    def lags() -> Iterable[Sample]:
        return [
            (labels(one), max(0, one.end - one.position))
            for one in read()
            if one.position is not None and one.end is not None
        ]

    CONSUMER_ASSIGNED.read_from(assigned)
    CONSUMER_POSITION.read_from(positions)
    CONSUMER_LAG.read_from(lags)
