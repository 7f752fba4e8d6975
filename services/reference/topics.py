"""The page of topics."""

from __future__ import annotations

from services.contracts.topics import Topic, Topics, topic_table
from services.reference.markdown import page, table
from services.reference.settings import PROGRAMS


def topics_page() -> str:
    """Every topic, with what is on it and how it is made."""
    topics = topic_table()
    rows = [
        (
            f"`{t.name}`",
            t.purpose,
            t.key,
            f"[{t.value}](messages.md#{t.value.lower()})",
            ", ".join(t.written_by),
            ", ".join(t.read_by),
        )
        for t in topics.all
    ]
    configs = [
        (
            f"`{t.name}`",
            "one" if t is topics.control else f"{t.partitions}{', aligned' if t.aligned else ''}",
            _retention(t),
            "; ".join(f"`{key}={value}`" for key, value in sorted(t.config.items())),
        )
        for t in topics.all
    ]
    return page(
        "Topics",
        "As they are with the default settings. `KAFKA_TOPIC_PREFIX` stands before every name; "
        "`KAFKA_PARTITIONS`, `KAFKA_RETENTION` and `RETRY_DELAYS` change the rest. Every program "
        "checks them when it starts, and makes those that are missing unless "
        "`KAFKA_CREATE_TOPICS=false`.",
        "## What is on them",
        table(("Topic", "What", "Key", "Value", "Written by", "Read by"), rows),
        "## How they are made",
        "Aligned topics must all have one number of partitions, whatever it is: a request's "
        "outcome goes to the partition that its request came from.",
        table(("Topic", "Partitions", "Kept", "Configuration"), configs),
        "## Where Kafka has access rules",
        "Each program needs `Read` on the topics it reads, `Write` on those it writes, and `Read` on "
        "the group of its own name, after the same prefix. It needs no right on any other topic. "
        "To make topics it needs `Create` on them too; make them yourself where it should not. "
        "At its start a program asks Kafka for all of these, and ends with a list of those it lacks.",
        table(("Program", "Read", "Write", "Group"), [_rights(t, topics) for t in PROGRAMS]),
        "An upstream system needs `Write` on `contacts.inbound`, one downstream `Read` on "
        "`lookup.results`. `bulk-lookup topics` needs `Describe` on all, and compares what they are "
        "set to where it has `DescribeConfigs`.",
    )


def _rights(program: str, topics: Topics) -> tuple[str, str, str, str]:
    reads = [f"`{topic.name}`" for topic in topics.all if program in topic.read_by]
    writes = [f"`{topic.name}`" for topic in topics.all if program in topic.written_by]
    return program, ", ".join(reads), ", ".join(writes), f"`{program}`"


def _retention(topic: Topic) -> str:
    return "the newest of each key" if topic.retention is None else f"{topic.retention.days} days"
