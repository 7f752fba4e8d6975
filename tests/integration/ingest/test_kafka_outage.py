import asyncio
from pathlib import Path

from aiokafka import AIOKafkaConsumer

from services.ingest.settings import IngestSettings
from services.local.kafka import KafkaServer
from services.runtime.kafka import Outgoing, Publisher
from services.runtime.kafka_topics import check_topics


async def test_what_is_on_its_way_when_kafka_goes_away_arrives_when_it_is_back(
    server_directory: Path,
) -> None:
    """Publishing waits for Kafka as long as it takes, and says done only when it is."""
    server = KafkaServer(server_directory)
    with server:
        settings = IngestSettings(
            kafka_bootstrap_servers=server.bootstrap_servers,
            kafka_partitions=3,
            kafka_replication_factor=1,
        )
        await check_topics(settings)
        topic = settings.topics.contacts.name
        publisher = Publisher(settings)
        await publisher.start()
        assert await publisher.trouble(10) is None
        records = [Outgoing(topic, b"%d" % n, b"k%d" % n) for n in range(500)]
        await publisher.publish_many(records[:10])

        server.stop()
        assert "nobody listens there" in str(await publisher.trouble(5))
        publishing = asyncio.create_task(publisher.publish_many(records[10:]))
        await asyncio.sleep(0)
        assert not publishing.done()
        server.start()
        await publishing
        await publisher.stop()

        consumer = AIOKafkaConsumer(
            topic, bootstrap_servers=server.bootstrap_servers, auto_offset_reset="earliest"
        )
        await consumer.start()
        values: set[bytes | None] = set()
        while len(values) < len(records):
            for taken in (await consumer.getmany(timeout_ms=1000)).values():
                values |= {record.value for record in taken}
        await consumer.stop()
    assert values == {record.value for record in records}
