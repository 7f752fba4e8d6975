"""What a schedule acts on, and what is noted of it while it runs."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from services.local.kafka import KafkaServer
from services.local.postgres import PostgresServer
from services.local.processes import ServerError
from services.local.programs import Program
from services.local.stack import Stack
from services.local.twilio.faults import Fault
from services.runtime.program import EXIT_FAULT
from services.runtime.settings import ProgramSettings
from tests.faults.books import Contact, Loss, Stopped
from tests.faults.feeding import Feeder
from tests.faults.proxy import Proxy
from tests.faults.schedule import Calls, Finished, Moment, Moved, Seconds
from tests.faults.stored import Sampler
from tests.faults.topics import Seen
from tests.pipeline.harness import Pipeline

#: Ten times the longest goal: an outage's end to the flow.
GUARD_SECONDS = 150.0
_POLL_SECONDS = 0.05
#: What aiokafka says when Kafka has let a member go that thought it was one.
_SESSION_LOST = ("member_id was not recognized", "generation id is not", "UnknownMemberId")
_ASSIGNED = "partitions assigned"


@dataclass(frozen=True, slots=True)
class Healed:
    """The end of an outage."""

    what: str
    at: datetime


@dataclass(slots=True)
class Noted:
    """What is seen of a run besides the four sources."""

    losses: list[Loss] = field(default_factory=list)
    healed: list[Healed] = field(default_factory=list)
    stops: list[Stopped] = field(default_factory=list)
    garbage: list[Seen] = field(default_factory=list)
    doubled: list[Seen] = field(default_factory=list)
    #: Seconds from SIGTERM to the exit, of each stop.
    exits: list[tuple[str, float]] = field(default_factory=list)
    #: Programs that ended by themselves, and were started again.
    fell: list[str] = field(default_factory=list)


class Scene:
    """A running system and its surroundings.

    Args:
        stack: With its programs.
        kafka: The broker it uses.
        postgres: The server it uses.
        url: Its database, past any proxy.
        settings: How to reach its Kafka, past any proxy.
        proxies: By the part that stands behind each: kafka, postgres, twilio.
        sampler: Which reads its totals.
        feeder: Which hands contacts in.
        contacts: Those that were handed in.
        spare: Numbers for contacts that steps hand in.
        may_end: Programs that may end by themselves, with exit code 70, to be started again.
    """

    def __init__(
        self,
        *,
        stack: Stack,
        kafka: KafkaServer,
        postgres: PostgresServer,
        url: str,
        settings: ProgramSettings,
        proxies: Mapping[str, Proxy],
        sampler: Sampler,
        feeder: Feeder,
        contacts: list[Contact],
        spare: list[str],
        may_end: frozenset[str] = frozenset(),
    ) -> None:
        self.stack, self.kafka, self.postgres = stack, kafka, postgres
        self.url, self.settings, self.proxies = url, settings, proxies
        self.sampler, self.feeder, self._given = sampler, feeder, contacts
        self._rows, self._spare = len(contacts), spare
        self.pipeline = Pipeline(stack)
        self.noted = Noted()
        self._may_end = may_end

    @property
    def contacts(self) -> list[Contact]:
        """All that were handed in so far."""
        return [*self._given, *self.feeder.handed_in]

    def program(self, name: str) -> Program:
        """A program by name."""
        return self.stack.programs[name]

    @property
    def ledger(self) -> Path:
        """The file of the simulator's ledger."""
        assert self.stack.simulator is not None
        return self.stack.simulator.ledger_path

    def log(self, name: str) -> Iterator[Mapping[str, Any]]:
        """The lines of a program's log, over all its starts."""
        log = self.program(name).log
        if log.exists():
            with log.open("rb") as stream:
                for line in stream:
                    if line.startswith(b"{") and line.endswith(b"\n"):
                        yield json.loads(line)

    # What is done to it.

    def start(self, names: Iterable[str], *, ready: bool = True) -> None:
        """Start programs side by side, and wait until they are ready, or hear signals at least."""
        for name in names:
            self.program(name).start()
        for name in names:
            self.until(f"{name} hears signals", partial(self._hears_signals, name))
        for name in names if ready else ():
            self.program(name).wait_ready(GUARD_SECONDS)

    def stop(self, name: str) -> None:
        """End a program by SIGTERM; it must drain."""
        began = time.monotonic()
        code = self.program(name).stop()
        self.noted.exits.append((name, time.monotonic() - began))
        assert code == 0, f"{name} ended with {code} after SIGTERM"

    def kill(self, names: Iterable[str]) -> None:
        """End programs by SIGKILL, all at one instant."""
        killed = [self.program(name) for name in names]
        for program in killed:
            program.signal(signal.SIGKILL)
        for program in killed:
            program.kill()
        for program in killed:
            self.lose("killed", program.name, datetime.now(UTC))

    def lose(self, why: str, name: str, at: datetime, since: datetime | None = None) -> None:
        """Note that a lookup lost what it had out."""
        if self.program(name).kind == "lookup":
            held = self._assigned(name, at)
            self.noted.losses.append(Loss(why, name, at, held, since or at))

    @property
    def faults(self) -> Sequence[Fault]:
        """What strikes at Twilio before any step."""
        return self.pipeline.simulator.config.faults

    def more_numbers(self, count: int) -> list[str]:
        """Numbers that no contact has; each is given once."""
        assert count <= len(self._spare), f"{len(self._spare)} numbers are left"
        given, self._spare = self._spare[:count], self._spare[count:]
        return given

    def give_back(self, numbers: Iterable[str]) -> None:
        """They have come to nothing, and are the next to be given."""
        self._spare = [*numbers, *self._spare]

    def hand_in(self, contacts: Sequence[Contact]) -> None:
        """Count contacts as handed in, which whoever calls has done."""
        self._given += contacts

    def finish(self) -> None:
        """Hand in no more, and wait until every contact has its end."""
        self.feeder.stop()
        self.until("every contact has its end", lambda: self.sampler.finished >= len(self.contacts))

    def healed(self, what: str) -> None:
        """Note the end of an outage."""
        self.noted.healed.append(Healed(what, datetime.now(UTC)))

    def give_up(self) -> None:
        """End every program at once; Kafka and PostgreSQL run, to be read."""
        self.stack.kill()
        self.stack.stop()
        for server in (self.kafka, self.postgres):
            if not server.running:
                server.start()
        self.feeder.end()

    # What is seen of it.

    def wait(self, moment: Moment) -> None:
        """Wait for a moment, counted from now."""
        match moment:
            case Seconds(seconds=seconds):
                until = time.monotonic() + seconds
                self.until(f"{seconds} s are over", lambda: time.monotonic() >= until, 10 * seconds)
            case Finished(share=share):
                wanted = share * self._rows
                self.until(f"{wanted:.0f} have their end", lambda: self.sampler.finished >= wanted)
            case Calls(more=more):
                wanted_calls = self._calls() + more
                self.until(f"{more} more calls", lambda: self._calls() >= wanted_calls)
            case Moved(program=kind):
                before = self._assignments(kind)
                self.until(
                    f"partitions of {kind} have moved", lambda: self._assignments(kind) > before
                )

    def until(
        self, what: str, condition: Callable[[], object], seconds: float = GUARD_SECONDS
    ) -> None:
        """Poll until the condition is true; the guard, or a program's own death, fails the test."""
        deadline = time.monotonic() + max(seconds, GUARD_SECONDS)
        while not condition():
            self._tend()
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"not within {max(seconds, GUARD_SECONDS):.0f} s: {what}; "
                    f"{self.sampler.finished} of {len(self.contacts)} have their end, "
                    f"{dict(self.sampler.by_state)}"
                )
            time.sleep(_POLL_SECONDS)

    def note_lost_sessions(self) -> None:
        """Note the sessions that Kafka ended though nobody had frozen or killed the process."""
        session = self.settings.kafka_session_timeout
        for name, program in self.stack.programs.items():
            if program.kind != "lookup":
                continue
            ours = [loss.at for loss in self.noted.losses if loss.process == name]
            for line in list(self.log(name)):
                if not any(words in str(line["event"]) for words in _SESSION_LOST):
                    continue
                at = _time(line)
                if not any(timedelta(0) <= at - other <= 10 * session for other in ours):
                    ours.append(at)
                    self.lose("session lost", name, at, at - 2 * session)

    def _tend(self) -> None:
        """Start again what ended by itself and may, as an orchestrator would."""
        for server in self.stack.servers.values():
            server.check()
        for name, program in self.stack.programs.items():
            try:
                program.check()
            except ServerError:
                if name not in self._may_end or program.exit_code != EXIT_FAULT:
                    raise
                self.lose("ended by itself", name, datetime.now(UTC))
                self.noted.fell.append(name)
                program.start()

    def _calls(self) -> int:
        return self.ledger.read_bytes().count(b"\n")

    def _hears_signals(self, name: str) -> bool:
        """Whether the process that runs now drains at a SIGTERM; before, it would just end."""
        pid = self.program(name).pid
        return any(line["event"] == "starting" and line["pid"] == pid for line in self.log(name))

    def _assignments(self, kind: str) -> int:
        logs = [p.log for p in self.stack.programs.values() if p.kind == kind and p.log.exists()]
        return sum(log.read_bytes().count(_ASSIGNED.encode()) for log in logs)

    def _assigned(self, name: str, at: datetime) -> frozenset[int]:
        """The partitions that a lookup was last assigned before then."""
        held: frozenset[int] = frozenset()
        for line in self.log(name):
            if _time(line) > at:
                break
            if line["event"] == "starting":
                held = frozenset()
            elif line["event"] == _ASSIGNED:
                held = frozenset(line["partitions"])
        return held


def _time(line: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(line["timestamp"])
