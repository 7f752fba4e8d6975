"""The program `ingest`: everything put together, started, and stopped in order."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from services.ingest.accept import with_basic
from services.ingest.api import jobs_router
from services.ingest.door import Door
from services.ingest.inbound import Inbound
from services.ingest.inbound_contact import Defaults
from services.ingest.jobs import Jobs
from services.ingest.publisher import FilePublisher
from services.ingest.settings import IngestSettings
from services.ingest.spool import Spool
from services.ingest.submissions import Submissions
from services.runtime.api import Tokens, make_api
from services.runtime.database import open_pool, watch_postgresql
from services.runtime.health import Readiness
from services.runtime.http import listening_host, serve_http
from services.runtime.kafka import Publisher, close_consumer, make_member
from services.runtime.kafka_rights import check_kafka
from services.runtime.kafka_watch import wait_for_kafka, watch_kafka
from services.runtime.logs import get_logger
from services.runtime.metrics import registry_for
from services.runtime.program import Stop, run_program
from services.runtime.settings import SettingsError
from services.runtime.standing import show_standing

log = get_logger(__name__)

#: Threads: reading a large file holds one until it ends, and there are others left, however few
#: cores the machine has, for bodies on their way to the disk and for `contacts.inbound`.
_THREADS = 32
#: Seconds that answers under way get after all work is done.
_LAST_ANSWERS = 2.0


async def serve(settings: IngestSettings, stop: Stop) -> None:
    """Run until a stop is asked for; drain within `drain_limit`.

    Raises:
        SettingsError: A token, or DATABASE_URL, is wrong.
        PortTakenError: HTTP_PORT is another program's.
    """
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS))
    readiness = Readiness("kafka", "postgresql")
    tokens = Tokens.from_settings(settings)
    spool = Spool(settings.spool_directory, settings.spool_limit_bytes, settings.max_upload_bytes)
    door = Door(readiness)
    app = make_api("ingest", readiness, registry_for("ingest"), tokens, "Bulk Lookup: ingest")
    app.include_router(jobs_router(door, spool, settings))
    host = listening_host(settings.http_host, has_tokens=bool(tokens))
    program = _Program(settings, stop, readiness, door)
    async with serve_http(app, host, settings.http_port, _LAST_ANSWERS):
        await program.run()


class _Program:
    """Ingest's two parts, uploads and `contacts.inbound`, on one connection to Kafka."""

    def __init__(
        self, settings: IngestSettings, stop: Stop, readiness: Readiness, door: Door
    ) -> None:
        self._settings = settings
        self._stop = stop
        self._readiness = readiness
        self._door = door
        self._publisher = Publisher(settings)

    async def run(self) -> None:
        """Run both parts; each ends by itself when a stop is asked for."""
        connecting = asyncio.create_task(self._connect())
        parts = [
            self._stop.watch(asyncio.create_task(part(connecting)))
            for part in (self._take_uploads, self._take_inbound)
        ]
        await self._stop.wait()
        self._door.close()
        limit = self._settings.drain_limit.total_seconds()
        _, late = await asyncio.wait(parts, timeout=limit)
        for task in (connecting, *late):
            task.cancel()
        await asyncio.gather(connecting, *parts, return_exceptions=True)
        await self._publisher.stop()
        if isinstance(self._stop.fault, SettingsError):
            raise self._stop.fault

    async def _connect(self) -> int:
        """Wait for Kafka; gives the number of partitions of `contacts`."""

        async def start() -> int:
            partitions = await check_kafka(self._settings, "ingest")
            await self._publisher.start()
            return partitions

        return await wait_for_kafka(self._settings, start, self._readiness, self._stop)

    async def _take_inbound(self, connecting: asyncio.Task[int]) -> None:
        settings = self._settings
        partitions = await asyncio.shield(connecting)
        consumer = make_member(settings, "ingest")
        defaults = Defaults(
            account=settings.default_account,
            accounts=settings.nameable_accounts,
            packages=with_basic(settings.default_packages),
            fresh_for=settings.fresh_for.total_seconds(),
        )
        try:
            await wait_for_kafka(settings, consumer.start, self._readiness, self._stop)
            inbound = Inbound(consumer, self._publisher, settings.topics, partitions, defaults)
            topics = [settings.topics.inbound.name]
            show_standing(settings.group("ingest"), topics, inbound.standings)
            await inbound.run(self._stop)
        finally:
            await close_consumer(consumer)

    async def _take_uploads(self, connecting: asyncio.Task[int]) -> None:
        settings = self._settings
        pool = await open_pool(settings, "ingest", self._readiness, self._stop)
        watching: list[asyncio.Task[None]] = []
        try:
            partitions = await asyncio.shield(connecting)
            publisher = FilePublisher(self._publisher, settings.topics, partitions)
            submissions = Submissions(
                Jobs(pool), publisher, settings.database_pool_size, self._stop.fail
            )
            self._door.open(submissions)
            watching = [
                self._stop.watch(asyncio.create_task(watch))
                for watch in (
                    watch_kafka(self._publisher, self._readiness),
                    watch_postgresql(pool, self._readiness),
                )
            ]
            await self._stop.wait()
            await submissions.drain()
        finally:
            for task in watching:
                task.cancel()
            pool.terminate()


def main() -> int:
    """Run the program; returns its exit code."""
    return run_program("ingest", IngestSettings, serve)


if __name__ == "__main__":
    raise SystemExit(main())
