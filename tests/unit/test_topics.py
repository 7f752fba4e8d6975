"""The topic table."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.contracts import messages
from services.contracts.topics import DEFAULT_RETRY_DELAYS, Topic, Topics, delay_name, topic_table
from services.runtime.kafka_topics import TopicsError, judge

TABLE = topic_table()
PROGRAMS = {"ingest", "lookup", "scheduler", "results"}
OUTSIDE = {"upstream", "downstream"}


def test_the_topics_there_are() -> None:
    """Their names are a contract with everybody outside, and stand in the pipeline's order."""
    assert [topic.name for topic in TABLE.all] == [
        "contacts.inbound",
        "contacts",
        "contacts.rejected",
        "lookup.retry.15s",
        "lookup.retry.1m",
        "lookup.retry.5m",
        "lookup.parked",
        "lookup.due",
        "lookup.results",
        "lookup.dead-letters",
        "lookup.control",
    ]


def test_what_must_have_one_number_of_partitions() -> None:
    """A request's outcome goes to the partition of its request, whichever topic it is."""
    assert {topic.name for topic in TABLE.all if not topic.aligned} == {
        "contacts.inbound",
        "contacts.rejected",
        "lookup.control",
    }
    assert {topic.partitions for topic in TABLE.all if topic.aligned} == {TABLE.partitions}
    assert all(topic.aligned for topic in TABLE.outcomes)


def test_the_outcomes() -> None:
    """What lookup says of a turn is on these, and nowhere else."""
    assert {topic.name for topic in TABLE.outcomes} == {
        "lookup.retry.15s",
        "lookup.retry.1m",
        "lookup.retry.5m",
        "lookup.parked",
        "lookup.results",
        "lookup.dead-letters",
    }
    assert all("lookup" in topic.written_by for topic in TABLE.outcomes)
    assert all("results" in topic.read_by for topic in TABLE.outcomes)


@pytest.mark.parametrize("topic", TABLE.all, ids=lambda topic: topic.name)
def test_every_topic_has_a_writer_and_a_reader(topic: Topic) -> None:
    """They are programs of ours or outside ones, and the value is a record that exists."""
    assert topic.written_by
    assert topic.read_by
    assert {*topic.written_by, *topic.read_by} <= PROGRAMS | OUTSIDE
    assert hasattr(messages, topic.value)
    assert topic.purpose


@pytest.mark.parametrize("topic", TABLE.all, ids=lambda topic: topic.name)
def test_retention(topic: Topic) -> None:
    """Work is kept for 30 days; what is held, for ever, the newest of each key."""
    if topic.name == "lookup.control":
        assert topic.config == {"cleanup.policy": "compact", "message.timestamp.type": "CreateTime"}
        assert topic.partitions == 1
    else:
        assert topic.config["cleanup.policy"] == "delete"
        assert topic.config["retention.ms"] == str(30 * 24 * 3600 * 1000)


def test_only_retries_are_stamped_by_the_broker() -> None:
    """A retry's due time counts from when it was stored, by one clock."""
    stamped = {topic.name for topic in TABLE.all if topic.log_append_time}
    assert stamped == {topic.name for _, topic in TABLE.retries}
    for _, topic in TABLE.retries:
        assert topic.config["message.timestamp.type"] == "LogAppendTime"


def test_settings_shape_the_table() -> None:
    """Prefix, partitions, delays and retention are an installation's own."""
    delays = (timedelta(milliseconds=250), timedelta(seconds=90))
    table = topic_table(
        prefix="stage.", partitions=3, retry_delays=delays, retention=timedelta(days=1)
    )
    assert all(topic.name.startswith("stage.") for topic in table.all)
    assert [(d, t.name) for d, t in table.retries] == [
        (delays[0], "stage.lookup.retry.250ms"),
        (delays[1], "stage.lookup.retry.90s"),
    ]
    assert table.partitions == 3
    assert table.control.partitions == 1
    assert table.parked.config["retention.ms"] == "86400000"


@pytest.mark.parametrize(
    ("delay", "name"),
    [
        (timedelta(milliseconds=1), "1ms"),
        (timedelta(milliseconds=1500), "1500ms"),
        (timedelta(seconds=1), "1s"),
        (timedelta(seconds=90), "90s"),
        (timedelta(seconds=60), "1m"),
        (timedelta(hours=2), "2h"),
        (timedelta(days=1), "24h"),
    ],
)
def test_names_of_delays(delay: timedelta, name: str) -> None:
    """A delay has one name, in the largest unit that is exact."""
    assert delay_name(delay) == name


def test_default_delays_rise() -> None:
    """Each retry waits longer than the one before."""
    assert list(DEFAULT_RETRY_DELAYS) == sorted(set(DEFAULT_RETRY_DELAYS))


def as_found(table: Topics, **other: int) -> dict[str, int]:
    return {topic.name: topic.partitions for topic in table.all} | other


def test_a_broker_as_the_table_says() -> None:
    """Whatever their number is, all aligned topics having it is enough."""
    assert judge(TABLE, as_found(TABLE)) == 12
    four = {topic.name: 4 for topic in TABLE.all if topic.aligned}
    assert judge(TABLE, as_found(TABLE, **four, **{"contacts.inbound": 7})) == 4


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (as_found(TABLE, **{"lookup.parked": 6}), r"lookup\.parked has 6.*add partitions"),
        (
            as_found(TABLE, **{"lookup.control": 2}),
            r"lookup\.control has 2 partitions.*must have 1",
        ),
        ({}, r"lacks the topics contacts\.inbound, .*KAFKA_CREATE_TOPICS=true"),
    ],
)
def test_a_broker_that_is_refused(found: dict[str, int], message: str) -> None:
    """The error names the topic and the way out."""
    with pytest.raises(TopicsError, match=message):
        judge(TABLE, found)
