"""The plain server that ingest is compared with: FastAPI, phonenumbers, aiokafka, no guarantees.

It validates one contact, produces it, and answers when Kafka has it: no job, no key that
makes sending again safe, nothing in PostgreSQL. Run by the benchmark.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import uuid

import uvicorn
import uvloop
from aiokafka import AIOKafkaProducer
from fastapi import FastAPI, HTTPException
from phonenumbers import re_util
from pydantic import BaseModel

from benchmarks.ingest.plain import TOPIC, in_e164


class Contact(BaseModel):
    """What is sent."""

    phone: str
    country: str = ""


app = FastAPI()


@app.post("/contacts", status_code=201)
async def take(contact: Contact) -> dict[str, str]:
    """Validate and produce."""
    number = in_e164(contact.phone, contact.country)
    if number is None:
        raise HTTPException(422)
    request = {"request_id": str(uuid.uuid4()), "phone": number[0]}
    await app.state.producer.send_and_wait(
        TOPIC, json.dumps(request).encode(), key=number[0].encode()
    )
    return request


async def serve(port: int) -> None:
    """Answer until the end."""
    producer = AIOKafkaProducer(
        bootstrap_servers=os.environ["KAFKA_BOOTSTRAP_SERVERS"], acks="all", linger_ms=5
    )
    await producer.start()
    app.state.producer = producer
    listening = socket.create_server(("127.0.0.1", port))
    print("ready", flush=True)
    config = uvicorn.Config(app, log_level="warning", access_log=False)
    await uvicorn.Server(config).serve(sockets=[listening])


if __name__ == "__main__":
    re_util.enable_pattern_cache()
    uvloop.run(serve(int(sys.argv[1])))
