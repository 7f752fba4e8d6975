"""The table of cases: each a schedule, and what surrounds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from services.local.twilio.config import Latency
from services.local.twilio.faults import Fault
from tests.faults.schedule import (
    NOW,
    Calls,
    Finished,
    Moment,
    Moved,
    Schedule,
    Seconds,
    Step,
    random_schedule,
)

WORKERS = ("lookup-1", "lookup-2")
ALL = ("ingest", *WORKERS, "scheduler", "results")
_USUAL = Latency(median_seconds=0.05)
#: Strikes every third number once, so that retries are under way whatever else happens.
SOME_FAIL = Fault(name="some", kind="http_503", share=0.3, times_per_number=1)
#: An outage of Twilio is to end before the attempts do.
PATIENT = {"MAX_ATTEMPTS": "100"}
_EARLY = Finished(0.15)
_A_WHILE = Calls(150)


@dataclass(frozen=True, slots=True)
class Case:
    """One run.

    `make test` has those marked `quick`: one for each mechanism.
    """

    name: str
    schedule: Schedule
    quick: bool = False
    #: Of Twilio, before any step.
    faults: tuple[Fault, ...] = (SOME_FAIL,)
    latency: Latency = _USUAL
    #: Programs that run from the start, and those that a step starts; the kind, and a number.
    started: tuple[str, ...] = ALL
    later: tuple[str, ...] = ()
    #: Environment of every program, beside the usual.
    settings: Mapping[str, str] = field(default_factory=dict)
    #: By part, the programs that reach it through a proxy.
    through: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    #: Programs that may end by themselves, to be started again.
    may_end: frozenset[str] = frozenset()
    #: Whether answers may be cut off on their way to lookup.
    cuts: bool = False


def _once(
    cause: str,
    *whom: str,
    when: Moment = _EARLY,
    lasting: Moment = NOW,
    meanwhile: Schedule = (),
    **how: Any,
) -> Schedule:
    return (Step(when, cause, whom, lasting, meanwhile, how),)


def _twilio(kind: str, lasting: Moment = _A_WHILE, *, quick: bool = False, **how: Any) -> Case:
    return Case(
        f"Twilio: {kind}",
        _once("twilio", lasting=lasting, kind=kind, **how),
        quick=quick,
        settings=PATIENT | {"TWILIO_READ_TIMEOUT": "1s"},
    )


_KILLS = (
    Case(
        "kill -9 of lookup, one after the other",
        (
            *_once("kill", "lookup-1", ready=False),
            *_once("kill", "lookup-2", when=Calls(20), ready=False),
        ),
    ),
    Case(
        # What it had acknowledged and not committed comes again, and is not in PostgreSQL yet.
        "kill -9 of a lookup while results is away",
        _once(
            "stop",
            "results",
            lasting=Seconds(3),
            meanwhile=_once("kill", "lookup-1", when=Calls(60), lasting=Moved(), ready=False),
        ),
        latency=Latency(median_seconds=0.05, spread=1.0),
        quick=True,
    ),
    Case(
        "kill -9 of results, twice",
        (*_once("kill", "results"), *_once("kill", "results", when=Finished(0.5))),
        quick=True,
    ),
    Case("kill -9 of ingest", _once("kill", "ingest")),
    Case(
        "kill -9 of the scheduler before its commit",
        _once(
            "kill",
            "scheduler",
            when=Finished(0.3),
            meanwhile=_once("rewound", "lookup.retry.300ms", when=NOW, least=30),
        ),
    ),
    Case("kill -9 of all programs at once", _once("kill", *ALL), quick=True),
)

_STOPS = (
    Case("rolling restart of all programs", _once("roll", *ALL)),
    Case("rolling restart of lookup", _once("roll", *WORKERS), quick=True),
    Case(
        "scale lookup 1, 3, 1",
        (
            *_once("join", "lookup-2", "lookup-3"),
            *_once("leave", "lookup-2", "lookup-3", when=Calls(200)),
        ),
        started=("ingest", "lookup-1", "scheduler", "results"),
        later=("lookup-2", "lookup-3"),
    ),
    Case(
        "results away while lookup is restarted",
        _once("stop", "results", lasting=Seconds(2), meanwhile=_once("roll", *WORKERS, when=NOW)),
    ),
    Case(
        "a second results joins and leaves",
        (*_once("join", "results-2"), *_once("leave", "results-2", when=Calls(200))),
        later=("results-2",),
    ),
)

_FREEZES = (
    Case(
        "a lookup frozen past its session",
        _once("freeze", "lookup-1", lasting=Moved()),
        quick=True,
    ),
    Case(
        "a results frozen past its session",
        _once("freeze", "results", lasting=Moved("results")),
        started=(*ALL, "results-2"),
    ),
    Case(
        "the only results frozen past its session", _once("freeze", "results", lasting=Seconds(8))
    ),
    Case("the scheduler frozen past its session", _once("freeze", "scheduler", lasting=Seconds(8))),
)

_KAFKA = (
    Case("Kafka stopped for 5 s", _once("broker_stopped", lasting=Seconds(5))),
    Case("Kafka stopped for 60 s", _once("broker_stopped", lasting=Seconds(60))),
    Case("Kafka killed", _once("broker_killed"), quick=True),
    Case(
        "Kafka away while lookup is killed",
        _once("broker_stopped", meanwhile=_once("kill", "lookup-1", when=Seconds(1), ready=False)),
    ),
)

_POSTGRES = (
    Case("PostgreSQL stopped for 5 s", _once("postgres_stopped", lasting=Seconds(5)), quick=True),
    Case("PostgreSQL stopped for 60 s", _once("postgres_stopped", lasting=Seconds(60))),
    Case("PostgreSQL restarted", _once("postgres_stopped")),
    Case("PostgreSQL killed", _once("postgres_killed")),
    Case(
        "PostgreSQL's connections cut, three times",
        tuple(step for _ in range(3) for step in _once("connections_cut", when=Calls(100))),
    ),
    Case("a table locked for 20 s", _once("table_locked", "requests", lasting=Seconds(20))),
    Case("PostgreSQL refuses writes for 5 s", _once("read_only", lasting=Seconds(5))),
    Case(
        "PostgreSQL away during a rolling restart",
        _once(
            "postgres_stopped",
            lasting=Seconds(2),
            meanwhile=_once("roll", *WORKERS, "results", when=Seconds(1), ready=False),
        ),
    ),
)

_TWILIO = (
    Case(
        "Twilio down for 5 s",
        _once("twilio_stopped", lasting=Seconds(5)),
        settings=PATIENT,
    ),
    Case(
        "Twilio slow, up to past the timeout",
        _once("twilio_slow", lasting=Calls(100), median_seconds=0.8, spread=0.3),
        settings=PATIENT | {"TWILIO_READ_TIMEOUT": "1s"},
    ),
    _twilio("http_500"),
    _twilio("http_503"),
    # Few calls come through to be refused: the limit falls.
    _twilio("rate_limited", lasting=Calls(40)),
    _twilio("slow_body", share=0.3, seconds=2),
    _twilio("cut", share=0.5, quick=True),
    _twilio("reset", share=0.5),
    _twilio("wrong_json", share=0.5),
    _twilio("wrong_number", share=0.5),
    Case(
        "Twilio refuses the credentials for a while",
        _once("refused", "default", lasting=Seconds(3)),
        settings={"PROBE_INTERVAL": "1s"},
        quick=True,
    ),
)


def _ways(part: str, *programs: str, **given: Any) -> tuple[Case, ...]:
    """The way to a part fails, for some programs."""
    told = " and ".join(programs)
    acts = {
        "cut for 3 s": _once("way_cut", part, lasting=Seconds(3)),
        "half closed, twice": 2 * _once("way_half_closed", part, when=Calls(150)),
        "slower by 0.2 s": _once("way_slow", part, lasting=Calls(100), seconds=0.2),
    }
    return tuple(
        Case(f"the way from {told} to {part} {name}", schedule, through={part: programs}, **given)
        for name, schedule in acts.items()
    )


_WAYS = (
    *_ways("kafka", "lookup-1"),
    *_ways("kafka", "ingest", "scheduler", "results"),
    *_ways("postgres", *WORKERS, "results"),
    *_ways("twilio", *WORKERS, settings=PATIENT, cuts=True),
    Case(
        "the way from ingest to postgres cut while a file comes in",
        (
            *_once(
                "way_cut", "postgres", meanwhile=_once("upload", when=NOW, rows=200, status=503)
            ),
            *_once("upload", when=NOW, rows=200),
        ),
        through={"postgres": ("ingest",)},
    ),
)

_RECORDS = (
    Case(
        "records doubled, out of order",
        _once(
            "doubled",
            *("contacts", "lookup.retry.300ms", "lookup.due", "lookup.results"),
            when=Finished(0.4),
        ),
    ),
    Case(
        "records of other releases, garbage, and what our own code fails on",
        (
            *_once("other_releases", each=20),
            *_once(
                "garbage", "contacts", "lookup.due", "lookup.results", "lookup.parked", when=NOW
            ),
            *_once("crashing", when=NOW, each=5, of="turn"),
            *_once("crashing", when=NOW, each=5, of="attempts"),
        ),
        quick=True,
    ),
    Case("more partitions while it runs", _once("grown")),
    Case(
        "no room for ingest's spool",
        (
            *_once(
                "files_limited",
                "ingest",
                bytes=256 * 1024,
                meanwhile=_once("upload", when=NOW, rows=200, status=503),
            ),
            *_once("upload", when=NOW, rows=200),
        ),
    ),
)

#: What a random schedule is drawn from: the faults that any system may meet on any day.
MENU: tuple[Step, ...] = (
    *_once("kill", "lookup-1", ready=False),
    *_once("kill", "lookup-2", ready=False),
    *_once("kill", "results", ready=False),
    *_once("kill", "scheduler", ready=False),
    *_once("kill", "ingest", ready=False),
    *_once("roll", *WORKERS),
    *_once("roll", *ALL),
    *_once("freeze", "lookup-1", lasting=Moved()),
    *_once("broker_stopped", lasting=Seconds(2)),
    *_once("broker_killed"),
    *_once("postgres_stopped", lasting=Seconds(2)),
    *_once("postgres_killed"),
    *_once("connections_cut"),
    *_once("twilio_stopped", lasting=Seconds(2)),
    *_once("twilio", lasting=_A_WHILE, kind="http_503"),
    *_once("twilio", lasting=_A_WHILE, kind="cut", share=0.5),
)


def at_random(seed: int, steps: int) -> Case:
    """Faults drawn by a seed; whoever has the seed has the same run."""
    return Case(
        f"{steps} faults at random, seed {seed}",
        random_schedule(seed, steps, MENU, apart=(10, 60)),
        settings=PATIENT,
    )


_AT_RANDOM = tuple(at_random(seed, 6) for seed in (1, 2, 3))

CASES: tuple[Case, ...] = (
    *_KILLS,
    *_STOPS,
    *_FREEZES,
    *_KAFKA,
    *_POSTGRES,
    *_TWILIO,
    *_WAYS,
    *_RECORDS,
    *_AT_RANDOM,
)
