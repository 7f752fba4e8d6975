"""Decides what becomes of a request: asked again, held, finished or dead. Pure.

Every reading of a call gives exactly one outcome, and whichever it is carries all answers
so far. When several things are true of one call, the first of these decides:

1. the account's rate limit: the call is made again, or retried after some in a row;
2. account stop, job configuration: held;
3. the number is none: finished as invalid;
4. permanent for the number: a result with what was answered before, else dead; a 404 is
   confirmed by one more call first;
5. a package that may still answer (transient below its cap, or its own rate limit): retry;
6. a package that is stopped: held;
7. nothing is owed any more: a result if any package was answered, else dead.

Attempts are burnt by 4 and by transient failures alone, one per call; age is checked then
and only then. A cap is compared with all attempts of the request.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from pydantic import TypeAdapter

from services.contracts.control import account_key, job_key, package_key
from services.contracts.messages import Contact, Count, DeadReason, LookupRequest, LookupResult
from services.contracts.packages import Answer, Answers, Package, merge_answers, standing
from services.lookup.classify import Problem, Reading, says_invalid
from services.lookup.codes import Class

#: So many answers of "too many requests" in a row send a request to a retry topic.
RATE_LIMITED_IN_A_ROW = 5
NOT_FOUND = "number-not-found"
_COUNT: TypeAdapter[int] = TypeAdapter(Count)


@dataclass(frozen=True, slots=True)
class Policy:
    """How often and how long to try."""

    #: Of the retry topics, shortest first.
    retry_delays: tuple[timedelta, ...]
    #: Calls that may fail for the contact's own sake, the first among them.
    max_attempts: int = 4
    #: From the first failure, not counting the time held.
    max_age: timedelta = timedelta(days=1)
    #: What to do with a package that the account may not use.
    unavailable_package: Literal["park", "fail"] = "park"


@dataclass(frozen=True, slots=True)
class Hold:
    """A cause to announce on `lookup.control`."""

    key: str
    #: For people.
    why: str


@dataclass(frozen=True, slots=True)
class Again:
    """Back in front of the limiter, in the same turn, after so many seconds."""

    after: float


@dataclass(frozen=True, slots=True)
class Retry:
    """To the retry topic of this delay, as the request stands in it: in its next turn."""

    delay: timedelta
    request: LookupRequest
    holds: tuple[Hold, ...] = ()


@dataclass(frozen=True, slots=True)
class Park:
    """Held: the request names the turn that ended and what it waits for."""

    request: LookupRequest
    holds: tuple[Hold, ...]


@dataclass(frozen=True, slots=True)
class Finish:
    """A result."""

    result: LookupResult


@dataclass(frozen=True, slots=True)
class Dead:
    """A dead letter, with the request as it ended."""

    reason: DeadReason
    #: For people.
    detail: str
    request: LookupRequest


Outcome = Again | Retry | Park | Finish | Dead


def reuse(request: LookupRequest, candidates: Answers, now: datetime) -> Answers:
    """Those of the number's known answers that the request may take, marked as reused.

    One from after the request was accepted is always fresh; an older one by the request's
    own age limit for the package. A failure is taken only where asking again gives the
    same, which is a permanent one of the package; and never in a redrive, since asking
    again is what that is for.
    """
    return {
        package: answer.model_copy(
            update={"reused": True, "generation": request.generation, "turn": request.turn}
        )
        for package, answer in candidates.items()
        if package in request.packages and _is_fresh(request, package, answer, now)
    }


def with_answers(request: LookupRequest, answers: Answers) -> LookupRequest:
    """The request with these answers beside its own."""
    generation = request.generation
    own = standing(request.answers, generation)
    merged = merge_answers(own, standing(answers, generation))
    return request.model_copy(update={"answers": merged})


def owed(request: LookupRequest) -> tuple[Package, ...]:
    """The packages still to be asked for; none if the number is known to be invalid."""
    have = standing(request.answers, request.generation)
    if says_invalid(have):
        return ()
    return tuple(p for p in Package if p in request.packages and p not in have)


def finish_without_call(request: LookupRequest, now: datetime) -> LookupResult:
    """The result of a request that owes nothing."""
    return _result(with_answers(request, {}), now)


def decide(
    request: LookupRequest,
    reading: Reading,
    *,
    now: datetime,
    policy: Policy,
    rate_limited_in_a_row: int,
) -> Outcome:
    """What becomes of a request after a call.

    Args:
        request: As it was when the call was made, reused answers among its own.
        reading: What the call brought.
        now: UTC.
        policy: How often and how long to try.
        rate_limited_in_a_row: Rate limits of the account that this request met in this
            turn, one after the other, this call's included.
    """
    call = _whole_call_problem(reading)
    if call is not None and call.klass is Class.RATE_LIMIT:
        return _rate_limited(request, call, reading.retry_after, policy, rate_limited_in_a_row)
    request = with_answers(request, reading.answers)
    if call is not None and call.klass is Class.ACCOUNT_STOP:
        return _park(request, [Hold(account_key(request.account, "refused"), call.detail)], call)
    if call is not None and call.klass is Class.JOB_CONFIGURATION:
        return _park(request, [Hold(job_key(request.job_id, "configuration"), call.detail)], call)
    if says_invalid(request.answers):
        return Finish(_result(request, now))
    if call is not None and call.klass is Class.PERMANENT_NUMBER:
        return _permanent(request, call, reading.retry_after, now, policy)
    return _by_package(request, reading, now, policy)


def _rate_limited(
    request: LookupRequest,
    problem: Problem,
    retry_after: float | None,
    policy: Policy,
    in_a_row: int,
) -> Outcome:
    wait = retry_after or 0.0
    if in_a_row < RATE_LIMITED_IN_A_ROW and wait <= policy.retry_delays[0].total_seconds():
        return Again(wait)
    delay = _at_least(policy.retry_delays[0], retry_after, policy)
    return Retry(delay, _next_turn(request, problem.name))


def _permanent(
    request: LookupRequest,
    problem: Problem,
    retry_after: float | None,
    now: datetime,
    policy: Policy,
) -> Outcome:
    confirmed = request.attempts > 0 and request.last_error == problem.name
    request = _burnt(request, problem.name, now)
    if problem.reason == NOT_FOUND and not confirmed:
        ran_out = _ran_out(request, policy.max_attempts, now, policy)
        if ran_out is None:
            delay = _at_least(policy.retry_delays[0], retry_after, policy)
            return Retry(delay, _next_turn(request, problem.name))
    reason: DeadReason = "number-not-found" if problem.reason == NOT_FOUND else "bad-request"
    failed = {p: _failure("failed", problem, request, now) for p in owed(request)}
    return _end(request, failed, reason, problem.detail, now)


def _by_package(request: LookupRequest, reading: Reading, now: datetime, policy: Policy) -> Outcome:
    """Decide where each package asked for has an answer or a problem of its own."""
    problems = {package: _problem_of(reading, package) for package in owed(request)}
    transient = [p for p in problems.values() if p.klass is Class.TRANSIENT]
    last = next(iter(transient or problems.values()), None)
    if transient:
        request = _burnt(request, transient[0].name, now)
    elif last is not None:
        request = request.model_copy(update={"last_error": last.name})

    ended: Answers = {}
    stops: list[Hold] = []
    delays: list[timedelta] = []
    reason: DeadReason = "attempts-exhausted"
    for package, problem in problems.items():
        match problem.klass:
            case Class.PACKAGE_RATE_LIMIT:
                delays.append(_at_least(policy.retry_delays[0], reading.retry_after, policy))
            case Class.PACKAGE_STOP if policy.unavailable_package == "park":
                key = package_key(request.account, package)
                stops.append(Hold(key, problem.detail))
            case Class.TRANSIENT:
                cap = min(problem.cap or policy.max_attempts, policy.max_attempts)
                ran_out = _ran_out(request, cap, now, policy)
                if ran_out is None:
                    step = min(request.attempts, len(policy.retry_delays)) - 1
                    delay = policy.retry_delays[step]
                    delays.append(_at_least(delay, reading.retry_after, policy))
                else:
                    reason = ran_out
                    ended[package] = _failure("exhausted", problem, request, now)
            case _:
                # Stopped, and the policy does not wait; or of the other region, where no
                # account of ours is: final for this request.
                ended[package] = _failure("failed", problem, request, now)
    if delays:
        request = with_answers(request, ended)
        return Retry(max(delays), _next_turn(request, request.last_error), tuple(stops))
    if stops:
        return _park(with_answers(request, ended), stops, None)
    return _end(request, ended, reason, last.detail if last else "", now)


def _end(
    request: LookupRequest, ended: Answers, reason: DeadReason, detail: str, now: datetime
) -> Outcome:
    """A result if Twilio answered anything, else a dead letter."""
    if any(answer.status == "ok" for answer in request.answers.values()):
        return Finish(_result(with_answers(request, ended), now))
    return Dead(reason, detail, request)


def _whole_call_problem(reading: Reading) -> Problem | None:
    return next((p for p in reading.problems if p.package is None), None)


def _problem_of(reading: Reading, package: Package) -> Problem:
    """The problem that a package without an answer has: its own, or that of the whole call."""
    own = [p for p in reading.problems if p.package == package]
    whole = [p for p in reading.problems if p.package is None]
    silent = Problem(package, Class.TRANSIENT, "not-answered", "The answer holds nothing for it.")
    return next(iter(own + whole), silent)


def _burnt(request: LookupRequest, error: str, now: datetime) -> LookupRequest:
    return request.model_copy(
        update={
            "attempts": request.attempts + 1,
            "failing_since": request.failing_since or now,
            "last_error": error,
        }
    )


def _ran_out(request: LookupRequest, cap: int, now: datetime, policy: Policy) -> DeadReason | None:
    """Why a request whose attempt just failed is not tried again; None if it is."""
    if request.attempts >= cap:
        return "attempts-exhausted"
    if request.failing_since is not None and now - request.failing_since > policy.max_age:
        return "age-exhausted"
    return None


def _at_least(delay: timedelta, retry_after: float | None, policy: Policy) -> timedelta:
    """The delay, or the shortest longer one that `Retry-After` allows, or the longest."""
    wanted = max(delay, timedelta(seconds=retry_after or 0.0))
    return next((d for d in policy.retry_delays if d >= wanted), policy.retry_delays[-1])


def _next_turn(request: LookupRequest, error: str | None) -> LookupRequest:
    # A turn beyond what readers take is a fault of this record: none of them would know whose.
    turn = _COUNT.validate_python(request.turn + 1)
    return request.model_copy(update={"turn": turn, "last_error": error, "waits_for": ()})


def _park(request: LookupRequest, holds: Iterable[Hold], problem: Problem | None) -> Park:
    held = tuple(holds)
    update: dict[str, object] = {"waits_for": tuple(sorted(hold.key for hold in held))}
    if problem is not None:
        update["last_error"] = problem.name
    return Park(request.model_copy(update=update), held)


def _failure(
    status: Literal["failed", "exhausted"], problem: Problem, request: LookupRequest, now: datetime
) -> Answer:
    return Answer(
        status=status,
        code=problem.code,
        reason=problem.reason,
        looked_up_at=now,
        generation=request.generation,
        turn=request.turn,
        billed=problem.billed,
        permanent=status == "failed" and problem.klass is Class.PERMANENT_PACKAGE,
    )


def _is_fresh(request: LookupRequest, package: Package, answer: Answer, now: datetime) -> bool:
    if not answer.is_reusable or (answer.status == "failed" and request.generation > 0):
        return False
    allowed = timedelta(seconds=request.fresh_for.get(package, 0.0))
    return answer.looked_up_at >= request.accepted_at or (
        bool(allowed) and now - answer.looked_up_at <= allowed
    )


def _result(request: LookupRequest, now: datetime) -> LookupResult:
    contact = {name: getattr(request, name) for name in Contact.model_fields}
    return LookupResult(
        **contact,
        generation=request.generation,
        turn=request.turn,
        attempts=request.attempts,
        state="invalid" if says_invalid(request.answers) else "completed",
        answers=request.answers,
        completed_at=now,
    )
