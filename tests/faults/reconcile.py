"""Four sources against each other, contact by contact: whatever does not agree is a finding.

What was submitted, the topics read raw, PostgreSQL, and the simulator's ledger. Pure: the same
books give the same verdict, and `tests/unit/test_fault_books.py` shows what each finding takes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from services.contracts.messages import LookupRequest
from services.contracts.turns import Row, State, next_row
from services.results.records import readers
from services.results.rows import Sighting
from tests.faults.books import Books, Contact, Verdict, decoded, letters, sightings
from tests.faults.calls import Said, check_calls, check_stops, check_turns
from tests.faults.topics import of


def reconcile(books: Books) -> Verdict:
    """Compare everything with everything."""
    verdict = Verdict()
    said = list(sightings(books))
    requests = _requests(books, verdict)
    _rows(books, requests, said, verdict)
    _totals(books, verdict)
    _stored_once(books, verdict)
    check_calls(books, said, verdict)
    check_turns(books, verdict)
    _releases(books, verdict)
    check_stops(books, verdict)
    _garbage(books, verdict)
    return verdict


def _requests(books: Books, verdict: Verdict) -> dict[UUID, Contact]:
    """Every contact is one request on `contacts`, and every request there is a contact."""
    known = {contact.reference: contact for contact in books.submitted}
    ids: defaultdict[str, set[UUID]] = defaultdict(set)
    found: dict[UUID, Contact] = {}
    strange = []
    for record in of(books.records, "contacts"):
        request = decoded(record, LookupRequest)
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


def _fold(said: Said) -> tuple[dict[UUID, Row], dict[UUID, list[Sighting]]]:
    """What the records make of each request, and what each of them says."""
    rows: dict[UUID, Row] = {}
    seen: defaultdict[UUID, list[Sighting]] = defaultdict(list)
    for _, sighting in said:
        request_id = sighting.contact.request_id
        rows[request_id] = next_row(rows.get(request_id), sighting.record)
        seen[request_id].append(sighting)
    return rows, dict(seen)


def _rows(books: Books, requests: Mapping[UUID, Contact], said: Said, verdict: Verdict) -> None:
    """Every request has one row, in a state it may end in, as the records make it."""
    stored = {row.request_id: row for row in books.stored.requests}
    verdict.find("lost before PostgreSQL", sorted(str(k) for k in requests.keys() - stored.keys()))
    verdict.find("rows of nobody's", sorted(str(key) for key in stored.keys() - requests.keys()))
    folded, seen = _fold(said)
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
    unexpected: Counter[str] = Counter()
    for letter in letters(books):
        contact_of_it = requests.get(letter.request.request_id) if letter.request else None
        if contact_of_it is not None and "dead" not in contact_of_it.ends:
            unexpected[f"{contact_of_it.reference} ({letter.reason})"] += 1
    verdict.find("dead letters of contacts that have none to expect", unexpected)


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


def _releases(books: Books, verdict: Verdict) -> None:
    """No retry is put before lookup before its time, and none that was never written."""
    delays = {topic.name.removeprefix(books.prefix): delay for delay, topic in books.topics.retries}
    due_at: dict[tuple[UUID, int, int], datetime] = {}
    parked = set()
    for record in of(books.records, "lookup.retry.", "lookup.parked"):
        if (request := decoded(record, LookupRequest)) is None:
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
        request = decoded(record, LookupRequest)
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


def _garbage(books: Books, verdict: Verdict) -> None:
    """What is none of ours is a dead letter, as it was, on the topic and in PostgreSQL."""
    found = {
        (letter.original_topic, letter.original_partition, letter.original_offset): letter
        for letter in letters(books)
    }
    stored = {letter[:3] for letter in books.stored.letters}
    missing, changed = [], []
    for record in books.garbage:
        place = (f"{books.prefix}{record.topic}", record.partition, record.offset)
        if place not in found or place not in stored:
            missing.append("/".join(map(str, place)))
        elif not found[place].truncated and found[place].original_value != record.value:
            changed.append("/".join(map(str, place)))
    verdict.find("garbage without a dead letter", missing)
    verdict.find("garbage that its dead letter does not give back", changed)
