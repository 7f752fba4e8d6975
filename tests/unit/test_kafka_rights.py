"""What a program may do on Kafka against what it has to, and what Faust is told to log in with."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth
from pydantic import SecretStr

from services.contracts.topics import topic_table
from services.lookup.app import make_faust_app
from services.lookup.consumer import Parts
from services.lookup.intake import Intake, Taken
from services.lookup.lease import Lease
from services.lookup.settings import LookupSettings
from services.runtime.kafka import client_options
from services.runtime.kafka_rights import lacking
from services.runtime.kafka_security import FreshContext
from services.runtime.kafka_topics import TopicsError, judge

TOPICS = topic_table(prefix="p.")
READ, WRITE, DESCRIBE = 1 << 3, 1 << 4, 1 << 8
ALL = {topic.name: READ | WRITE | DESCRIBE for topic in TOPICS.all}


@pytest.mark.parametrize(
    ("program", "changed", "missing"),
    [
        ("ingest", {}, []),
        ("ingest", {"p.contacts": READ | DESCRIBE}, ["Write on p.contacts"]),
        ("ingest", {"p.contacts.inbound": WRITE | DESCRIBE}, ["Read on p.contacts.inbound"]),
        ("ingest", {"p.contacts": 0, "p.lookup.due": 0}, ["Write on p.contacts"]),
        ("scheduler", {"p.lookup.due": READ}, ["Write on p.lookup.due"]),
        (
            "lookup",
            {"p.lookup.control": 0},
            ["Read on p.lookup.control", "Write on p.lookup.control"],
        ),
        ("lookup", {"p.lookup.results": -(2**31)}, []),
    ],
)
def test_rights_that_a_program_lacks(
    program: str, changed: dict[str, int], missing: list[str]
) -> None:
    """Its own topics' alone, each right by name; where Kafka does not tell, none is missing."""
    assert lacking(TOPICS, program, ALL | changed) == missing


def test_a_topic_that_is_not_there_lacks_no_right() -> None:
    """That it is missing is said elsewhere."""
    assert lacking(TOPICS, "lookup", {}) == []


def test_others_topics_may_be_hidden() -> None:
    """A topic that we may not see is not missing, and its partitions are not compared."""
    found = {topic.name: topic.partitions for topic in TOPICS.all}
    del found["p.lookup.results"], found["p.lookup.control"]
    with pytest.raises(TopicsError, match=r"lacks the topics p\.lookup\.results"):
        judge(TOPICS, found)
    assert judge(TOPICS, found, frozenset({"p.lookup.results", "p.lookup.control"})) == 12


@pytest.mark.parametrize("protocol", ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"])
async def test_faust_is_told_what_the_other_clients_are(protocol: str, tmp_path: Path) -> None:
    """Lookup's own consumer comes to Kafka by the same protocol, name, password and files."""
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
    settings = LookupSettings(
        kafka_security_protocol=protocol,
        kafka_sasl_username="lookup",
        kafka_sasl_password=SecretStr("secret"),
        kafka_ssl_ca_file=tmp_path / "ca.pem",
    )

    async def never(_: Taken) -> None:
        raise AssertionError("no record is taken here")

    intake = Intake(never, slots=1, drain_limit=1, on_fault=lambda _: None)
    parts = Parts(intake, Lease(10), lambda *_: None, lambda: None)
    app = make_faust_app(settings, parts, slots=1)
    told = credentials_to_aiokafka_auth(app.conf.broker_credentials, app.conf.ssl_context)
    wanted = client_options(settings)
    assert app.conf.broker[0].host == "localhost"
    renews = isinstance(told.pop("ssl_context", None), FreshContext)
    assert renews == isinstance(wanted.pop("ssl_context", None), FreshContext)
    assert renews == protocol.endswith("SSL")
    assert told == {key: wanted[key] for key in wanted.keys() - {"bootstrap_servers", "client_id"}}
