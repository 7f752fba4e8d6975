"""The rule of the adaptive limit, step by step; what it comes to is in `test_adaptive_goals`."""

import pytest

from services.lookup.adaptive import AdaptiveLimit


def law(ceiling: int = 100, part: float = 1.0, *, level: float = 1.0) -> AdaptiveLimit:
    made = AdaptiveLimit(0.0, level=level)
    made.resize(ceiling, part)
    return made


def use(limit: AdaptiveLimit, since: float, seconds: float, every: float = 0.1) -> float:
    """Answers at so many a second, with all in use; gives the time of the last."""
    now = since
    for step in range(round(seconds / every)):
        now = since + (step + 1) * every
        limit.answered(now - every, now, limit.limit)
    return now


def test_without_a_share_no_call() -> None:
    """Before the first assignment, and with no partitions, nothing may be sent."""
    limit = AdaptiveLimit(0.0)
    assert limit.limit == 0
    limit.resize(10, 0.5)
    assert limit.limit == 1
    limit.resize(0, 0.0)
    assert limit.limit == 0


def test_it_begins_with_one_call_and_doubles_up_to_its_share() -> None:
    """Each answer allows one more call until the first refusal."""
    limit, seen = law(10), []
    for trip in range(1, 6):
        for _ in range(limit.limit):
            limit.answered(trip, trip, limit.limit)
        seen.append(limit.limit)
    assert seen == [2, 4, 8, 10, 10]


def test_a_limit_that_is_not_used_does_not_grow() -> None:
    """Answers with fewer calls out than allowed say nothing of more."""
    limit = law(level=8)
    limit.answered(1, 1, 7)
    assert limit.limit == 8
    limit.answered(1, 1, 8)
    assert limit.limit == 9


def test_time_without_use_does_not_count() -> None:
    """After a refusal the limit returns by seconds of use, not by the hours of a night."""
    idle, used = law(level=40), law(level=40)
    for limit in (idle, used):
        limit.refused(0, 1, 40)
    idle.answered(1800, 1800.1, 1)
    idle.answered(3600, 3600.1, idle.limit)
    use(used, 1, 60)
    assert (idle.limit, used.limit > 40) == (32, True)


def test_a_refusal_takes_a_fifth_off_once_in_a_round_trip() -> None:
    """Refusals of calls sent before the last decrease tell of the same moment."""
    limit = law(level=40)
    limit.refused(0.5, 1.0, 40)
    assert limit.limit == 32
    for _ in range(10):
        limit.refused(0.9, 1.1, 40)
    assert limit.limit == 32
    limit.refused(1.2, 1.3, 40)
    assert limit.limit == 25


def test_an_answer_of_a_call_from_before_does_not_count_either() -> None:
    """Forty answers of calls that were out at the decrease do not undo it."""
    limit = law(level=40)
    limit.refused(0.5, 1.0, 40)
    for _ in range(40):
        limit.answered(0.9, 30.0, 40)
    assert limit.limit == 32


def test_refused_far_below_its_limit_it_falls_to_what_was_out() -> None:
    """With 10 calls out of 40 allowed, somebody else uses the account: 8 is the next limit."""
    limit = law(level=40)
    limit.refused(0.5, 1.0, 10)
    assert limit.limit == 8


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(10, 36), (21, 39), (42, 40), (46, 41), (59, 94), (80, 200)],
)
def test_it_returns_to_where_it_was_refused_and_then_beyond(seconds: int, expected: int) -> None:
    """Quickly at first and slowly toward it, then slowly at first and ever faster."""
    limit = law(200, level=40)
    limit.refused(0, 0, 40)
    limit.answered(0, 0, 32)
    use(limit, 0, seconds)
    assert limit.limit == expected


def test_processes_together_try_for_more_as_one_does() -> None:
    """Beyond the level of the refusal each of four grows by a quarter of what one would."""
    one, of_four = law(200, level=40), law(50, 0.25, level=10)
    for limit in (one, of_four):
        limit.refused(0, 0, 100)
        use(limit, 0, 54)
    assert one.limit - 40 == pytest.approx(4 * (of_four.limit - 10), abs=4)


def test_the_floor_is_one_call() -> None:
    """However often it is refused, one call remains: it is how the end of it is noticed."""
    limit = law(level=5)
    for now in range(1, 10_000, 2):
        limit.refused(now, now + 1, limit.limit)
    assert (limit.limit, limit.opens_at - now) == (1, 9)


@pytest.mark.parametrize(("refusals", "expected"), [(2, 1), (3, 16)])
def test_after_an_outage_it_doubles_again(refusals: int, expected: int) -> None:
    """Refused thrice even at one call, it has nothing to return to; twice, it climbs slowly."""
    limit = law()
    for now in range(refusals):
        limit.refused(now, now, 1)
    for trip in range(10, 14):
        for _ in range(limit.limit):
            limit.answered(trip, trip + 0.1, limit.limit)
    assert limit.limit == expected


@pytest.mark.parametrize(
    ("retry_after", "pauses"),
    [
        (None, [0.25, 0.5, 1, 2, 4, 8, 8]),
        (3.0, [3, 3, 3, 3, 4, 8, 8]),
        (10.0, [10] * 7),
        (3600.0, [60] * 7),
    ],
)
def test_refused_at_the_floor_it_pauses(retry_after: float | None, pauses: list[int]) -> None:
    """Longer each time, and at least as long as Twilio says, within a minute."""
    limit, now, seen = law(), 0.0, []
    for _ in pauses:
        limit.refused(now, now, 1, retry_after)
        seen.append(limit.opens_at - now)
        now = limit.opens_at
    assert seen == pauses


def test_an_answer_ends_the_pauses() -> None:
    """The next refusal at the floor is the first one again."""
    limit = law()
    for now in (0.0, 10.0):
        limit.refused(now, now, 1)
    limit.answered(20, 20, 1)
    limit.refused(30, 30, 1)
    assert limit.opens_at == 30.25


def test_above_the_floor_there_is_no_pause() -> None:
    """Fewer calls are out instead, whatever `Retry-After` says to the one that was refused."""
    limit = law(level=10)
    limit.refused(5, 5, 10, 30.0)
    assert limit.opens_at <= 5


def test_a_restart_begins_with_one_call() -> None:
    """As at the start, without what was learned; and calls from before it do not count."""
    limit = law(level=40)
    limit.refused(1, 1, 40)
    limit.restart(2)
    limit.answered(1.5, 3, 1)
    limit.refused(1.5, 3, 1)
    assert (limit.limit, limit.opens_at) == (1, 2)
    for _ in range(3):
        limit.answered(3, 4, limit.limit)
    assert limit.limit == 4


@pytest.mark.parametrize(
    ("refused", "ceiling", "part", "expected"),
    [
        (False, 50, 0.5, 10),  # of 20 with all partitions, half with half of them
        (False, 5, 0.5, 5),  # never above the share
        (False, 1, 0.01, 1),  # never below one call
        (True, 50, 0.5, 8),
    ],
)
def test_a_smaller_share_makes_it_smaller_in_proportion(
    refused: bool,
    ceiling: int,
    part: float,
    expected: int,
) -> None:
    """What others now have is theirs at once."""
    limit = law(level=20)
    if refused:
        limit.refused(0, 0, 20)
    limit.resize(ceiling, part)
    assert limit.limit == expected


def test_a_larger_share_never_refused_is_taken_in_proportion() -> None:
    """Not the ceiling: 20 of 50 with half the partitions are 40 of 100 with all."""
    limit = law(50, 0.5, level=20)
    limit.resize(100, 1.0)
    assert limit.limit == 40


def test_a_larger_share_that_was_refused_is_taken_up_like_a_return() -> None:
    """All but a fifth of the proportion, and the rest by the curve; never less than it had."""
    limit = law(50, 0.5, level=25)
    limit.refused(0, 0, 25)
    limit.resize(100, 1.0)
    assert limit.limit == 32
    use(limit, 0, 41)
    assert limit.limit == 50
    slightly = law(50, 0.5, level=25)
    slightly.refused(0, 0, 25)
    slightly.resize(55, 0.55)
    assert slightly.limit == 20


def test_no_partitions_for_a_while_do_not_unlearn() -> None:
    """With the same share back it goes on where it was."""
    limit = law(50, 0.5, level=20)
    limit.resize(0, 0.0)
    limit.resize(50, 0.5)
    assert limit.limit == 20
