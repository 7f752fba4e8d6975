"""Records as a release left them on Kafka, read by the programs of today."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from services.contracts.codec import decode, encode
from services.contracts.messages import AnyMessage, ControlState, LookupRequest
from services.contracts.packages import Package
from services.contracts.topics import topic_table
from services.ingest.inbound_contact import Defaults, InboundRecord, judge
from services.results.records import Letter, readers
from tests.contracts.record_release import RELEASED
from tests.contracts.snapshots import RECORDS

TOPICS = topic_table()
READERS = readers(TOPICS)
AT = datetime(2026, 11, 24, tzinfo=UTC)
DEFAULTS = Defaults(
    account="default", accounts=frozenset({"default"}), packages=(Package.BASIC,), fresh_for=60.0
)
#: Records of each release.
EACH = pytest.mark.parametrize(
    "file", sorted(RELEASED.glob("*/records.jsonl")), ids=lambda file: file.parent.name
)


def records(file: Path, *topics: str) -> list[tuple[str, bytes]]:
    """Topic and value of each, of these topics or of all."""
    lines = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    return [
        (line["topic"], line["value"].encode("latin-1"))
        for line in lines
        if not topics or line["topic"] in topics
    ]


def read(topic: str, value: bytes) -> Any:
    """What the program says that takes a topic's records."""
    if topic in READERS:
        return READERS[topic](value, AT)
    if topic == TOPICS.control.name:
        return decode(value, ControlState)
    record = SimpleNamespace(
        topic=topic, partition=0, offset=0, timestamp=0, key=None, value=value, headers=()
    )
    return judge(cast("InboundRecord", record), DEFAULTS, AT)


@EACH
def test_there_is_a_record_of_each_kind(file: Path) -> None:
    """Nothing that goes over Kafka is left out of what follows."""
    kinds = {topic.name: topic.value for topic in TOPICS.all}
    assert {kinds[topic] for topic, _ in records(file)} == {topic.value for topic in TOPICS.all}


@EACH
def test_every_record_is_read(file: Path) -> None:
    """Each by the program that takes it; a dead letter is known for what it is."""
    for topic, value in records(file):
        said = read(topic, value)
        assert not (isinstance(said, Letter) and said.letter is None), value


@EACH
def test_a_record_that_nobody_wrote_is_not_read(file: Path) -> None:
    """Were a field gone or another, it would be seen: the same records without ids fail."""
    for topic, value in records(file, TOPICS.contacts.name, TOPICS.results.name):
        with pytest.raises(Exception, match="request_id"):
            read(topic, value.replace(b'"request_id"', b'"id"'))


def of_then(after: Any, before: Any) -> Any:
    """What stands in a record now, without the fields that came later."""
    if isinstance(before, dict):
        return {name: of_then(after[name], value) for name, value in before.items()}
    return after


@EACH
def test_what_is_written_of_them_is_what_was_written(file: Path) -> None:
    """A release before, still running, finds all of its fields in what today's programs write."""
    models: dict[str, type[AnyMessage]] = {
        topic.name: cast("type[AnyMessage]", model)
        for topic in TOPICS.all
        for model in RECORDS.values()
        if model.__name__ == topic.value and topic != TOPICS.inbound
    }
    for topic, value in records(file, *models):
        before = json.loads(value)
        after = json.loads(encode(decode(value, models[topic])))
        assert of_then(after, before) == before


@EACH
def test_an_id_is_the_same_in_every_release(file: Path) -> None:
    """A contact that upstream sends again after an upgrade is the request that it was."""
    requests = {
        str(found.request_id)
        for _, value in records(file, TOPICS.contacts.name)
        for found in [decode(value, LookupRequest)]
        if found.source == "crm"
    }
    made = [read(*record) for record in records(file, TOPICS.inbound.name)]
    assert {str(m.request_id) for m in made if isinstance(m, LookupRequest)} == requests != set()
