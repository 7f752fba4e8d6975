"""When the topics may get more partitions, and what is said when they may not."""

import re

import pytest

from services.cli.exits import NOT_OK, CommandError
from services.cli.resize import Stakes, refuse, to_grow
from services.contracts.topics import topic_table

TOPICS = topic_table(prefix="p.", partitions=4)
ALIGNED = {topic.name: 4 for topic in TOPICS.all if topic.aligned}
FOUND = ALIGNED | {TOPICS.inbound.name: 7, TOPICS.rejected.name: 1, TOPICS.control.name: 1}


def test_every_aligned_topic_grows_and_no_other() -> None:
    """What does not hold requests keeps its own number, whatever that is."""
    assert to_grow(TOPICS, FOUND, 6) == ALIGNED


def test_what_grew_already_is_left() -> None:
    """A run that was broken off goes on with the rest; a whole one has nothing to do."""
    half = FOUND | {TOPICS.contacts.name: 6}
    assert to_grow(TOPICS, half, 6).keys() == ALIGNED.keys() - {TOPICS.contacts.name}
    assert to_grow(TOPICS, FOUND, 4) == {}


def test_topics_that_differ_are_made_equal_by_the_largest_number() -> None:
    """Where somebody grew one topic by hand, its number mends it, and a smaller one does not."""
    odd = FOUND | {TOPICS.results.name: 9}
    assert to_grow(TOPICS, odd, 9).keys() == ALIGNED.keys() - {TOPICS.results.name}
    with pytest.raises(CommandError, match=re.escape("p.lookup.results has 9: name at least 9")):
        to_grow(TOPICS, odd, 6)


def test_kafka_takes_no_partition_away() -> None:
    """Fewer than there are is refused, with the least that can be asked for."""
    with pytest.raises(CommandError, match="cannot take partitions away") as refused:
        to_grow(TOPICS, FOUND, 3)
    assert "name at least 4" in str(refused.value)
    assert refused.value.code == NOT_OK


def test_a_topic_that_is_not_there() -> None:
    """Topics are made by the programs, with the number that the setting says."""
    lacking = {name: n for name, n in FOUND.items() if name != TOPICS.due.name}
    with pytest.raises(CommandError, match=r"lacks the topics p\.lookup\.due.*KAFKA_PARTITIONS"):
        to_grow(TOPICS, lacking, 6)


def test_nothing_at_stake() -> None:
    """Everything at its end, and nobody there: it may be done."""
    refuse(Stakes())


@pytest.mark.parametrize(
    ("stakes", "said"),
    [
        (Stakes(running={"lookup": 2, "results": 1}), "lookup: 2, results: 1): stop all of them"),
        (Stakes(unfinished={"pending": 1}), "no end yet (pending: 1): let them finish"),
        (Stakes(unfinished={"retrying": 1}), "no end yet (retrying: 1): let them finish"),
        (Stakes(unfinished={"parked": 1_200}), "(parked: 1,200): let them finish, without ingest"),
        (Stakes(unfinished={"releasing": 1}), "no end yet (releasing: 1): let them finish"),
        (Stakes(unread={"scheduler": 3}), "not read yet (scheduler: 3): start these programs"),
    ],
)
def test_each_thing_at_stake_is_refused(stakes: Stakes, said: str) -> None:
    """Each alone is enough, and the message counts it and says the way out."""
    with pytest.raises(CommandError, match="Nothing was changed") as refused:
        refuse(stakes)
    assert said in str(refused.value)
    assert refused.value.code == NOT_OK


def test_all_that_is_at_stake_is_told_at_once() -> None:
    """Whoever mends one thing does not meet the next only then."""
    with pytest.raises(CommandError) as refused:
        refuse(Stakes(running={"ingest": 1}, unfinished={"parked": 2}, unread={"results": 3}))
    assert len(str(refused.value).splitlines()) == 3
