"""Plays a schedule on a running system, and settles the accounts in the end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import Path

import asyncpg

from services.local.twilio.ledger import read_calls
from tests.faults.books import Books, Verdict, partition
from tests.faults.causes import CAUSES
from tests.faults.reconcile import reconcile
from tests.faults.scene import Scene
from tests.faults.schedule import Schedule
from tests.faults.starting import CONCURRENCY
from tests.faults.stored import read_offsets, read_stored
from tests.faults.topics import ends_of, read_all, write_down

#: Without a call of its partitions, a process is gone.
_PAUSE = timedelta(seconds=1)


@dataclass(slots=True)
class Outcome:
    """What came of a run: the verdict, and what was measured."""

    verdict: Verdict
    #: For people and for the report; durations in seconds.
    figures: dict[str, object] = field(default_factory=dict)


def run(
    scene: Scene, act: Callable[[], None], kept: Path, *, cuts: bool = False
) -> tuple[Books, Outcome]:
    """Have something done to a scene, and settle when all has its end; after a failure, at once.

    Args:
        scene: What it is done to.
        act: What is done.
        kept: Where the books of a run that failed are written.
        cuts: Whether an answer may be cut off between Twilio and lookup.
    """
    try:
        act()
        finish(scene)
    except BaseException:
        scene.give_up()
        keep(*asyncio.run(settle(scene, cuts=cuts)), kept)
        raise
    return asyncio.run(settle(scene, cuts=cuts))


def play(scene: Scene, schedule: Schedule) -> None:
    """Have the faults of a schedule happen, one after the other."""
    for step in schedule:
        scene.wait(step.when)
        with CAUSES[step.cause](scene, step):
            play(scene, step.meanwhile)
            scene.wait(step.lasting)


def finish(scene: Scene) -> None:
    """Wait until every contact has its end and results has stored all, then stop every program."""
    scene.finish()
    scene.until("results has stored everything", lambda: asyncio.run(_stored_all(scene)))
    for name, program in scene.stack.programs.items():
        if program.running:
            scene.stop(name)


async def _stored_all(scene: Scene) -> bool:
    """Whether no partition that results reads has a record that it has not stored."""
    ends = await ends_of(scene.settings)
    connection = await asyncpg.connect(scene.url)
    try:
        stored = await read_offsets(connection)
    finally:
        await connection.close()
    return all(next_offset >= ends.get(place, 0) for place, next_offset in stored.items())


async def settle(scene: Scene, *, cuts: bool) -> tuple[Books, Outcome]:
    """Read the four sources and compare them."""
    scene.note_lost_sessions()
    books = Books(
        topics=scene.settings.topics,
        prefix=scene.settings.kafka_topic_prefix,
        submitted=scene.contacts,
        records=await read_all(scene.settings),
        stored=await read_stored(scene.url),
        calls=read_calls(scene.ledger),
        losses=scene.noted.losses,
        stops=scene.noted.stops,
        limit=CONCURRENCY,
        cuts=cuts,
        garbage=scene.noted.garbage,
        doubled=scene.noted.doubled,
    )
    verdict = reconcile(books)
    verdict.find("totals that did not add up in mid-run", scene.sampler.wrong)
    if not scene.sampler.readings:
        verdict.findings.append("totals were never read in mid-run")
    return books, Outcome(verdict, _figures(scene, books, verdict))


def keep(books: Books, outcome: Outcome, directory: Path) -> None:
    """Write down what a failed run leaves: topics, rows and the verdict, beside logs and ledger."""
    directory.mkdir(parents=True, exist_ok=True)
    write_down(books.records, directory / "topics.jsonl")
    with (directory / "requests.jsonl").open("w", encoding="utf-8") as stream:
        for row in books.stored.requests:
            line = {
                "request_id": str(row.request_id),
                "reference": row.reference,
                "phone": row.phone,
                "state": row.state,
                "generation": row.generation,
                "turn": row.turn,
            }
            stream.write(json.dumps(line) + "\n")
    told = {"findings": outcome.verdict.findings, "losses": [str(loss) for loss in books.losses]}
    (directory / "verdict.json").write_text(
        json.dumps(told | outcome.figures, indent=2), encoding="utf-8"
    )


def _figures(scene: Scene, books: Books, verdict: Verdict) -> dict[str, object]:
    """What was measured, by what it is called in the report."""
    figures: dict[str, object] = {
        "contacts": len(books.submitted),
        "calls": len(books.calls),
        "readings of the totals": scene.sampler.readings,
        "repeats": verdict.repeats,
        "in flight": [
            f"{n} of {loss.process}, {loss.why}"
            for loss, n in zip(books.losses, verdict.in_flight, strict=True)
        ],
    }
    if verdict.cut:
        figures["answers cut on the way"] = verdict.cut
    if scene.noted.fell:
        figures["ended by themselves"] = scene.noted.fell
    placed = sorted(
        (call.started, partition(books, call.number))
        for call in books.calls
        if call.packages  # else a probe
    )
    starts = [start for start, _ in placed]
    if moved := [
        _after_a_pause([start for start, its in placed if its in loss.partitions], loss.at)
        for loss in books.losses
        if loss.partitions
    ]:
        figures["partitions move again, s"] = moved
    if flowing := [
        f"{healed.what}: {_after(starts, healed.at.isoformat(timespec='microseconds'))}"
        for healed in scene.noted.healed
    ]:
        figures["flowing again, s"] = flowing
    if refused := sorted(
        call.started
        for call in books.calls
        if call.packages and call.status == HTTPStatus.UNAUTHORIZED
    ):
        # From the first that was refused to the last that any process sent.
        figures["account stopped, s"] = _after(refused[-1:], refused[0]) or 0.0
    figures["SIGTERM to exit, s"] = {
        name: round(max(s for n, s in scene.noted.exits if n == name), 2)
        for name in sorted({name for name, _ in scene.noted.exits})
    }
    if verdict.lateness:
        late = sorted(verdict.lateness)
        figures["retries late, s"] = {
            "p50": _seconds(late[len(late) // 2]),
            "p99": _seconds(late[len(late) * 99 // 100]),
            "of": len(late),
        }
    return figures


def _after(starts: list[str], instant: str) -> float | None:
    """Seconds from an instant to the first of these times after it; times as in the ledger."""
    following = next((start for start in starts if start > instant), None)
    if following is None:
        return None
    return _seconds(datetime.fromisoformat(following) - datetime.fromisoformat(instant))


def _after_a_pause(starts: list[str], instant: datetime) -> float | None:
    """The same for the first after a pause: what a frozen process had sent may come in later."""
    before = instant
    for start in map(datetime.fromisoformat, starts):
        if start - before > _PAUSE:
            return _seconds(start - instant)
        before = max(before, start)
    return None


def _seconds(span: timedelta) -> float:
    """As the report says it: to hundredths."""
    return round(span.total_seconds(), 2)
