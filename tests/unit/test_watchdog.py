"""What the watchdog takes for hung, and what it does not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from services.lookup.watchdog import CALL_GRACE, UNCOMMITTED_LIMIT, Watch

LONGEST = 13.0


class Place(NamedTuple):
    topic: str
    partition: int


P0, P1 = Place("contacts", 0), Place("contacts", 1)


@dataclass
class Seen:
    """What stands at one look."""

    unanswered_since: float | None = None
    uncommitted: Mapping[Place, int] = field(default_factory=dict)
    confirmed: Mapping[Place, int] = field(default_factory=dict)
    heartbeats: bool = True


def watch(
    seen: Callable[[int], Seen], *, until: int = 100, still: range = range(0)
) -> tuple[int, str] | None:
    """Look every second, but in `still`; the second and the words of the first that hangs."""
    watch = Watch(LONGEST)
    for now in range(until):
        if now in still:
            continue
        at = seen(now)
        hangs = watch.look(
            float(now),
            unanswered_since=at.unanswered_since,
            uncommitted=at.uncommitted,
            confirmed=at.confirmed,
            heartbeats=at.heartbeats,
        )
        if hangs is not None:
            return now, hangs
    return None


def test_a_call_without_an_end_long_after_the_longest_call_hangs() -> None:
    """A call has time-outs of its own; one that outlives them by far is lost."""
    found = watch(lambda now: Seen(unanswered_since=5.0 if now >= 5 else None))
    assert found is not None
    second, words = found
    assert second == 5 + LONGEST + CALL_GRACE + 1
    assert "neither answered nor failed" in words


def test_calls_that_end_never_hang() -> None:
    """However many follow one another."""
    assert watch(lambda now: Seen(unanswered_since=now - LONGEST), until=200) is None


def test_a_call_hangs_also_while_kafka_is_away() -> None:
    """Whether it ends has nothing to do with heartbeats."""
    assert watch(lambda _: Seen(unanswered_since=0.0, heartbeats=False)) is not None


def test_done_work_that_stays_uncommitted_hangs() -> None:
    """Of one partition, though another is committed all the time."""

    def seen(now: int) -> Seen:
        return Seen(uncommitted={P0: 7, P1: now}, confirmed={P0: 3, P1: now - 1})

    found = watch(seen)
    assert found is not None
    second, words = found
    assert second == UNCOMMITTED_LIMIT + 1
    assert "contacts/0 stays uncommitted" in words


def test_commits_that_follow_the_work_do_not_hang() -> None:
    """Under load there is always something uncommitted; it is never the same."""
    assert (
        watch(lambda now: Seen(uncommitted={P0: now + 10}, confirmed={P0: now}), until=300) is None
    )


def test_an_outage_of_kafka_is_not_work_that_hangs() -> None:
    """While heartbeats fail nothing can be committed; afterwards the time counts from new."""

    def seen(now: int) -> Seen:
        return Seen(uncommitted={P0: 7}, confirmed={P0: 3}, heartbeats=not 20 <= now < 80)

    assert watch(seen, until=100) is None
    assert watch(seen, until=200) is not None


def test_the_time_that_the_process_stood_still_does_not_count() -> None:
    """Frozen for a minute, it works off what came meanwhile: neither a call nor a commit hung."""

    def seen(now: int) -> Seen:
        # Worked off five seconds after it woke up.
        over = now >= 85
        return Seen(
            unanswered_since=None if over else 10.0,
            uncommitted={} if over else {P0: 7},
            confirmed={P0: 3},
        )

    assert watch(seen, still=range(15, 80)) is None


def test_what_hangs_still_hangs_after_it_stood_still() -> None:
    """Standing still only puts it off."""
    found = watch(lambda _: Seen(unanswered_since=10.0), until=200, still=range(15, 80))
    assert found is not None
    assert found[0] == 80 + LONGEST + CALL_GRACE + 1


def test_nothing_done_is_nothing_uncommitted() -> None:
    """What waits before a call, for an outcome's acknowledgement or on a hold is not done."""
    assert watch(lambda _: Seen(), until=300) is None
