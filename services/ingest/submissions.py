"""Makes jobs of spooled files: begun in PostgreSQL, published to Kafka, sealed.

A submission goes on whoever waits for it. One that is broken off leaves a job that is still
`receiving`; the same file under the same key finds it and publishes it from the start again,
with the same ids, so that whatever was published before changes nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from services.contracts.masking import mask_text
from services.ingest.accept import Terms
from services.ingest.found import FoundFile, found_in
from services.ingest.jobs import Counts, Jobs, NewJob, StoredJob
from services.ingest.options import Options
from services.ingest.parse import Contacts, open_contacts
from services.ingest.parse_error import ParseError
from services.ingest.publisher import FilePublisher, check_whole
from services.ingest.spool import SpooledFile
from services.runtime.database import UNAVAILABLE
from services.runtime.kafka import ProduceError
from services.runtime.logs import get_logger

log = get_logger(__name__)

#: Submissions at work at a time; each holds a connection to PostgreSQL and a thread.
_AT_WORK = 4
#: Submissions taken at a time, those that wait for their turn included.
_TAKEN = 100
_SEAL_AGAIN_AFTER = 1.0


class ConflictError(Exception):
    """The job exists with another content or other options."""

    def __init__(self, differs: Literal["content", "options"]) -> None:
        super().__init__(differs)
        self.differs = differs


class HeldElsewhereError(Exception):
    """Another process publishes this job right now."""


class BusyError(Exception):
    """Too many submissions are at work, or the program is stopping."""


class StalledError(Exception):
    """Nothing has moved for so long that nobody need wait; the submission goes on."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file and what is asked for its contacts."""

    job: NewJob
    options: Options
    fresh_for: float
    file: SpooledFile
    #: Its type or name says that it is JSON.
    is_json: bool = False


@dataclass(frozen=True, slots=True)
class Sealed:
    """A job with all its records in Kafka; `published` by this submission or an earlier one."""

    job_id: UUID
    counts: Counts
    #: Not known of jobs of the first versions.
    found: FoundFile | None
    published: bool


class Submission:
    """One file on its way to Kafka."""

    def __init__(self, upload: Upload, task: asyncio.Task[Sealed]) -> None:
        self.fingerprint = upload.job.fingerprint
        self.content_sha256 = upload.job.content_sha256
        self.task = task
        self.moved_at = time.monotonic()

    def moved(self) -> None:
        """Some of it was read, or records of it were acknowledged."""
        self.moved_at = time.monotonic()

    async def wait(self, stall_limit: float) -> Sealed:
        """Wait for its end; the submission goes on if the waiting does not.

        Raises:
            StalledError: Nothing was read or acknowledged for `stall_limit` seconds.
            ParseError: The file cannot be taken.
            ConflictError: The job exists otherwise.
            HeldElsewhereError: Another process publishes it.
        """
        while not self.task.done():
            left = self.moved_at + stall_limit - time.monotonic()
            if left <= 0:
                raise StalledError
            await asyncio.wait({self.task}, timeout=left)
        return self.task.result()


class Submissions:
    """All files on their way to Kafka in this process.

    Args:
        jobs: The rows of jobs.
        publisher: Publishes a file.
        connections: How many connections to PostgreSQL there are.
        on_fault: Told when Kafka finally refuses a record.
    """

    def __init__(
        self,
        jobs: Jobs,
        publisher: FilePublisher,
        connections: int,
        on_fault: Callable[[BaseException], None],
    ) -> None:
        self._jobs = jobs
        self._publisher = publisher
        # Each holds one connection, and needs another one for its statements.
        self._turns = asyncio.Semaphore(max(1, min(_AT_WORK, connections // 2)))
        self._on_fault = on_fault
        self._running: dict[UUID, Submission] = {}
        self._draining = False

    def check_room(self) -> None:
        """Return if one more submission is taken.

        Raises:
            BusyError: It is not.
        """
        if self._draining or len(self._running) >= _TAKEN:
            raise BusyError

    def submit(self, upload: Upload) -> Submission:
        """Take a whole file, and its room on disk with it; the one under way if it is the same.

        Raises:
            ConflictError: One of another content or other options is under way by this name.
            BusyError: There are too many.
        """
        job = upload.job
        running = self._running.get(job.job_id)
        if running is not None:
            upload.file.close()
            _check_same(job, running.fingerprint, running.content_sha256)
            return running
        try:
            self.check_room()
        except BusyError:
            upload.file.close()
            raise
        task = asyncio.create_task(self._run(upload))
        submission = self._running[job.job_id] = Submission(upload, task)
        task.add_done_callback(lambda done: self._ended(job.job_id, upload.file, done))
        return submission

    async def drain(self) -> None:
        """Take no more, and wait for all that are under way; cancelled, it breaks them off."""
        self._draining = True
        tasks = [submission.task for submission in self._running.values()]
        try:
            await asyncio.gather(*tasks, return_exceptions=True)
        except asyncio.CancelledError:
            log.warning("submissions broken off; sent again, they go on", count=len(tasks))
            raise

    def _ended(self, job_id: UUID, file: SpooledFile, task: asyncio.Task[Sealed]) -> None:
        file.close()
        del self._running[job_id]
        if task.cancelled():
            return
        error = task.exception()
        if isinstance(error, ProduceError):
            self._on_fault(error)
        elif error is not None and not isinstance(
            error, ParseError | ConflictError | HeldElsewhereError
        ):
            log.warning("a submission failed", job_id=str(job_id), reason=_said(error))

    async def _run(self, upload: Upload) -> Sealed:
        async with self._turns:
            job = upload.job
            moved = self._running[job.job_id].moved
            found = await self._jobs.find(job.job_id)
            if found is not None and (sealed := _sealed(job, found)) is not None:
                return sealed
            contacts = await asyncio.to_thread(
                open_contacts,
                upload.file,
                upload.options,
                is_json=upload.is_json,
                on_progress=moved,
            )
            if found is None:
                await check_whole(contacts)
            async with self._jobs.held(job.job_id) as alone:
                if not alone:
                    raise HeldElsewhereError
                stored = await self._jobs.begin(
                    job, found_in(contacts).model_dump(mode="json"), contacts.headings
                )
                return _sealed(job, stored) or await self._publish(upload, contacts, stored, moved)

    async def _publish(
        self, upload: Upload, contacts: Contacts, stored: StoredJob, moved: Callable[[], None]
    ) -> Sealed:
        job = upload.job
        moved()
        terms = Terms(
            job_id=job.job_id,
            source=job.source,
            account=job.account,
            packages=job.packages,
            fresh_for=upload.fresh_for,
            content=job.fingerprint,
            sheet=contacts.file.sheet or "",
            accepted_at=stored.created_at,
            accept=upload.options.accept,
            phones=contacts.columns.phones,
            kept=contacts.columns.kept,
        )
        counts = await self._publisher.publish(contacts, terms, upload.file.scratch, moved)
        while True:
            try:
                await self._jobs.seal(job.job_id, counts)
            except UNAVAILABLE as error:
                log.warning("cannot seal yet", job_id=str(job.job_id), reason=_said(error))
                await asyncio.sleep(_SEAL_AGAIN_AFTER)
            else:
                break
        log.info("job sealed", job_id=str(job.job_id), accepted=counts.accepted)
        return Sealed(job.job_id, counts, found_in(contacts), published=True)


def _sealed(job: NewJob, stored: StoredJob) -> Sealed | None:
    """What there is of a job already, if all of it is.

    Raises:
        ConflictError: It is another one.
    """
    _check_same(job, stored.fingerprint, stored.content_sha256)
    if stored.counts is None:
        return None
    found = None if stored.found is None else FoundFile.model_validate(stored.found)
    return Sealed(job.job_id, stored.counts, found, published=False)


def _check_same(job: NewJob, fingerprint: str, content_sha256: str) -> None:
    if job.fingerprint != fingerprint:
        raise ConflictError("options" if job.content_sha256 == content_sha256 else "content")


def _said(error: BaseException) -> str:
    return mask_text(f"{type(error).__name__}: {error}")
