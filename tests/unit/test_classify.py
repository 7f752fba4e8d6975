"""What Twilio said, read by one table."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contracts.packages import Package
from services.lookup.classify import Reading, read_failure, read_reply, retry_after, says_invalid
from services.lookup.codes import Class, Kind, code_table

PHONE = "+14159929960"
AT = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
BASIC, LINE, CALLER = Package.BASIC, Package.LINE_TYPE_INTELLIGENCE, Package.CALLER_NAME
ALL = frozenset(Package)
LINE_DATA = {"type": "mobile", "carrier_name": "Example", "mobile_country_code": "240"}


def answer(**fields: Any) -> dict[str, Any]:
    return {
        "calling_country_code": "1",
        "country_code": "US",
        "phone_number": PHONE,
        "national_format": "(415) 992-9960",
        "valid": True,
        "validation_errors": None,
        "caller_name": None,
        "line_type_intelligence": None,
        "url": "https://lookups.twilio.com/",
    } | fields


def read(
    status: int,
    body: Any,
    asked: frozenset[Package] = ALL,
    headers: dict[str, str] | None = None,
) -> Reading:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_reply(status, headers or {}, raw, asked, PHONE, AT, 1, 3)


@pytest.mark.parametrize(
    ("status", "code", "klass", "cap", "unknown"),
    [
        (404, 20404, Class.PERMANENT_NUMBER, None, False),
        (400, 20001, Class.JOB_CONFIGURATION, None, False),
        (400, 21999, Class.PERMANENT_NUMBER, None, True),  # a 400 with any other code
        (400, None, Class.PERMANENT_NUMBER, None, False),
        (401, 20003, Class.ACCOUNT_STOP, None, False),
        (401, None, Class.ACCOUNT_STOP, None, False),  # burns no attempt, whoever wrote it
        (403, 20005, Class.ACCOUNT_STOP, None, False),
        (400, 10001, Class.ACCOUNT_STOP, None, False),
        (400, 90010, Class.ACCOUNT_STOP, None, False),
        (403, 20403, Class.ACCOUNT_STOP, None, False),
        (403, 70051, Class.ACCOUNT_STOP, None, False),
        (429, 20429, Class.RATE_LIMIT, None, False),
        (429, None, Class.RATE_LIMIT, None, False),
        (429, 29999, Class.RATE_LIMIT, None, True),
        (500, 20500, Class.TRANSIENT, None, False),
        (503, 20503, Class.TRANSIENT, None, False),
        (502, None, Class.TRANSIENT, None, False),
        (504, None, Class.TRANSIENT, None, False),
        (500, 29999, Class.TRANSIENT, None, True),
        (403, 29999, Class.TRANSIENT, 2, True),
        (404, None, Class.TRANSIENT, 2, True),  # somebody else's 404
        (301, None, Class.TRANSIENT, 2, True),
        (204, None, Class.TRANSIENT, 2, True),
    ],
)
def test_http_errors(
    status: int, code: int | None, klass: Class, cap: int | None, *, unknown: bool
) -> None:
    """An HTTP error goes by its code, and by its status where the code is unknown."""
    for body in (
        {"code": code, "message": "no", "more_info": "", "status": status},
        {"type": "", "title": "", "status": status, "code": code, "detail": "no"},
        {"code": None if code is None else str(code)},
    ):
        reading = read(status, body)
        (problem,) = reading.problems
        assert (problem.package, problem.klass, problem.cap, problem.unknown) == (
            None,
            klass,
            cap,
            unknown,
        )
        assert (problem.code, problem.status) == (code, status)
        assert reading.answers == {}
        assert reading.outcome == klass


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'"x"', b"\xff", b"[" * 100_000])
def test_an_error_without_a_readable_body(body: bytes) -> None:
    """A body that is not Twilio's leaves the status to judge by."""
    (problem,) = read(503, body).problems
    assert problem.klass is Class.TRANSIENT


@pytest.mark.parametrize(
    ("code", "klass", "failed", "billed", "cap"),
    [
        (60600, Class.PERMANENT_PACKAGE, True, "unknown", None),
        (60601, Class.PERMANENT_PACKAGE, True, "unknown", None),
        (60607, Class.PERMANENT_PACKAGE, True, "unknown", None),
        (60610, Class.PERMANENT_PACKAGE, True, "unknown", None),
        (60612, Class.PERMANENT_PACKAGE, True, "unknown", None),
        (60620, Class.PERMANENT_PACKAGE, True, "yes", None),
        ("60612", Class.PERMANENT_PACKAGE, True, "unknown", None),
        (60608, Class.TRANSIENT, False, "unknown", 3),
        (60616, Class.PACKAGE_RATE_LIMIT, False, "unknown", None),
        (60611, Class.PACKAGE_STOP, False, "unknown", None),
        (60606, Class.PACKAGE_STOP, False, "unknown", None),
        (60614, Class.OTHER_REGION, False, "unknown", None),
        (60619, Class.OTHER_REGION, False, "unknown", None),
        (60699, Class.TRANSIENT, False, "unknown", 2),
        ({"odd": 1}, Class.TRANSIENT, False, "unknown", 2),
    ],
)
def test_package_errors_inside_http_200(
    code: Any, klass: Class, billed: str, cap: int | None, *, failed: bool
) -> None:
    """A package's own error is its own, beside the answers of the others."""
    reading = read(
        200,
        answer(
            caller_name={"caller_name": None, "error_code": code},
            line_type_intelligence=LINE_DATA | {"error_code": None},
        ),
    )
    (problem,) = reading.problems
    assert (problem.package, problem.klass, problem.cap) == (CALLER, klass, cap)
    assert reading.answers[LINE].data == LINE_DATA
    assert reading.billed == {BASIC: "no", LINE: "yes", CALLER: billed}
    assert (CALLER in reading.answers) is failed
    if failed:
        kept = reading.answers[CALLER]
        assert (kept.status, kept.code, kept.billed) == ("failed", int(code), billed)
        assert kept.data == {"caller_name": None}
    assert problem.unknown is (problem.reason == "unknown-error")


def test_a_whole_answer() -> None:
    """Every package asked for is answered with Twilio's own object, and says which turn it was."""
    reading = read(
        200,
        answer(
            caller_name={"caller_name": None, "caller_type": None, "error_code": None},
            line_type_intelligence=LINE_DATA,
        ),
    )
    assert reading.problems == ()
    assert reading.outcome == "ok"
    assert reading.answers.keys() == set(Package)
    assert reading.answers[BASIC].data == {
        "valid": True,
        "calling_country_code": "1",
        "country_code": "US",
        "national_format": "(415) 992-9960",
        "validation_errors": None,
    }
    assert reading.answers[CALLER].data == {"caller_name": None, "caller_type": None}
    assert {(a.generation, a.turn, a.looked_up_at) for a in reading.answers.values()} == {
        (1, 3, AT)
    }


def test_only_what_was_asked_for_is_answered() -> None:
    """Packages nobody asked for are left alone; basic comes along with every answer."""
    reading = read(200, answer(line_type_intelligence=LINE_DATA), frozenset({LINE}))
    assert reading.answers.keys() == {BASIC, LINE}
    assert reading.billed == {LINE: "yes"}


def test_an_invalid_number_is_an_answer() -> None:
    """`valid: false` is no problem, and its packages are not missed."""
    body = answer(valid=False, validation_errors=["TOO_LONG"], country_code=None)
    reading = read(200, body)
    assert reading.problems == ()
    assert says_invalid(reading.answers)
    assert reading.outcome == "invalid"
    assert reading.billed == {BASIC: "no", LINE: "unknown", CALLER: "unknown"}
    basic = reading.answers[BASIC].data
    assert basic is not None
    assert basic["validation_errors"] == ["TOO_LONG"]


@pytest.mark.parametrize(
    "body",
    [
        answer(phone_number="+14159929961"),
        answer(phone_number=None),
        answer(valid=None),
        answer(valid="true"),
        [answer()],
        {},
        b"",
        b'{"phone_number": "+1415',
        b'{"valid": NaN}',
        b'{"x": "\\ud800"}',
    ],
)
def test_a_wrong_answer_is_no_answer(body: Any) -> None:
    """What is about another number, or not of Lookup's form, is tried again."""
    reading = read(200, body)
    (problem,) = reading.problems
    assert (problem.package, problem.klass, problem.reason) == (
        None,
        Class.TRANSIENT,
        "wrong-answer",
    )
    assert reading.answers == {}
    assert reading.billed == {BASIC: "no", LINE: "unknown", CALLER: "unknown"}


@pytest.mark.parametrize("said", [None, [], "x", 1])
def test_a_package_without_an_object_is_not_answered(said: Any) -> None:
    """A package that was asked for and has no object in the answer is tried again."""
    reading = read(200, answer(caller_name=said), frozenset({BASIC, CALLER}))
    (problem,) = reading.problems
    assert (problem.package, problem.klass) == (CALLER, Class.TRANSIENT)
    assert reading.answers.keys() == {BASIC}


def test_a_null_character_is_dropped() -> None:
    """Text that PostgreSQL could not store is made storable, not paid for again."""
    reading = read(200, answer(caller_name={"caller_name": "A\0B"}), frozenset({CALLER}))
    assert reading.answers[CALLER].data == {"caller_name": "AB"}


def test_a_package_code_as_http_error() -> None:
    """A package's code as the error of the whole call is about every paid package of it."""
    reading = read(400, {"code": 60607})
    assert {(p.package, p.klass) for p in reading.problems} == {
        (LINE, Class.PERMANENT_PACKAGE),
        (CALLER, Class.PERMANENT_PACKAGE),
        (BASIC, Class.TRANSIENT),
    }
    assert read(400, {"code": 60607}, frozenset({BASIC})).outcome == Class.PERMANENT_NUMBER


@pytest.mark.parametrize(
    ("kind", "billed"),
    [
        ("connect", "no"),
        ("connect-timeout", "no"),
        ("read-timeout", "unknown"),
        ("reset", "unknown"),
        ("cut", "unknown"),
    ],
)
def test_no_answer(kind: Kind, billed: str) -> None:
    """No answer is transient; it was not billed only where nothing was sent."""
    reading = read_failure(kind, ALL)
    (problem,) = reading.problems
    assert (problem.package, problem.klass) == (None, Class.TRANSIENT)
    assert reading.billed == {BASIC: "no", LINE: billed, CALLER: billed}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("", None),
        ("7", 7.0),
        ("0", 0.0),
        ("-1", None),
        ("1e3", None),
        ("999999999999", 3600.0),
        ("Tue, 24 Nov 2026 09:00:30 GMT", 30.0),
        ("Tue, 24 Nov 2026 09:00:30", 30.0),
        ("Tue, 24 Nov 2026 08:00:00 GMT", 0.0),
        ("Tue, 24 Nov 2099 08:00:00 GMT", 3600.0),
        ("soon", None),
        ("Tue, 99 Nov 2026 09:00:30 GMT", None),
    ],
)
def test_retry_after(text: str, seconds: float | None) -> None:
    """`Retry-After` is read as seconds or as a date, within bounds, or not at all."""
    assert retry_after({"retry-after": text}, AT) == seconds


def test_retry_after_is_kept_with_any_answer() -> None:
    """A wait that Twilio asks for is kept whatever else it says."""
    headers = {"retry-after": "9"}
    assert read(429, {}, headers=headers).retry_after == 9.0
    assert read(200, answer(), headers=headers).retry_after == 9.0


def test_messages_are_masked() -> None:
    """Twilio's own words are shown for unknown errors, without the number in them."""
    (problem,) = read(418, {"code": 1, "message": f"about {PHONE}, no"}).problems
    assert "about" in problem.detail
    assert PHONE[1:] not in problem.detail


def test_the_table_is_whole() -> None:
    """No code stands twice in its place; every place catches the rest; reasons are short names."""
    table = code_table()
    known = [(rule.place, rule.code) for rule in table.rules if rule.code is not None]
    assert len(known) == len(set(known))
    for status in range(100, 600):
        assert table.fallback("http", status).place == "http"
    assert table.fallback("package", 200).loud
    assert all(rule.reason.replace("-", "").islower() for rule in table.rules)
    assert {rule.klass for rule in table.rules} == set(Class)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(
    status=st.integers(100, 599) | st.just(200),
    fields=st.fixed_dictionaries(
        {},
        optional={
            "phone_number": st.just(PHONE) | json_values,
            "valid": json_values,
            "code": json_values,
            "caller_name": json_values | st.fixed_dictionaries({"error_code": json_values}),
        },
    ),
    asked=st.frozensets(st.sampled_from(Package), min_size=1),
    wait=st.text(max_size=30),
)
def test_any_answer_is_read(
    status: int, fields: dict[str, Any], asked: frozenset[Package], wait: str
) -> None:
    """Whatever is said, every package asked for has an answer or a problem, and a bill."""
    at = AT + timedelta(seconds=1)
    body = json.dumps(fields).encode()
    reading = read_reply(status, {"retry-after": wait}, body, asked, PHONE, at, 0, 1)
    about = {problem.package for problem in reading.problems}
    if not says_invalid(reading.answers) and None not in about:
        assert asked <= reading.answers.keys() | about
    assert reading.billed.keys() == asked
    assert reading.retry_after is None or 0 <= reading.retry_after <= 3600
