"""Four sources against each other, contact by contact: whatever does not agree is a finding.

What was submitted, the topics read raw, PostgreSQL, and the simulator's ledger. Pure: the same
books give the same verdict, and `tests/unit/test_fault_books.py` shows what each finding takes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from uuid import UUID

from services.contracts.codec import NewerVersionError, UndecodableError, decode
from services.contracts.messages import DeadLetter, LookupRequest
from services.contracts.packages import Package
from services.contracts.topics import Topics
from services.contracts.turns import Row, State, next_row
from services.local.twilio.ledger import Call
from services.results.records import Taken, readers
from services.results.rows import Place, Sighting
from services.runtime.kafka import partition_of
from tests.faults.stored import Stored
from tests.faults.topics import Seen, of

_FREE = "basic"
#: Twilio's codes for what concerns the account, and ends no turn: 429, refused, suspended.
_OF_THE_ACCOUNT = frozenset({20429, 20003, 20005})
#: Findings of one kind that are told; the rest is counted.
_TOLD = 5


@dataclass(frozen=True, slots=True)
class Contact:
    """One that was handed in, and the states it may end in."""

    reference: str
    phone: str
    ends: frozenset[str] = frozenset({"completed"})


@dataclass(frozen=True, slots=True)
class Loss:
    """A process that lost what it had out: killed, frozen past its session, or its session gone."""

    why: str
    process: str
    at: datetime
    #: What it had been assigned, as its log says.
    partitions: frozenset[int]
    #: The earliest it can have been, where nobody saw it happen; else the same.
    since: datetime


@dataclass(frozen=True, slots=True)
class Stopped:
    """An account that every process has acknowledged as stopped, until it was let go on."""

    account: str
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Books:
    """All that is known of a run from outside."""

    topics: Topics
    prefix: str
    submitted: Sequence[Contact]
    records: Sequence[Seen]
    stored: Stored
    calls: Sequence[Call]
    losses: Sequence[Loss] = ()
    stops: Sequence[Stopped] = ()
    #: Most calls that an account may have out.
    limit: int = 0
    #: Whether an answer may have been cut off between Twilio and lookup.
    cuts: bool = False
    #: Records that were put on the topics and cannot be read.
    garbage: Sequence[Seen] = ()
    #: Records that were put on the topics once more, as they stood.
    doubled: Sequence[Seen] = ()


@dataclass(slots=True)
class Verdict:
    """What came of the comparison."""

    findings: list[str] = field(default_factory=list)
    #: Whole answers of a paid package beyond the first.
    repeats: int = 0
    #: By loss, in its order: calls that were out.
    in_flight: list[int] = field(default_factory=list)
    #: Answers that Twilio gave whole and that lookup says it never got whole.
    cut: int = 0
    #: Of each retry that was released: how long after its time.
    lateness: list[timedelta] = field(default_factory=list)

    def find(self, kind: str, what: Iterable[object]) -> None:
        """Add findings of a kind, if there are any."""
        found = [str(one) for one in what]
        if found:
            more = f", and {len(found) - _TOLD} more" if len(found) > _TOLD else ""
            self.findings.append(f"{kind}: {'; '.join(found[:_TOLD])}{more}")


def reconcile(books: Books) -> Verdict:
    """Compare everything with everything."""
    verdict = Verdict()
    requests = _requests(books, verdict)
    _rows(books, requests, verdict)
    _totals(books, verdict)
    _stored_once(books, verdict)
    _calls(books, verdict)
    _asked(books, verdict)
    _releases(books, verdict)
    _stops(books, verdict)
    _garbage(books, verdict)
    return verdict


def _decoded(record: Seen) -> LookupRequest | None:
    try:
        return decode(record.value, LookupRequest)
    except (UndecodableError, NewerVersionError):
        return None


def _requests(books: Books, verdict: Verdict) -> dict[UUID, Contact]:
    """Every contact is one request on `contacts`, and every request there is a contact."""
    known = {contact.reference: contact for contact in books.submitted}
    ids: defaultdict[str, set[UUID]] = defaultdict(set)
    found: dict[UUID, Contact] = {}
    strange = []
    for record in of(books.records, "contacts"):
        request = _decoded(record)
        if request is None:
            continue
        contact = known.get(request.reference or "")
        if contact is None or contact.phone != request.phone:
            strange.append(f"{record.topic}/{record.partition}/{record.offset}")
            continue
        ids[contact.reference].add(request.request_id)
        found[request.request_id] = contact
    verdict.find("lost before contacts", sorted(known.keys() - ids.keys()))
    verdict.find(
        "more than one request of a contact",
        sorted(reference for reference, its in ids.items() if len(its) > 1),
    )
    verdict.find("records of nobody's on contacts", strange)
    return found


def _sightings(books: Books) -> Iterator[tuple[Seen, Sighting]]:
    """What each record says of a request, topic after topic."""
    read = readers(books.topics)
    for record in books.records:
        topic = f"{books.prefix}{record.topic}"
        if topic not in read:
            continue
        place = Place(topic, record.partition, record.offset, record.at)
        try:
            sighting = Taken(place, read[topic](record.value, record.at)).sighting
        except (UndecodableError, NewerVersionError):
            continue
        if sighting is not None:
            yield record, sighting


def _fold(books: Books) -> tuple[dict[UUID, Row], dict[UUID, list[Sighting]]]:
    """What the records make of each request, and what each of them says."""
    rows: dict[UUID, Row] = {}
    seen: defaultdict[UUID, list[Sighting]] = defaultdict(list)
    for _, sighting in _sightings(books):
        request_id = sighting.contact.request_id
        rows[request_id] = next_row(rows.get(request_id), sighting.record)
        seen[request_id].append(sighting)
    return rows, dict(seen)


def _rows(books: Books, requests: Mapping[UUID, Contact], verdict: Verdict) -> None:
    """Every request has one row, in a state it may end in, as the records make it."""
    stored = {row.request_id: row for row in books.stored.requests}
    verdict.find("lost before PostgreSQL", sorted(str(k) for k in requests.keys() - stored.keys()))
    verdict.find("rows of nobody's", sorted(str(key) for key in stored.keys() - requests.keys()))
    folded, seen = _fold(books)
    wrong_end, wrong_row = [], []
    for request_id in requests.keys() & stored.keys():
        row, contact, made = stored[request_id], requests[request_id], folded[request_id]
        if row.state not in contact.ends:
            wrong_end.append(f"{contact.reference} is {row.state} in turn {row.turn}")
        state = State(row.state)
        turns = {
            s.record.turn
            for s in seen[request_id]
            if s.record.state is state and s.record.generation == row.generation
        }
        if made.state is not state or made.generation != row.generation or row.turn not in turns:
            wrong_row.append(
                f"{contact.reference}: {row.state} in turn {row.turn}, and the records say "
                f"{made.state} in turn {made.turn}"
            )
        elif made.answers != row.answers:
            wrong_row.append(f"{contact.reference}: answers differ from the records'")
    verdict.find("no right end", wrong_end)
    verdict.find("rows that differ from the topics", wrong_row)
    letters: Counter[str] = Counter()
    for record in of(books.records, "lookup.dead-letters"):
        try:
            letter = decode(record.value, DeadLetter)
        except UndecodableError:
            continue
        contact_of_it = requests.get(letter.request.request_id) if letter.request else None
        if contact_of_it is not None and "dead" not in contact_of_it.ends:
            letters[f"{contact_of_it.reference} ({letter.reason})"] += 1
    verdict.find("dead letters of contacts that have none to expect", letters)


def _totals(books: Books, verdict: Verdict) -> None:
    """Counters are the rows, and a sealed job has as many as it says."""
    rows = Counter((row.job_id, row.state) for row in books.stored.requests)
    counters = books.stored.counters
    verdict.find(
        "counters that are not their rows",
        (
            f"{state}: {counters.get((job, state), 0)} counted, {rows[job, state]} rows"
            for job, state in sorted({*rows, *counters})
            if counters.get((job, state), 0) != rows[job, state]
        ),
    )
    of_job = Counter(row.job_id for row in books.stored.requests)
    verdict.find(
        "sealed numbers that are not the rows",
        (
            f"{accepted} accepted, {of_job[job]} rows"
            for job, accepted in books.stored.accepted.items()
            if accepted is not None and accepted != of_job[job]
        ),
    )


def _stored_once(books: Books, verdict: Verdict) -> None:
    """Every record was read to the end of its log, and changed its request once at most."""
    again = [place for place, n in Counter(books.stored.history).items() if n > 1]
    verdict.find("records stored twice", again)
    read = readers(books.topics)
    ends: dict[tuple[str, int], int] = {}
    for record in books.records:
        place = f"{books.prefix}{record.topic}", record.partition
        ends[place] = max(ends.get(place, 0), record.offset + 1)
    offsets = books.stored.offsets
    verdict.find(
        "partitions whose stored place is not their end",
        (
            f"{topic}/{number}: {offsets.get((topic, number))} of {end}"
            for (topic, number), end in ends.items()
            if topic in read and offsets.get((topic, number)) != end
        ),
    )


def _calls(books: Books, verdict: Verdict) -> None:
    """Each whole answer stands on the topics, once; but for those that a loss explains."""
    failures = _failures(books)
    lost: Counter[Loss] = Counter()
    again, unwritten = [], []
    for paid in _paid(books):
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
                lost[loss] += _time(call.ended) <= loss.at
                continue
        if following is not None:
            again.append(f"{_masked(call.number)} at {following.started}")
        else:
            unwritten.append(f"{_masked(call.number)}, answered at {call.ended}")
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


def _asked(books: Books, verdict: Verdict) -> None:
    """A number is asked for once in each turn of its request, but for what a loss explains.

    Calls that nothing may come of are left out: refused for the account's sake, or its rate.
    """
    turns: defaultdict[str, set[tuple[UUID, int, int]]] = defaultdict(set)
    for record in of(books.records, "contacts", "lookup.due"):
        if (request := _decoded(record)) is not None:
            turns[request.phone].add((request.request_id, request.generation, request.turn))
    asked: defaultdict[str, list[Call]] = defaultdict(list)
    for call in books.calls:
        if call.packages and call.code not in _OF_THE_ACCOUNT:
            asked[call.number].append(call)
    verdict.find(
        "more calls than turns",
        (
            f"{_masked(number)}: {len(calls)} calls in {len(turns[number])} turns"
            for number, calls in asked.items()
            if len(calls) > len(turns[number])
            and len(calls) > len(turns[number]) + _losses_of(books, number, calls)
        ),
    )


def _losses_of(books: Books, number: str, calls: Sequence[Call]) -> int:
    """How many losses can have found a call for the number in flight."""
    partition, first = _partition(books, number), min(_time(call.started) for call in calls)
    return sum(loss.at >= first and partition in loss.partitions for loss in books.losses)


@dataclass(frozen=True, slots=True)
class _Paid:
    """A call with a whole answer of a paid package."""

    call: Call
    #: The next such call for the number.
    following: Call | None
    #: When what was had from it was written to a topic; None if it never was.
    written: datetime | None


def _paid(books: Books) -> Iterator[_Paid]:
    answers = _answers(books)
    by_number: defaultdict[str, list[Call]] = defaultdict(list)
    for call in books.calls:
        if set(call.answered) - {_FREE}:
            by_number[call.number].append(call)
    for number, calls in by_number.items():
        calls.sort(key=lambda call: call.ended)
        for call, following in zip_longest(calls, calls[1:]):
            until = _time(following.ended) if following else datetime.max.replace(tzinfo=UTC)
            written = [
                at
                for had, at in answers.get(number, {}).items()
                if _time(call.ended) <= had < until
            ]
            yield _Paid(call, following, min(written, default=None))


def _out(books: Books, loss: Loss) -> int:
    """Calls that the simulator had received and not ended when a process was lost."""
    return sum(
        _time(call.started) <= loss.at < _time(call.ended)
        and _partition(books, call.number) in loss.partitions
        for call in books.calls
    )


def _answers(books: Books) -> dict[str, dict[datetime, datetime]]:
    """By number, when the answers of paid packages on the topics were had, and first written."""
    times: defaultdict[str, dict[datetime, datetime]] = defaultdict(dict)
    for record, sighting in _sightings(books):
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
        try:
            request = (
                decode(record.value, DeadLetter).request
                if record.topic == "lookup.dead-letters"
                else decode(record.value, LookupRequest)
            )
        except (UndecodableError, NewerVersionError):
            continue
        if request is not None and request.attempts:
            times[request.phone].append(record.at)
    return dict(times)


def _failed(paid: _Paid, failures: Sequence[datetime]) -> bool:
    """Whether lookup wrote after this call, and before the next one, that it had failed.

    A record's time is cut to whole milliseconds.
    """
    started = _time(paid.call.started)
    since = started.replace(microsecond=started.microsecond // 1000 * 1000)
    return any(
        since <= at and (paid.following is None or at < _time(paid.following.started))
        for at in failures
    )


def _loss_of(books: Books, paid: _Paid) -> Loss | None:
    """The loss that found this call in flight: the first one that can have.

    What was written before a loss was no longer in flight: whoever asks next reads it.
    """
    started, number = _time(paid.call.started), _partition(books, paid.call.number)
    found = [
        loss
        for loss in books.losses
        if started <= loss.at
        and number in loss.partitions
        and (paid.written is None or paid.written >= loss.since)
    ]
    return min(found, key=lambda loss: loss.at, default=None)


def _releases(books: Books, verdict: Verdict) -> None:
    """No retry is put before lookup before its time, and none that was never written."""
    delays = {topic.name.removeprefix(books.prefix): delay for delay, topic in books.topics.retries}
    due_at: dict[tuple[UUID, int, int], datetime] = {}
    parked = set()
    for record in of(books.records, "lookup.retry.", "lookup.parked"):
        if (request := _decoded(record)) is None:
            continue
        key = (request.request_id, request.generation, request.turn)
        if record.topic == "lookup.parked":
            parked.add((*key[:2], request.turn + 1))
            continue
        at = record.at + delays[record.topic]
        due_at[key] = min(at, due_at.get(key, at))
    early, strange = [], []
    released: set[tuple[UUID, int, int]] = set()
    ours = {(g.topic, g.partition, g.offset) for g in (*books.garbage, *books.doubled)}
    for record in of(books.records, "lookup.due"):
        request = _decoded(record)
        if request is None or (record.topic, record.partition, record.offset) in ours:
            continue
        key = (request.request_id, request.generation, request.turn)
        if key in due_at:
            late = record.at - due_at[key]
            if late < timedelta(0):
                early.append(f"turn {request.turn} by {-late}")
            elif key not in released:
                verdict.lateness.append(late)
            released.add(key)
        elif key not in parked:
            strange.append(f"{record.partition}/{record.offset}")
    verdict.find("retries released before their time", early)
    verdict.find("records of lookup.due that nobody asked for", strange)


def _stops(books: Books, verdict: Verdict) -> None:
    """A stopped account is not asked, but for the free probe."""
    verdict.find(
        "calls to a stopped account",
        (
            f"{call.account} at {call.started}"
            for stop in books.stops
            for call in books.calls
            if call.account == stop.account
            and call.packages
            and stop.since < _time(call.started) < stop.until
        ),
    )


def _garbage(books: Books, verdict: Verdict) -> None:
    """What is none of ours is a dead letter, as it was, on the topic and in PostgreSQL."""
    letters = {}
    for record in of(books.records, "lookup.dead-letters"):
        try:
            letter = decode(record.value, DeadLetter)
        except UndecodableError:
            continue
        place = (letter.original_topic, letter.original_partition, letter.original_offset)
        letters[place] = letter
    stored = {letter[:3] for letter in books.stored.letters}
    missing, changed = [], []
    for record in books.garbage:
        place = (f"{books.prefix}{record.topic}", record.partition, record.offset)
        if place not in letters or place not in stored:
            missing.append("/".join(map(str, place)))
        elif not letters[place].truncated and letters[place].original_value != record.value:
            changed.append("/".join(map(str, place)))
    verdict.find("garbage without a dead letter", missing)
    verdict.find("garbage that its dead letter does not give back", changed)


def _partition(books: Books, number: str) -> int:
    return partition_of(number.encode(), books.topics.partitions)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _masked(number: str) -> str:
    return f"{number[:3]}…{number[-2:]}"
