"""The topics that other systems write and read, as an AsyncAPI document."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from services.contracts.messages import InboundContact, LookupResult
from services.contracts.packages import Answer, Package
from services.contracts.topics import Topic, topic_table
from services.reference.markdown import MADE
from services.reference.schemas import Schema, taken, written

#: Of the document: within it what docs/contracts.md promises holds.
VERSION = "1"
_JSON = "application/json"
_BINDING = "0.5.0"
_AT = datetime(2026, 3, 1, 12, tzinfo=UTC)

_CONTACT = InboundContact(
    phone="+14155550100", id="crm-7", source="crm", packages=("caller_name",), reference="Ada"
)
_RESULT = LookupResult(
    request_id=UUID("0d1f3c52-54f2-5b1c-9a63-6f5a52b0a111"),
    job_id=UUID("6a1c1f7e-6f0e-5b43-9d0b-2f6f7a0c2b22"),
    source="crm",
    account="default",
    phone="+14155550100",
    country="US",
    packages=(Package.BASIC, Package.CALLER_NAME),
    reference="Ada",
    accepted_at=_AT,
    fresh_for={},
    generation=0,
    turn=1,
    attempts=0,
    state="completed",
    answers={
        Package.BASIC: Answer(status="ok", data={"valid": True}, looked_up_at=_AT, billed="no"),
        Package.CALLER_NAME: Answer(
            status="ok",
            data={"caller_name": "ADA LOVELACE", "caller_type": "CONSUMER", "error_code": None},
            looked_up_at=_AT,
            billed="yes",
        ),
    },
    completed_at=_AT,
)


def asyncapi() -> dict[str, Any]:
    """The document, for an installation with the default settings."""
    topics = topic_table()
    schemas: dict[str, Schema] = {}
    contact = _payload("InboundContact", taken(InboundContact), schemas)
    result = _payload("LookupResult", written(LookupResult), schemas)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Bulk Lookup: topics for other systems",
            "version": VERSION,
            "description": f"{MADE} What may change within this version, and what a reader must "
            "bear, stands in docs/contracts.md. Everything is as with the default settings: "
            "`KAFKA_TOPIC_PREFIX` stands before every name, and `KAFKA_PARTITIONS` and "
            "`KAFKA_RETENTION` are each installation's own.",
            "license": {"name": "Apache 2.0"},
        },
        "defaultContentType": _JSON,
        "servers": {
            "installation": {
                "host": "{bootstrap}",
                "protocol": "kafka",
                "description": "The Kafka of an installation.",
                "variables": {
                    "bootstrap": {
                        "default": "127.0.0.1:9092",
                        "description": "What KAFKA_BOOTSTRAP_SERVERS says.",
                    }
                },
            }
        },
        "channels": {
            "contactsInbound": _channel(
                topics.inbound,
                "contact",
                "Contacts to look up, from any system. Each becomes a request of the standing job "
                "of its `source`; what is no contact becomes a dead letter with the reason. Any "
                "key will do, any number of partitions, and no header is read. With an `id` the "
                "same `source`, `id`, number and packages are one request however often they are "
                "sent; without, each record is a request of its own.",
            ),
            "lookupResults": _channel(
                topics.results,
                "result",
                "What came of each contact, however it came in. Every record of a number is on "
                "one partition, which is Kafka's own choice for the key (murmur2), in the order "
                "of their writing. A record may be there twice; see the message.",
            ),
        },
        "operations": {
            "takeContact": {
                "action": "receive",
                "channel": {"$ref": "#/channels/contactsInbound"},
                "summary": "Write here to have numbers looked up.",
                "messages": [{"$ref": "#/channels/contactsInbound/messages/contact"}],
                "bindings": {
                    "kafka": {
                        "groupId": {"type": "string", "const": "ingest"},
                        "bindingVersion": _BINDING,
                    }
                },
            },
            "giveResult": {
                "action": "send",
                "channel": {"$ref": "#/channels/lookupResults"},
                "summary": "Read here what came of them, in a consumer group of your own.",
                "messages": [{"$ref": "#/channels/lookupResults/messages/result"}],
            },
        },
        "components": {
            "messages": {
                "contact": _message(
                    "Contact",
                    "A contact as another system knows it; only `phone` is needed.",
                    contact,
                    {"description": "Any, or none; it is not read."},
                    _CONTACT.model_dump(mode="json", exclude_none=True),
                ),
                "result": _message(
                    "Result",
                    "What came of one contact. Contacts that end otherwise (dead, cancelled) have "
                    "none. The same outcome may come again: keep one per `request_id`. A higher "
                    "`generation` (asked again by a person) replaces a lower one; within a "
                    "generation `completed` stands over `invalid`, and a further record of the "
                    "same state says nothing new.",
                    result,
                    {
                        "type": "string",
                        "pattern": schemas["LookupResult"]["properties"]["phone"]["pattern"],
                        "description": "The number, as in `phone`.",
                    },
                    _RESULT.model_dump(mode="json"),
                ),
            },
            "schemas": schemas,
        },
    }


def _payload(name: str, schema: Schema, schemas: dict[str, Schema]) -> dict[str, str]:
    """Put a schema and its parts where the document keeps them; gives the reference to it."""
    whole = _moved(schema)
    schemas |= whole.pop("$defs", {})
    schemas[name] = whole
    return {"$ref": f"#/components/schemas/{name}"}


def _moved(part: Any) -> Any:
    if isinstance(part, list):
        return [_moved(one) for one in part]
    if not isinstance(part, dict):
        return part
    return {
        name: inside.replace("#/$defs/", "#/components/schemas/")
        if name == "$ref"
        else _moved(inside)
        for name, inside in part.items()
    }


def _channel(topic: Topic, message: str, description: str) -> dict[str, Any]:
    config: dict[str, Any] = {"cleanup.policy": [topic.config["cleanup.policy"]]}
    if "retention.ms" in topic.config:
        config["retention.ms"] = int(topic.config["retention.ms"])
    return {
        "address": topic.name,
        "title": topic.purpose,
        "description": description,
        "servers": [{"$ref": "#/servers/installation"}],
        "messages": {message: {"$ref": f"#/components/messages/{message}"}},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "topicConfiguration": config,
                "bindingVersion": _BINDING,
            }
        },
    }


def _message(
    title: str,
    summary: str,
    payload: dict[str, str],
    key: dict[str, str],
    example: dict[str, Any],
) -> dict[str, Any]:
    return {
        "title": title,
        "summary": summary,
        "contentType": _JSON,
        "payload": payload,
        "bindings": {"kafka": {"key": key, "bindingVersion": _BINDING}},
        "examples": [{"name": title.lower(), "payload": example}],
    }
