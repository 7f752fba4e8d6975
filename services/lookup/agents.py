"""What is done with one record: one way through, and out through one door.

    taken up? -> held? -> owed? -> allowed? -> asked -> decided -> written

Everything up to the call's first byte may be cancelled and costs nothing; from there on it
is awaited to Kafka's acknowledgement. The decisions are pure and stand in `turns`,
`control`, `route` and `classify`; this file only carries them out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from functools import partial

import structlog

from services.contracts.codec import NewerVersionError, UndecodableError, decode
from services.contracts.control import account_key, account_keys, holding
from services.contracts.messages import LookupRequest
from services.contracts.packages import Package, newest
from services.contracts.turns import Record, State, takes_up
from services.lookup import route
from services.lookup.accounts import Account
from services.lookup.classify import Reading
from services.lookup.flights import Flights
from services.lookup.flood import Flood, ended_rarely
from services.lookup.intake import Taken
from services.lookup.lease import Lease, LeaseOverError
from services.lookup.memory import Memory
from services.lookup.outlet import Outlet
from services.lookup.paid import PaidCheck
from services.lookup.throttle import Throttle
from services.lookup.twilio import TwilioClient
from services.runtime.control_topic import ControlTopic
from services.runtime.logs import get_logger
from services.runtime.metrics import CONSUMER_RECORD_AGE, CONSUMER_RECORDS, LOOKUP_WAITING
from services.runtime.program import FaultError
from services.runtime.twilio_metrics import ANSWERS_REUSED, TWILIO_IN_FLIGHT

log = get_logger(__name__)
_WAITING = {
    cause: LOOKUP_WAITING.labels(cause=cause)
    for cause in ("paid_check", "memory", "limiter", "hold", "lease")
}


class _HeldError(Exception):
    """A hold was set while the call was on its way to its first byte; nothing was sent."""


class Agents:
    """The work of lookup, given everything it needs."""

    def __init__(
        self,
        *,
        accounts: Mapping[str, Account],
        throttles: Mapping[str, Throttle],
        floods: Mapping[str, Flood],
        client: TwilioClient,
        policy: route.Policy,
        paid: PaidCheck,
        memory: Memory,
        flights: Flights,
        lease: Lease,
        control: ControlTopic,
        outlet: Outlet,
    ) -> None:
        self._accounts = accounts
        self._throttles = throttles
        self._floods = floods
        self._client = client
        self._policy = policy
        self._paid = paid
        self._memory = memory
        self._flights = flights
        self._lease = lease
        self._control = control
        self._outlet = outlet
        self._setting: dict[str, asyncio.Task[None]] = {}

    async def handle(self, taken: Taken) -> None:
        """Work on a record until it is done with.

        Raises:
            FaultError: The program cannot go on; the record stays uncommitted.
        """
        if (stamp := taken.timestamp) is not None:
            age = (datetime.now(UTC) - stamp).total_seconds()
            CONSUMER_RECORD_AGE.labels(topic=taken.topic).observe(max(0.0, age))
        try:
            request = decode(taken.value, LookupRequest)
        except NewerVersionError as error:
            raise FaultError(str(error)) from error
        except UndecodableError as error:
            await self._outlet.bury(taken, "undecodable", str(error), None)
            return
        taken.request = request
        # Each record has a task, and so a context, of its own.
        structlog.contextvars.bind_contextvars(
            request_id=str(request.request_id),
            job_id=str(request.job_id),
            partition=taken.partition,
        )
        async with self._flights.of(request.account, request.phone):
            while not await self._is_done(taken, request):
                pass

    async def _is_done(self, taken: Taken, request: LookupRequest) -> bool:
        """Work on it, whatever our own code makes of it; False: again, a hold has changed."""
        try:
            await self._look_up(taken, request)
        except FaultError:
            raise
        except Exception as error:
            log.exception("a record failed in our own code")
            await self._count(request.account, rare=True)
            return await self._with_room(partial(self._end_failed, taken, error)) is None
        return True

    async def _end_failed(self, taken: Taken, error: Exception) -> float | None:
        """A dead letter, with what was paid; held instead if no call was made and a hold stands.

        Else what stops the account, such as a flood of just these, would not stop the flood.
        """
        request = taken.request
        held = () if request is None else holding(request, self._control.held)
        if request is not None and held and taken.sent_at is None:
            return await self._wait_or_park(taken, request, held)
        detail = f"{type(error).__name__} in lookup; see its log for this request"
        await self._outlet.bury(taken, "internal-error", detail, request)
        return None

    async def _with_room(self, act: Callable[[], Awaitable[float | None]]) -> float | None:
        """Do what may write an outcome, with room in the memory, given back if it wrote none."""
        with _waiting("memory"):
            await self._memory.reserve()
        try:
            again_after = await act()
        except BaseException:
            self._memory.give_back()
            raise
        if again_after is not None:
            self._memory.give_back()
        return again_after

    async def _look_up(self, taken: Taken, request: LookupRequest) -> None:
        """Learn what was paid, then act on it; again from the start after every wait."""
        while True:
            with _waiting("paid_check"):
                known = await self._paid.ask(request)
            row = self._memory.row(request.request_id, known.row)
            if not takes_up(row, Record(State.PENDING, request.generation, request.turn)):
                CONSUMER_RECORDS.labels(topic=taken.topic, outcome="dropped").inc()
                return
            if row is not None and row.answers:
                request = route.with_answers(request, row.answers)
            remembered = self._memory.answers(request.account, request.phone)
            candidates = newest(known.answers, remembered)
            reused = route.reuse(request, candidates, datetime.now(UTC))
            owed = route.owed(request)
            reused = {package: answer for package, answer in reused.items() if package in owed}
            asking = route.with_answers(request, reused) if reused else request
            taken.request = asking
            again_after = await self._with_room(partial(self._act, taken, asking))
            if again_after is None:
                for package in reused:
                    ANSWERS_REUSED.labels(package=package).inc()
                return
            with _waiting("limiter"):
                await asyncio.sleep(again_after)

    async def _act(self, taken: Taken, request: LookupRequest) -> float | None:
        """Write an outcome and return None, or return the seconds after which to begin anew."""
        owed = route.owed(request)
        if not owed:
            result = route.finish_without_call(request, datetime.now(UTC))
            await self._outlet.finish(taken, result)
            return None
        if request.account not in self._accounts:
            key = account_key(request.account, "refused")
            await self._hold(key, "no credentials are configured for this account")
            return await self._wait_or_park(taken, request, (key,))
        if held := holding(request, self._control.held):
            return await self._wait_or_park(taken, request, held)
        try:
            async with self._permit(request.account, owed):
                if holding(request, self._control.held):
                    return 0.0
                with TWILIO_IN_FLIGHT.labels(account=request.account).track_inprogress():
                    after = await self._call(taken, request, owed)
        except _HeldError:
            taken.mark_unsent()
            return 0.0
        except LeaseOverError:
            taken.mark_unsent()
        else:
            if isinstance(after, LookupRequest):
                return await self._wait_or_park(taken, after, after.waits_for)
            return after
        with _waiting("lease"):
            await self._lease.regained()
        return 0.0

    @asynccontextmanager
    async def _permit(self, account: str, owed: tuple[Package, ...]) -> AsyncIterator[None]:
        """One of the calls in flight; held until Kafka has what came of it."""
        async with AsyncExitStack() as held:
            with _waiting("limiter"):
                await held.enter_async_context(self._throttles[account].permit(owed))
            yield

    async def _call(
        self, taken: Taken, request: LookupRequest, owed: tuple[Package, ...]
    ) -> float | LookupRequest | None:
        try:
            reading = await self._client.ask(
                request.account,
                request.phone,
                owed,
                before_send=lambda: self._before_send(taken, request),
                generation=request.generation,
                turn=request.turn,
            )
        finally:
            taken.mark_answered()
        if taken.sent_at is not None:
            self._throttles[request.account].learn(reading, taken.sent_at)
        return await self._perform(taken, request, reading)

    def _before_send(self, taken: Taken, request: LookupRequest) -> None:
        """Right before the bytes are written: the last moment at which nothing was sent."""
        self._lease.check()
        if holding(request, self._control.held):
            raise _HeldError
        taken.mark_sent()

    async def _perform(
        self, taken: Taken, request: LookupRequest, reading: Reading
    ) -> float | LookupRequest | None:
        """Carry out what the reading comes to.

        None: it is written. Seconds: again after them, in the same turn. A request: nothing
        was answered, and it is held by what it names.
        """
        taken.request = route.with_answers(request, reading.answers)
        outcome = route.decide(
            request,
            reading,
            now=datetime.now(UTC),
            policy=self._policy,
            rate_limited_in_a_row=taken.rate_limited + 1,
        )
        if (rare := ended_rarely(outcome, reading)) is not None:
            await self._count(request.account, rare=rare)
        match outcome:
            case route.Again(after=after):
                taken.rate_limited += 1
                taken.mark_unsent()
                return after
            case route.Retry(delay=delay, request=following, holds=holds):
                await self._announce(holds)
                await self._outlet.retry(taken, delay, following)
            case route.Park(request=parked, holds=holds):
                await self._announce(holds)
                if parked.answers == request.answers:
                    taken.mark_unsent()
                    return parked
                await self._outlet.park(taken, parked)
            case route.Finish(result=result):
                await self._outlet.finish(taken, result)
            case route.Dead(reason=reason, detail=detail, request=dead):
                await self._outlet.bury(taken, reason, detail, dead)
        return None

    async def _wait_or_park(
        self, taken: Taken, request: LookupRequest, causes: tuple[str, ...]
    ) -> float | None:
        """With every account stopped it waits here, and so fills the slots; else it is parked."""
        if not self._every_account_stopped():
            parked = request.model_copy(update={"waits_for": causes})
            await self._outlet.park(taken, parked)
            return None
        with _waiting("hold"):
            await self._control.changed()
        return 0.0

    def _every_account_stopped(self) -> bool:
        held = self._control.held
        return all(not held.isdisjoint(account_keys(name)) for name in self._accounts)

    async def _announce(self, holds: tuple[route.Hold, ...]) -> None:
        for hold in holds:
            await self._hold(hold.key, hold.why)

    async def _count(self, account: str, *, rare: bool) -> None:
        """Count how a contact of the account ended; a flood stops the account."""
        flood = self._floods.get(account)
        if flood is not None and (why := flood.count(rare=rare)) is not None:
            await self._hold(account_key(account, "flood"), why)

    async def _hold(self, key: str, why: str) -> None:
        """Set a cause in every process, once, though many calls find it at the same time."""
        if key in self._control.held:
            return
        setting = self._setting.get(key)
        if setting is None:
            log.error("holding", key=key, why=why)
            setting = asyncio.create_task(self._control.set(key, held=True, why=why, by="lookup"))
            self._setting[key] = setting
            setting.add_done_callback(lambda _: self._setting.pop(key))
        await asyncio.shield(setting)


@contextmanager
def _waiting(cause: str) -> Iterator[None]:
    waiting = _WAITING[cause]
    waiting.inc()
    try:
        yield
    finally:
        waiting.dec()
