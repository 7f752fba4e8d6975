"""The plain consumer that lookup is compared with: aiokafka, aiohttp, no guarantees.

A process takes contacts in batches, asks with at most its share of calls in flight, writes
an acknowledged result for each, and commits after the batch. Run by the benchmark.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys

import aiohttp
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord

CONTACTS, RESULTS = "benchmark.contacts", "benchmark.results"
WORKERS = 2


async def consume(in_flight: int) -> None:
    """Ask for each contact until told to stop."""
    servers = os.environ["KAFKA_BOOTSTRAP_SERVERS"]
    consumer = AIOKafkaConsumer(
        CONTACTS,
        bootstrap_servers=servers,
        group_id="benchmark",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    producer = AIOKafkaProducer(bootstrap_servers=servers, acks="all", linger_ms=5)
    permits = asyncio.Semaphore(in_flight)
    auth = aiohttp.BasicAuth(os.environ["TWILIO_API_KEY"], os.environ["TWILIO_API_SECRET"])
    connector = aiohttp.TCPConnector(limit=in_flight)
    async with aiohttp.ClientSession(
        os.environ["TWILIO_BASE_URL"], auth=auth, connector=connector
    ) as session:

        async def look_up(record: ConsumerRecord) -> None:
            phone = json.loads(record.value)["phone"]
            path = f"/v2/PhoneNumbers/%2B{phone[1:]}?Fields=line_type_intelligence"
            async with permits:
                async with session.get(path) as response:
                    answer = await response.json()
                result = json.dumps({"phone": phone, "answer": answer}).encode()
                await producer.send_and_wait(
                    RESULTS, result, key=record.key, partition=record.partition
                )

        await producer.start()
        await consumer.start()
        print("ready", flush=True)
        while True:
            batches = await consumer.getmany(timeout_ms=200, max_records=500)
            await asyncio.gather(*(look_up(r) for records in batches.values() for r in records))
            if batches:
                await consumer.commit()


if __name__ == "__main__":
    uvloop.run(consume(int(sys.argv[1])))
