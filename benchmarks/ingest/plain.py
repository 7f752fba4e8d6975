"""The plain script that ingest is compared with: csv, phonenumbers, aiokafka, no guarantees.

It reads a file once, makes a record like ingest's of each valid number, and waits for each
few thousand of them to be acknowledged. Run by the benchmark: it says when it is connected,
and works when it is told to.
"""

from __future__ import annotations

import asyncio
import csv
import json
import os
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path

import phonenumbers
import uvloop
from aiokafka import AIOKafkaProducer
from phonenumbers import re_util

TOPIC = "benchmark.contacts"
_AT_ONCE = 4_000


def in_e164(phone: str, country: str) -> tuple[str, str | None] | None:
    """Read a number, and give it with its country if it is valid."""
    try:
        number = phonenumbers.parse(phone, country.upper() or None)
    except phonenumbers.NumberParseException:
        return None
    if not (phonenumbers.is_possible_number(number) and phonenumbers.is_valid_number(number)):
        return None
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return e164, phonenumbers.region_code_for_number(number)


async def send(file: Path) -> None:
    """Put the file on Kafka."""
    producer = AIOKafkaProducer(
        bootstrap_servers=os.environ["KAFKA_BOOTSTRAP_SERVERS"],
        acks="all",
        linger_ms=5,
        max_batch_size=128 * 1024,
    )
    await producer.start()
    print("ready", flush=True)
    sys.stdin.readline()
    job, now = uuid.uuid4(), datetime.now(UTC).isoformat()
    waits = []
    with file.open(encoding="utf-8-sig", newline="") as source:
        for row, cells in enumerate(csv.DictReader(source), start=2):
            number = in_e164(cells["Phone"], cells["Country"])
            if number is None:
                continue
            phone, country = number
            record = {
                "kind": "lookup-request/1",
                "request_id": str(uuid.uuid5(job, str(row))),
                "job_id": str(job),
                "source": "benchmark",
                "account": "default",
                "phone": phone,
                "country": country,
                "packages": ["basic"],
                "reference": cells["Customer ID"],
                "row": row,
                "accepted_at": now,
            }
            value, key = json.dumps(record).encode(), phone.encode()
            waits.append(await producer.send(TOPIC, value, key=key))
            if len(waits) == _AT_ONCE:
                await asyncio.gather(*waits)
                waits.clear()
    await asyncio.gather(*waits)
    print("done", flush=True)
    sys.stdin.readline()
    await producer.stop()


if __name__ == "__main__":
    re_util.enable_pattern_cache()
    uvloop.run(send(Path(sys.argv[1])))
