"""What was asked of Twilio, and what excuses that it was asked again."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import zip_longest
from uuid import UUID

from services.contracts.messages import DeadLetter, LookupRequest
from services.contracts.packages import Package
from services.local.twilio.ledger import Call
from services.results.rows import Sighting
from tests.faults.books import Books, Loss, Verdict, decoded, masked, partition, time_of
from tests.faults.topics import Seen, of

_FREE = "basic"
#: Twilio's codes for what concerns the account, and ends no turn: 429, refused, suspended.
_OF_THE_ACCOUNT = frozenset({20429, 20003, 20005})

#: What each record says of a request.
Said = Sequence[tuple[Seen, Sighting]]


def check_calls(books: Books, said: Said, verdict: Verdict) -> None:
    """Each whole answer stands on the topics, once; but for those that a loss explains."""
    failures = _failures(books)
    lost: Counter[Loss] = Counter()
    again, unwritten = [], []
    for paid in _paid(books, said):
        call, following = paid.call, paid.following
        if paid.written is not None and following is None:
            continue
        if paid.written is None and _failed(paid, failures.get(call.number, [])):
            verdict.cut += 1
            if books.cuts:
                continue
        else:
            verdict.repeats += following is not None
            if (loss := _loss_of(books, paid)) is not None:
                lost[loss] += time_of(call.ended) <= loss.at
                continue
        if following is not None:
            again.append(f"{masked(call.number)} at {following.started}")
        else:
            unwritten.append(f"{masked(call.number)}, answered at {call.ended}")
    verdict.find("asked again without a reason", again)
    verdict.find("answers that are not on the topics", unwritten)
    verdict.in_flight = [_out(books, loss) + lost[loss] for loss in books.losses]
    verdict.find(
        "more out than the limit allows",
        (
            f"{n} of {books.limit} when {loss.process} was lost"
            for loss, n in zip(books.losses, verdict.in_flight, strict=True)
            if n > books.limit
        ),
    )
    answered = {call.number for call in books.calls if call.answered}
    verdict.find(
        "results of numbers that Twilio never answered",
        (
            row.request_id
            for row in books.stored.requests
            if any(answer.status == "ok" for answer in row.answers.values())
            and row.phone not in answered
        ),
    )


def check_turns(books: Books, verdict: Verdict) -> None:
    """A number is asked for once in each turn of its request, but for what a loss explains.

    Calls that nothing may come of are left out: refused for the account's sake, or its rate.
    """
    turns: defaultdict[str, set[tuple[UUID, int, int]]] = defaultdict(set)
    for record in of(books.records, "contacts", "lookup.due"):
        if (request := decoded(record, LookupRequest)) is not None:
            turns[request.phone].add((request.request_id, request.generation, request.turn))
    asked: defaultdict[str, list[Call]] = defaultdict(list)
    for call in books.calls:
        if call.packages and call.code not in _OF_THE_ACCOUNT:
            asked[call.number].append(call)
    verdict.find(
        "more calls than turns",
        (
            f"{masked(number)}: {len(calls)} calls in {len(turns[number])} turns"
            for number, calls in asked.items()
            if len(calls) > len(turns[number])
            and len(calls) > len(turns[number]) + _losses_of(books, number, calls)
        ),
    )


def _losses_of(books: Books, number: str, calls: Sequence[Call]) -> int:
    """How many losses can have found a call for the number in flight."""
    its, first = partition(books, number), min(time_of(call.started) for call in calls)
    return sum(loss.at >= first and its in loss.partitions for loss in books.losses)


@dataclass(frozen=True, slots=True)
class _Paid:
    """A call with a whole answer of a paid package."""

    call: Call
    #: The next such call for the number.
    following: Call | None
    #: When what was had from it was written to a topic; None if it never was.
    written: datetime | None


def _paid(books: Books, said: Said) -> Iterator[_Paid]:
    """Those calls of every number, in their order."""
    answers = _answers(said)
    by_number: defaultdict[str, list[Call]] = defaultdict(list)
    for call in books.calls:
        if set(call.answered) - {_FREE}:
            by_number[call.number].append(call)
    for number, calls in by_number.items():
        calls.sort(key=lambda call: call.ended)
        for call, following in zip_longest(calls, calls[1:]):
            until = time_of(following.ended) if following else datetime.max.replace(tzinfo=UTC)
            written = [
                at
                for had, at in answers.get(number, {}).items()
                if time_of(call.ended) <= had < until
            ]
            yield _Paid(call, following, min(written, default=None))


def _out(books: Books, loss: Loss) -> int:
    """Calls that the simulator had received and not ended when a process was lost."""
    return sum(
        time_of(call.started) <= loss.at < time_of(call.ended)
        and partition(books, call.number) in loss.partitions
        for call in books.calls
    )


def _answers(said: Said) -> dict[str, dict[datetime, datetime]]:
    """By number, when the answers of paid packages on the topics were had, and first written."""
    times: defaultdict[str, dict[datetime, datetime]] = defaultdict(dict)
    for record, sighting in said:
        for package, answer in sighting.record.answers.items():
            if package is not Package.BASIC and not answer.reused:
                of_it = times[sighting.contact.phone]
                first = of_it.get(answer.looked_up_at, record.at)
                of_it[answer.looked_up_at] = min(first, record.at)
    return dict(times)


def _failures(books: Books) -> dict[str, list[datetime]]:
    """By number, when lookup wrote that a call had failed for the contact's own sake."""
    times: defaultdict[str, list[datetime]] = defaultdict(list)
    for record in of(books.records, "lookup.retry.", "lookup.dead-letters"):
        if record.topic == "lookup.dead-letters":
            letter = decoded(record, DeadLetter)
            request = letter.request if letter is not None else None
        else:
            request = decoded(record, LookupRequest)
        if request is not None and request.attempts:
            times[request.phone].append(record.at)
    return dict(times)


def _failed(paid: _Paid, failures: Sequence[datetime]) -> bool:
    """Whether lookup wrote after this call, and before the next one, that it had failed.

    A record's time is cut to whole milliseconds.
    """
    started = time_of(paid.call.started)
    since = started.replace(microsecond=started.microsecond // 1000 * 1000)
    return any(
        since <= at and (paid.following is None or at < time_of(paid.following.started))
        for at in failures
    )


def _loss_of(books: Books, paid: _Paid) -> Loss | None:
    """The loss that found this call in flight: the first one that can have.

    What was written before a loss was no longer in flight: whoever asks next reads it.
    """
    started, number = time_of(paid.call.started), partition(books, paid.call.number)
    found = [
        loss
        for loss in books.losses
        if started <= loss.at
        and number in loss.partitions
        and (paid.written is None or paid.written >= loss.since)
    ]
    return min(found, key=lambda loss: loss.at, default=None)


def check_stops(books: Books, verdict: Verdict) -> None:
    """A stopped account is not asked, but for the free probe."""
    verdict.find(
        "calls to a stopped account",
        (
            f"{call.account} at {call.started}"
            for stop in books.stops
            for call in books.calls
            if call.account == stop.account
            and call.packages
            and stop.since < time_of(call.started) < stop.until
        ),
    )
