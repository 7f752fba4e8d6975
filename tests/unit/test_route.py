"""What becomes of a request."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.contracts.messages import Contact, LookupRequest
from services.contracts.packages import Answer, Answers, Package
from services.contracts.turns import Record, Row, State, next_row
from services.lookup import route
from services.lookup.classify import Problem, Reading
from services.lookup.codes import Class
from services.lookup.route import Again, Dead, Finish, Hold, Outcome, Park, Policy, Retry

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
BASIC, LINE, CALLER = Package.BASIC, Package.LINE_TYPE_INTELLIGENCE, Package.CALLER_NAME
SHORT, MIDDLE, LONG = timedelta(seconds=15), timedelta(minutes=1), timedelta(minutes=5)
POLICY = Policy((SHORT, MIDDLE, LONG))
FAIL_POLICY = Policy((SHORT, MIDDLE, LONG), unavailable_package="fail")
JOB = UUID(int=2)
REFUSED = "account:main:refused"
CONFIGURATION = f"job:{JOB}:configuration"
CALLER_STOPPED = "account:main:package:caller_name"


def request(**fields: object) -> LookupRequest:
    whole: dict[str, object] = {
        "request_id": UUID(int=1),
        "job_id": JOB,
        "source": "test",
        "account": "main",
        "phone": "+14159929960",
        "packages": tuple(Package),
        "accepted_at": NOW - timedelta(hours=1),
        "turn": 3,
    }
    return LookupRequest.model_validate(whole | fields)


def ok(turn: int = 3, *, valid: bool = True, at: datetime = NOW, generation: int = 0) -> Answer:
    return Answer(
        status="ok", data={"valid": valid}, looked_up_at=at, turn=turn, generation=generation
    )


def failed(
    code: int = 60607, *, at: datetime = NOW, generation: int = 0, permanent: bool = False
) -> Answer:
    return Answer(
        status="failed",
        code=code,
        reason="no",
        looked_up_at=at,
        turn=3,
        generation=generation,
        permanent=permanent,
    )


def problem(
    klass: Class,
    package: Package | None = None,
    *,
    code: int | None = None,
    reason: str = "why",
    cap: int | None = None,
) -> Problem:
    return Problem(package, klass, reason, "Because.", code=code, cap=cap)


def reading(
    *problems: Problem, answers: Answers | None = None, retry_after: float | None = None
) -> Reading:
    return Reading(frozenset(Package), answers or {}, problems, retry_after, {})


def decide(
    asked: LookupRequest, said: Reading, *, policy: Policy = POLICY, in_a_row: int = 1
) -> Outcome:
    return route.decide(asked, said, now=NOW, policy=policy, rate_limited_in_a_row=in_a_row)


def retry(outcome: Outcome) -> Retry:
    assert isinstance(outcome, Retry)
    return outcome


def dead(outcome: Outcome) -> Dead:
    assert isinstance(outcome, Dead)
    return outcome


def finish(outcome: Outcome) -> Finish:
    assert isinstance(outcome, Finish)
    return outcome


def park(outcome: Outcome) -> Park:
    assert isinstance(outcome, Park)
    return outcome


ANSWERED: Answers = {BASIC: ok(), LINE: ok()}
NOT_FOUND = problem(Class.PERMANENT_NUMBER, code=20404, reason="number-not-found")
BAD_REQUEST = problem(Class.PERMANENT_NUMBER, code=21999, reason="bad-request")


def test_everything_answered() -> None:
    """A number that Twilio knows, with all packages answered, is completed in its turn."""
    result = finish(decide(request(), reading(answers={**ANSWERED, CALLER: ok()}))).result
    assert (result.state, result.turn, result.attempts) == ("completed", 3, 0)
    assert result.answers.keys() == set(Package)
    assert result.completed_at == NOW


def test_invalid_ends_it() -> None:
    """A number that Twilio calls invalid is a result, whatever else is said of its packages."""
    said = reading(
        problem(Class.TRANSIENT, LINE),
        problem(Class.PACKAGE_STOP, CALLER),
        answers={BASIC: ok(valid=False)},
    )
    assert finish(decide(request(), said)).result.state == "invalid"


def test_a_turn_that_no_reader_takes_is_never_written() -> None:
    """It is a fault of the record that has it, whose dead letter still knows which request it is."""
    last = request(turn=2**31 - 1)
    with pytest.raises(ValidationError):
        decide(last, reading(problem(Class.TRANSIENT)))


@pytest.mark.parametrize(("attempts", "delay"), [(0, SHORT), (1, MIDDLE), (2, LONG), (5, LONG)])
def test_transient_failures_are_retried(attempts: int, delay: timedelta) -> None:
    """Each failed attempt waits longer, in its next turn, and counts."""
    policy = Policy((SHORT, MIDDLE, LONG), max_attempts=10)
    again = retry(
        decide(request(attempts=attempts), reading(problem(Class.TRANSIENT)), policy=policy)
    )
    assert again.delay == delay
    assert (again.request.turn, again.request.attempts) == (4, attempts + 1)
    assert (again.request.failing_since, again.request.last_error) == (NOW, "why")


@pytest.mark.parametrize(
    ("retry_after", "delay"),
    [
        (None, SHORT),
        (15.0, SHORT),
        (15.1, MIDDLE),
        (61.0, LONG),
        (3600.0, LONG),  # at most the longest
    ],
)
@pytest.mark.parametrize("klass", [Class.TRANSIENT, Class.RATE_LIMIT])
def test_retry_after_picks_the_delay(
    retry_after: float | None, delay: timedelta, klass: Class
) -> None:
    """`Retry-After` picks the shortest delay that is long enough, at most the longest."""
    said = reading(problem(klass), retry_after=retry_after)
    assert retry(decide(request(), said, in_a_row=5)).delay == delay


@pytest.mark.parametrize(
    ("attempts", "cap", "answers", "expected"),
    [
        (3, None, {}, "attempts-exhausted"),
        (1, 2, {}, "attempts-exhausted"),  # a code with a cap of its own
        (0, 1, {}, "attempts-exhausted"),
        (2, None, {}, None),
        (0, 9, {}, None),
        (3, 9, {}, "attempts-exhausted"),  # a cap never allows more than the policy
        (3, None, ANSWERED, "completed"),
    ],
)
def test_attempts_run_out(
    attempts: int, cap: int | None, answers: Answers, expected: str | None
) -> None:
    """After the last attempt it is a result if anything was answered, else dead."""
    outcome = decide(
        request(attempts=attempts, answers=answers),
        reading(problem(Class.TRANSIENT, cap=cap)),
    )
    if expected is None:
        retry(outcome)
    elif expected == "completed":
        result = finish(outcome).result
        assert result.answers[CALLER].status == "exhausted"
        assert result.attempts == 4
        assert result.state == "completed"
    else:
        end = dead(outcome)
        assert (end.reason, end.request.turn) == (expected, 3)
        assert end.request.attempts == attempts + 1


@pytest.mark.parametrize(
    ("klass", "ends"),
    [
        (Class.TRANSIENT, True),
        (Class.ACCOUNT_STOP, False),
        (Class.RATE_LIMIT, False),
        (Class.JOB_CONFIGURATION, False),
        (Class.PACKAGE_RATE_LIMIT, False),
        (Class.PACKAGE_STOP, False),
    ],
)
def test_age_ends_only_what_just_failed(klass: Class, *, ends: bool) -> None:
    """Age is checked when an attempt has failed for the contact's own sake, and only then."""
    old = request(attempts=1, failing_since=NOW - timedelta(days=1, seconds=1))
    package = CALLER if klass in {Class.PACKAGE_STOP, Class.PACKAGE_RATE_LIMIT} else None
    said = reading(problem(klass, package), answers=ANSWERED if package else {})
    outcome = decide(old, said)
    if ends:
        assert dead(outcome).reason == "age-exhausted"
    else:
        assert not isinstance(outcome, Dead | Finish)
    young = request(attempts=1, failing_since=NOW - timedelta(days=1))
    assert not isinstance(decide(young, said), Dead | Finish)


@pytest.mark.parametrize("in_a_row", [1, 2, 3, 4])
def test_rate_limits_go_back_to_the_limiter(in_a_row: int) -> None:
    """A few rate limits in a row make the same call again, in the same turn."""
    said = reading(problem(Class.RATE_LIMIT), retry_after=2.5)
    assert decide(request(), said, in_a_row=in_a_row) == Again(2.5)


def test_the_fifth_rate_limit_in_a_row() -> None:
    """The fifth in a row goes to the shortest retry topic; no attempt is burnt."""
    again = retry(decide(request(), reading(problem(Class.RATE_LIMIT)), in_a_row=5))
    assert (again.delay, again.request.turn, again.request.attempts) == (SHORT, 4, 0)
    assert again.request.failing_since is None


@pytest.mark.parametrize(
    ("klass", "key"), [(Class.ACCOUNT_STOP, REFUSED), (Class.JOB_CONFIGURATION, CONFIGURATION)]
)
def test_account_and_job_trouble_holds(klass: Class, key: str) -> None:
    """Trouble of the account or the job holds the request in its turn; no attempt is burnt."""
    held = park(decide(request(answers=ANSWERED), reading(problem(klass, code=20003))))
    assert held.holds == (Hold(key, "Because."),)
    assert held.request.waits_for == (key,)
    assert (held.request.turn, held.request.attempts) == (3, 0)
    assert held.request.answers == ANSWERED
    assert held.request.last_error == "20003"


def test_not_found_is_confirmed_once() -> None:
    """The first 404 is asked once more; the second in a row is the end."""
    first = retry(decide(request(), reading(NOT_FOUND)))
    assert (first.delay, first.request.attempts) == (SHORT, 1)
    second = dead(decide(first.request, reading(NOT_FOUND)))
    assert (second.reason, second.request.attempts, second.request.turn) == (
        "number-not-found",
        2,
        4,
    )


def test_not_found_of_an_earlier_life_confirms_nothing() -> None:
    """A redrive starts anew: what it died of before is asked once more again."""
    redriven = request(generation=1, attempts=0, last_error="20404")
    retry(decide(redriven, reading(NOT_FOUND)))


def test_not_found_in_the_last_attempt() -> None:
    """With no attempt left there is nobody to confirm it."""
    assert dead(decide(request(attempts=3), reading(NOT_FOUND))).reason == "number-not-found"


def test_bad_request() -> None:
    """A request that Twilio refuses for this number is dead at once, or a result."""
    assert dead(decide(request(), reading(BAD_REQUEST))).reason == "bad-request"
    result = finish(decide(request(answers=ANSWERED), reading(BAD_REQUEST))).result
    assert (result.state, result.attempts) == ("completed", 1)
    assert (result.answers[CALLER].status, result.answers[CALLER].code) == ("failed", 21999)


STOPPED = problem(Class.PACKAGE_STOP, CALLER, code=60611)
LIMITED = problem(Class.PACKAGE_RATE_LIMIT, CALLER, code=60616)
ELSEWHERE = problem(Class.OTHER_REGION, CALLER, code=60614)
FLAKY = problem(Class.TRANSIENT, CALLER, code=60608, cap=3)


def test_package_rate_limit() -> None:
    """A package's own limit waits and keeps what was answered; no attempt is burnt."""
    again = retry(decide(request(), reading(LIMITED, answers=ANSWERED)))
    assert (again.delay, again.request.attempts) == (SHORT, 0)
    assert again.request.answers == ANSWERED
    assert again.request.last_error == "60616"


def test_package_stop_parks() -> None:
    """A stopped package holds the request, with what was answered."""
    held = park(decide(request(), reading(STOPPED, answers=ANSWERED)))
    assert held.holds == (Hold(CALLER_STOPPED, "Because."),)
    assert (held.request.waits_for, held.request.turn) == ((CALLER_STOPPED,), 3)
    assert held.request.answers == ANSWERED
    assert held.request.attempts == 0


def test_package_stop_fails_by_policy() -> None:
    """Where the policy does not wait, a stopped package fails and nothing is held."""
    result = finish(
        decide(request(), reading(STOPPED, answers=ANSWERED), policy=FAIL_POLICY)
    ).result
    assert (result.answers[CALLER].status, result.answers[CALLER].code) == ("failed", 60611)
    assert result.attempts == 0


def test_other_region_fails() -> None:
    """Without an account in the other region, its package fails with its code."""
    result = finish(decide(request(), reading(ELSEWHERE, answers=ANSWERED))).result
    assert (result.answers[CALLER].status, result.answers[CALLER].code) == ("failed", 60614)


@pytest.mark.parametrize(
    ("line", "caller", "attempts", "expected"),
    [
        (Class.TRANSIENT, Class.PACKAGE_STOP, 0, "retry"),  # what can go on goes on first
        (Class.PACKAGE_RATE_LIMIT, Class.PACKAGE_STOP, 0, "retry"),
        (Class.TRANSIENT, Class.PACKAGE_RATE_LIMIT, 0, "retry"),
        (Class.TRANSIENT, Class.PACKAGE_RATE_LIMIT, 3, "retry"),  # the one gave up, not the other
        (Class.TRANSIENT, Class.PACKAGE_STOP, 3, "park"),
        (Class.TRANSIENT, Class.TRANSIENT, 3, "finish"),
        (Class.TRANSIENT, Class.OTHER_REGION, 0, "retry"),
        (Class.PACKAGE_STOP, Class.OTHER_REGION, 0, "park"),
        (Class.OTHER_REGION, Class.OTHER_REGION, 0, "finish"),
    ],
)
def test_mixed_packages(line: Class, caller: Class, attempts: int, expected: str) -> None:
    """Of several problems the one that can go on without a person decides; all is kept."""
    said = reading(problem(line, LINE), problem(caller, CALLER), answers={BASIC: ok()})
    outcome = decide(request(attempts=attempts), said)
    assert type(outcome).__name__.lower() == expected
    burnt = Class.TRANSIENT in {line, caller}
    after = outcome.result if isinstance(outcome, Finish) else getattr(outcome, "request", None)
    assert after is not None
    assert after.attempts == attempts + burnt
    assert BASIC in after.answers
    if isinstance(outcome, Retry) and Class.PACKAGE_STOP in {line, caller}:
        assert outcome.holds == (Hold(CALLER_STOPPED, "Because."),)


def test_a_cap_of_its_own_ends_one_package() -> None:
    """A package that ran out of its few attempts is not asked again with the others."""
    said = reading(FLAKY, problem(Class.TRANSIENT, LINE), answers={BASIC: ok()})
    again = retry(decide(request(attempts=2), said)).request
    assert again.answers[CALLER].status == "exhausted"
    assert route.owed(again) == (LINE,)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, tuple(Package)),
        ({"packages": (BASIC,)}, (BASIC,)),
        ({"answers": {BASIC: ok(), LINE: failed()}}, (CALLER,)),
        ({"answers": {BASIC: ok(valid=False)}}, ()),  # no paid package for what is no number
        # A redrive asks again what failed before it, and keeps what was answered.
        ({"generation": 1, "answers": {BASIC: ok(), LINE: failed(), CALLER: ok()}}, (LINE,)),
        ({"generation": 1, "answers": {BASIC: ok(), LINE: failed(generation=1)}}, (CALLER,)),
    ],
)
def test_owed(fields: dict[str, object], expected: tuple[Package, ...]) -> None:
    """Owed is what has no answer, nor a failure of this generation."""
    assert route.owed(request(**fields)) == expected


@pytest.mark.parametrize(
    ("answer", "fields", "taken"),
    [
        (ok(at=NOW - timedelta(minutes=30)), {}, True),  # from after it was accepted
        (ok(at=NOW - timedelta(minutes=61)), {}, False),
        (ok(at=NOW - timedelta(days=3)), {"fresh_for": {CALLER: 3 * 86400.0}}, True),
        (ok(at=NOW - timedelta(days=3, seconds=1)), {"fresh_for": {CALLER: 3 * 86400.0}}, False),
        (ok(at=NOW - timedelta(days=3)), {"fresh_for": {LINE: 9 * 86400.0}}, False),
        (ok(), {"packages": (BASIC,)}, False),  # not wanted
        (failed(60607, permanent=True), {}, True),
        (failed(60620, permanent=True), {}, True),  # paid, and nothing will come of it
        (failed(60620, permanent=True), {"generation": 1}, False),  # a person asks again
        (failed(60611), {}, False),  # said of the account, not of the number
        (failed(20404), {}, False),
        (Answer(status="exhausted", looked_up_at=NOW), {}, False),
    ],
)
def test_reuse(answer: Answer, fields: dict[str, object], *, taken: bool) -> None:
    """Known answers are taken while they are fresh for the request, and say so."""
    found = route.reuse(request(**fields), {CALLER: answer}, NOW)
    assert (CALLER in found) is taken
    if taken:
        assert found[CALLER].reused
        assert found[CALLER].data == answer.data


def test_finish_without_call() -> None:
    """What owes nothing is a result without a call: completed, or invalid."""
    known = {package: ok(at=NOW) for package in Package}
    asked = request()
    asked = route.with_answers(asked, route.reuse(asked, known, NOW))
    assert route.owed(asked) == ()
    result = route.finish_without_call(asked, NOW)
    assert (result.state, result.turn) == ("completed", 3)
    assert all(answer.reused for answer in result.answers.values())
    invalid = route.finish_without_call(request(answers={BASIC: ok(valid=False)}), NOW)
    assert invalid.state == "invalid"


def test_a_failed_redrive_ends() -> None:
    """In a redrive a package that fails again is final again."""
    redriven = request(generation=1, answers={BASIC: ok(), LINE: ok(), CALLER: failed()})
    brought: Answers = {BASIC: ok(generation=1), CALLER: failed(generation=1)}
    result = finish(decide(redriven, reading(answers=brought))).result
    assert result.answers[CALLER].generation == 1
    assert result.answers[BASIC].generation == 0


ACCOUNT_CLASSES = [Class.RATE_LIMIT, Class.ACCOUNT_STOP, Class.JOB_CONFIGURATION]
PACKAGE_CLASSES = [
    Class.TRANSIENT,
    Class.PACKAGE_RATE_LIMIT,
    Class.PACKAGE_STOP,
    Class.OTHER_REGION,
    Class.PERMANENT_PACKAGE,
]


def answers(generations: st.SearchStrategy[int]) -> st.SearchStrategy[Answers]:
    """Answers and final failures of any packages."""
    found = st.one_of(
        st.builds(ok, st.integers(1, 4), valid=st.booleans(), generation=generations),
        st.builds(failed, st.sampled_from([60607, 60620]), generation=generations),
    )
    return st.dictionaries(st.sampled_from(Package), found)


#: What a call brings is of the newest generation; what a request brings along, of any.
brought_answers, known_answers = answers(st.just(1)), answers(st.integers(0, 1))
package_problems = st.builds(
    problem,
    st.sampled_from(PACKAGE_CLASSES),
    st.sampled_from(Package),
    code=st.none() | st.integers(1, 9),
    cap=st.none() | st.integers(1, 5),
)
whole_problems = st.builds(
    problem,
    st.sampled_from([*ACCOUNT_CLASSES, Class.TRANSIENT, Class.PERMANENT_NUMBER]),
    st.none(),
    reason=st.sampled_from(["why", "number-not-found"]),
)
readings = st.one_of(
    st.builds(reading, whole_problems, retry_after=st.none() | st.floats(0, 3600)),
    st.lists(package_problems, max_size=4).flatmap(
        lambda problems: brought_answers.map(lambda found: reading(*problems, answers=found))
    ),
)
requests = st.builds(
    request,
    generation=st.integers(0, 1),
    attempts=st.integers(0, 5),
    failing_since=st.none() | st.just(NOW - timedelta(days=2)),
    last_error=st.sampled_from([None, "why", "20404"]),
    answers=known_answers,
    reference=st.just("r1"),
    extra=st.sampled_from([{}, {"Note": "=1"}]),
).filter(lambda asked: bool(route.owed(asked)))
policies = st.sampled_from([POLICY, FAIL_POLICY, Policy((SHORT,), max_attempts=1)])


@given(asked=requests, said=readings, policy=policies, in_a_row=st.integers(1, 7))
def test_any_reading_has_one_outcome(
    asked: LookupRequest, said: Reading, policy: Policy, in_a_row: int
) -> None:
    """Any reading gives one outcome, which keeps every answer and burns attempts justly.

    Who was asked about, and what the client sent along, is in it whole.
    """
    outcome = decide(asked, said, policy=policy, in_a_row=in_a_row)
    assert outcome == decide(asked, said, policy=policy, in_a_row=in_a_row)
    if isinstance(outcome, Again):
        assert in_a_row < 5
        return
    after = outcome.result if isinstance(outcome, Finish) else outcome.request
    for name in Contact.model_fields:
        assert getattr(after, name) == getattr(asked, name)
    classes = {found.klass for found in said.problems}
    silent = not {p.package for p in said.problems} | said.answers.keys() >= set(Package)
    own = silent or classes & {Class.TRANSIENT, Class.PERMANENT_NUMBER}
    if classes & set(ACCOUNT_CLASSES) or not own:
        assert after.attempts == asked.attempts
    assert asked.attempts <= after.attempts <= asked.attempts + 1
    for package in {**asked.answers, **said.answers}:
        good = [a for kept in (asked.answers, said.answers) if (a := kept.get(package)) is not None]
        if any(a.status == "ok" for a in good):
            assert after.answers[package].status == "ok"
    ended = State.PENDING
    match outcome:
        case Retry(delay=delay, request=following):
            assert delay in policy.retry_delays
            assert following.turn == asked.turn + 1
            assert route.owed(following)
            ended = State.RETRYING
        case Park(request=parked, holds=holds):
            assert parked.turn == asked.turn
            assert set(parked.waits_for) == {hold.key for hold in holds}
            ended = State.PARKED
        case Finish(result=result):
            assert result.turn == asked.turn
            assert any(answer.status == "ok" for answer in result.answers.values())
            assert set(result.answers) >= set(Package) or result.state == "invalid"
            ended = State(result.state)
        case Dead(request=buried):
            assert buried.turn == asked.turn
            assert all(answer.status != "ok" for answer in buried.answers.values())
            ended = State.DEAD
    record = Record(ended, asked.generation, asked.turn)
    assert next_row(Row(State.PENDING, asked.generation, asked.turn), record).state is ended
