"""Topics and rights on Kafka: what the table in the code says, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from services.contracts.topics import Topics, delay_name
from services.reference import PROGRAMS
from services.runtime.settings import parse_duration
from tests.deploy.documents import COMPONENT, Document, Manifests
from tests.deploy.mutations import drop, extend, mutated, put, remove
from tests.deploy.policies.access import secret_names

#: Safe with one broker away, and writable then.
REPLICAS, IN_SYNC = 3, "2"

Right = tuple[str, str, str]


def told(manifests: Manifests, program: str) -> dict[str, str | None]:
    """A program's environment."""
    return manifests.environment(manifests.programs[program].main)


def table(manifests: Manifests) -> Topics:
    """The topic table by the settings of these manifests, which all programs share."""
    environment = {name: value or "" for name, value in told(manifests, "scheduler").items()}
    shape = {
        name: parse_duration(value) if name == "KAFKA_RETENTION" else value
        for name, value in environment.items()
        if name in {"KAFKA_TOPIC_PREFIX", "KAFKA_PARTITIONS", "KAFKA_RETENTION", "RETRY_DELAYS"}
    }
    model = PROGRAMS["scheduler"]
    return model.model_validate({name.lower(): value for name, value in shape.items()}).topics


def wrong_topics(manifests: Manifests) -> list[str]:
    """Where the topics that an operator makes differ from the table."""
    wanted = {
        topic.name: (
            topic.partitions,
            REPLICAS,
            {**topic.config, "min.insync.replicas": IN_SYNC},
        )
        for topic in table(manifests).all
    }
    made = {
        document["spec"].get("topicName", document["metadata"]["name"]): (
            document["spec"]["partitions"],
            document["spec"]["replicas"],
            {key: str(value) for key, value in document["spec"].get("config", {}).items()},
        )
        for document in manifests.of("KafkaTopic")
    }
    return [
        f"{name}: wanted {wanted.get(name)}, made {made.get(name)}"
        for name in sorted(wanted.keys() | made.keys())
        if wanted.get(name) != made.get(name)
    ]


def granted(user: Document) -> set[Right]:
    """What a user may do, as (kind of resource, its name, operation)."""
    return {
        (acl["resource"]["type"], acl["resource"].get("name", "*"), operation)
        for acl in user["spec"]["authorization"]["acls"]
        for operation in acl["operations"]
    }


def needed(topics: Topics, program: str, prefix: str) -> set[Right]:
    """What a program must be able to do: look at every topic, since it checks them at its start."""
    rights = {("topic", topic.name, "Describe") for topic in topics.all}
    rights |= {("topic", topic.name, "Read") for topic in topics.all if program in topic.read_by}
    rights |= {
        ("topic", topic.name, "Write") for topic in topics.all if program in topic.written_by
    }
    return rights | {("group", f"{prefix}{program}", "Read")}


def program_users(manifests: Manifests) -> dict[str, Document]:
    """The users on Kafka by the program that each is for."""
    users = {user["metadata"]["labels"].get(COMPONENT): user for user in manifests.of("KafkaUser")}
    return {program: users[program] for program in PROGRAMS if program in users}


def wrong_rights(manifests: Manifests) -> list[str]:
    """Where the users' rights differ from what the table says of each program."""
    users = program_users(manifests)
    prefix = told(manifests, "scheduler").get("KAFKA_TOPIC_PREFIX") or ""
    found = []
    for program in PROGRAMS:
        if program not in users:
            found.append(f"{program} has no user")
            continue
        wanted, given = needed(table(manifests), program, prefix), granted(users[program])
        found += [f"{program} may not {right}" for right in sorted(wanted - given)]
        found += [f"{program} may {right}" for right in sorted(given - wanted)]
    return found


def test_topics_are_those_of_the_table(prod: Manifests) -> None:
    """Names, partitions and configuration, for the settings that the programs get beside them."""
    assert wrong_topics(prod) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (remove("KafkaTopic/lookup.due"), "made None"),
        (put("KafkaTopic/contacts", "spec partitions", 13), "contacts: wanted (12"),
        (put("KafkaTopic/contacts", "spec replicas", 1), "contacts: wanted"),
        (drop("KafkaTopic/contacts", "spec config retention.ms"), "contacts: wanted"),
        (put("KafkaTopic/contacts", "spec config max.message.bytes", 1), "contacts: wanted"),
        (put("KafkaTopic/contacts", "metadata name", "contact"), "contact: wanted None"),
    ],
)
def test_other_topics_are_found(
    prod: Manifests, change: Callable[[list[Document]], None], says: str
) -> None:
    """One that is missing, one too many, and every difference between them."""
    assert any(says in line for line in wrong_topics(mutated(prod, change)))


def test_no_program_makes_topics_where_an_operator_does(prod: Manifests) -> None:
    """Two owners of a topic would not agree for long."""
    assert [told(prod, program).get("KAFKA_CREATE_TOPICS") for program in PROGRAMS] == ["false"] * 4


def test_all_programs_see_one_table(prod: Manifests) -> None:
    """What shapes the topics is told to all of them alike."""
    names = ("KAFKA_TOPIC_PREFIX", "KAFKA_PARTITIONS", "KAFKA_RETENTION", "RETRY_DELAYS")
    shapes = {tuple(told(prod, program).get(name) for name in names) for program in PROGRAMS}
    assert len(shapes) == 1


def test_rights_are_those_of_the_table(prod: Manifests) -> None:
    """Each program may read what it reads and write what it writes, and nothing else."""
    assert wrong_rights(prod) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (remove("KafkaUser/bulk-lookup-scheduler"), "scheduler has no user"),
        (put("KafkaUser/bulk-lookup-lookup", "spec authorization acls", []), "lookup may not"),
        (
            extend(
                "KafkaUser/bulk-lookup-ingest",
                "spec authorization acls",
                {"resource": {"type": "topic", "name": "lookup.results"}, "operations": ["Read"]},
            ),
            "ingest may ('topic', 'lookup.results', 'Read')",
        ),
    ],
)
def test_other_rights_are_found(
    prod: Manifests, change: Callable[[list[Document]], None], says: str
) -> None:
    """A user that is missing, a right too few, a right too many."""
    assert any(line.startswith(says) for line in wrong_rights(mutated(prod, change)))


def test_each_program_is_its_own_user(prod: Manifests) -> None:
    """It shows Kafka the certificate that was made for the user with its rights."""
    for program, user in program_users(prod).items():
        assert user["spec"]["authentication"]["type"] == "tls"
        assert user["metadata"]["name"] in secret_names(prod.programs[program])
        assert told(prod, program)["KAFKA_SECURITY_PROTOCOL"] == "SSL"


def strangers(manifests: Manifests) -> list[Document]:
    """The users on Kafka that are no program's."""
    ours = [user["metadata"]["name"] for user in program_users(manifests).values()]
    return [user for user in manifests.of("KafkaUser") if user["metadata"]["name"] not in ours]


def test_in_production_only_programs_have_users(prod: Manifests) -> None:
    """An example that nobody asked for may write nothing."""
    assert strangers(prod) == []


def test_whoever_else_writes_sends_contacts_only(
    prod: Manifests, rendering: Callable[[str], Manifests]
) -> None:
    """Other systems may send contacts, within a quota, and see nothing."""
    inbound = table(prod).inbound.name
    others = strangers(rendering("strimzi-upstream-example"))
    assert others
    for user in others:
        assert granted(user) <= {("topic", inbound, "Write"), ("topic", inbound, "Describe")}
        assert user["spec"]["quotas"]["producerByteRate"] > 0


def test_retry_topics_follow_the_delays(prod: Manifests) -> None:
    """A delay that is changed without its topic would be found above: their names say it."""
    delays = [delay_name(delay) for delay, _ in table(prod).retries]
    made = {document["metadata"]["name"] for document in prod.of("KafkaTopic")}
    assert {f"lookup.retry.{delay}" for delay in delays} <= made


def test_the_autoscaler_watches_what_lookup_takes(rendering: Callable[[str], Manifests]) -> None:
    """The lag of lookup's own group on both topics it takes from, with the right to see no more."""
    manifests = rendering("keda")
    topics = table(manifests)
    [scaler] = manifests.of("ScaledObject")
    watched = {
        (trigger["metadata"]["consumerGroup"], trigger["metadata"]["topic"])
        for trigger in scaler["spec"]["triggers"]
    }
    assert watched == {("lookup", topics.contacts.name), ("lookup", topics.due.name)}
    user = next(
        one for one in manifests.of("KafkaUser") if one["metadata"]["name"] == "bulk-lookup-keda"
    )
    assert {operation for _, _, operation in granted(user)} == {"Describe"}
