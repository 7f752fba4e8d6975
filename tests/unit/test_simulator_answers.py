"""What the simulator answers, as Twilio's published description has it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.local.twilio.answers import FINAL_CODES, answer, error
from services.local.twilio.config import load_prices
from services.local.twilio.faults import Fault
from services.local.twilio.numbers import examine
from services.local.twilio.packages import PROPERTIES, ask

US, GB, CA, DE_LANDLINE = "+12015550123", "+447400123456", "+15062345678", "+4930123456"
BASIC = {"calling_country_code", "country_code", "phone_number", "national_format"}
INPUTS = {"LastVerifiedDate": "20240102"}


def body_of(number: str, *packages: str, faults: tuple[Fault, ...] = ()) -> dict[str, Any]:
    reply = answer(examine(number, "US"), packages, INPUTS, faults)
    body: dict[str, Any] = json.loads(reply.body)
    return body


@pytest.mark.parametrize("number", [US, GB, CA, DE_LANDLINE])
def test_an_answer_has_every_property_whatever_was_asked(number: str) -> None:
    """Basic data always, packages not asked for null, those asked for whole; the same each time."""
    bare, full = body_of(number), body_of(number, *PROPERTIES)
    assert {*bare} == {*full} == {*BASIC, "valid", "validation_errors", "url", *PROPERTIES}
    assert (bare["phone_number"], bare["valid"], bare["validation_errors"]) == (number, True, None)
    assert all(bare[package] is None for package in PROPERTIES)
    for package, properties in PROPERTIES.items():
        assert {*full[package]} == {*properties, "error_code"}
    assert full == body_of(number, *PROPERTIES)


@pytest.mark.parametrize(
    ("number", "problem"),
    [
        ("+1201555", "TOO_SHORT"),
        ("+120155501234", "TOO_LONG"),
        ("+12015550", "TOO_SHORT"),
        ("+10005550123", "INVALID_BUT_POSSIBLE"),
        ("+9991234567", "INVALID_COUNTRY_CODE"),
        ("+", "NOT_A_NUMBER"),
        ("hello", "NOT_A_NUMBER"),
        ("", "NOT_A_NUMBER"),
    ],
)
def test_what_is_no_number_is_an_answer_with_a_reason(number: str, problem: str) -> None:
    """An invalid number is HTTP 200 with `valid: false`, no package, and no price."""
    reply = answer(examine(number, "US"), ("line_type_intelligence",), {}, ())
    body = json.loads(reply.body)
    assert (reply.status, body["valid"], body["validation_errors"]) == (200, False, [problem])
    assert body["country_code"] is body["national_format"] is body["line_type_intelligence"] is None
    assert (reply.answered, reply.billed, reply.whole) == ((), (), True)


@pytest.mark.parametrize(
    ("package", "number", "code"),
    [
        ("caller_name", US, None),
        ("caller_name", CA, 60600),
        ("caller_name", GB, 60600),
        ("line_type_intelligence", DE_LANDLINE, None),
        ("sim_swap", GB, None),
        ("sim_swap", DE_LANDLINE, 60612),
        ("sim_swap", "+918123456789", 60607),
        ("call_forwarding", GB, None),
        ("call_forwarding", US, 60607),
        ("line_status", GB, None),
        ("line_status", DE_LANDLINE, 60612),
        ("identity_match", US, None),
        ("reassigned_number", US, None),
        ("reassigned_number", GB, 60607),
        ("pre_fill", US, None),
        ("pre_fill", GB, 60607),
    ],
)
def test_a_package_outside_its_coverage_is_an_error_inside_the_answer(
    package: str, number: str, code: int | None
) -> None:
    """The call succeeds, the package's data is null, and its code says why."""
    reply = answer(examine(number, "US"), (package,), INPUTS, ())
    part = json.loads(reply.body)[package]
    expected = str(code) if package == "reassigned_number" and code else code
    assert (reply.status, part["error_code"]) == (200, expected)
    assert reply.codes == ({} if code is None else {package: code})
    assert reply.answered == (package,)
    assert reply.billed == ((package,) if code is None else ())


def test_a_caller_without_a_name_is_billed_all_the_same() -> None:
    """Among American numbers some have no name on record, and no error either."""
    numbers = [examine(f"+1201555{last:04}", "US") for last in range(100, 200)]
    names = {(ask("caller_name", number, {})[0]["caller_name"] is None) for number in numbers}
    assert names == {True, False}
    assert all(
        answer(number, ("caller_name",), {}, ()).billed == ("caller_name",) for number in numbers
    )


def test_identity_is_matched_only_on_what_was_given() -> None:
    """Parameters left out have no data, and nothing given scores nothing."""
    number = examine(US, "US")
    nothing, _ = ask("identity_match", number, {})
    some, _ = ask("identity_match", number, {"FirstName": "A", "AddressLine2": "B"})
    assert {match for name, match in nothing.items() if name.endswith("_match")} == {
        "no_data_available"
    }
    assert nothing["summary_score"] == 0
    given = {name for name, match in some.items() if match not in {"no_data_available", None}}
    assert given == {"first_name_match", "address_lines_match", "summary_score"}


@pytest.mark.parametrize("date", ["", "2024-01-02", "tomorrow"])
def test_a_reassigned_number_needs_a_date(date: str) -> None:
    """Without one in the form YYYYMMDD the request is wrong, not the number."""
    reply = answer(examine(US, "US"), ("reassigned_number",), {"LastVerifiedDate": date}, ())
    assert (reply.status, reply.code) == (400, 20001)


@pytest.mark.parametrize(
    ("code", "final", "billed"), [(60601, True, False), (60608, False, False), (60620, True, True)]
)
def test_an_injected_package_error_leaves_the_other_packages_alone(
    code: int, final: bool, billed: bool
) -> None:
    """A final code counts as an answer, and 60620 costs money without data."""
    fault = Fault(name="f", kind="package_error", package="caller_name", code=code)
    asked = ("line_type_intelligence", "caller_name")
    reply = answer(examine(US, "US"), asked, {}, (fault,))
    body = json.loads(reply.body)
    assert body["caller_name"] == {"caller_name": None, "caller_type": None, "error_code": code}
    assert body["line_type_intelligence"]["error_code"] is None
    assert ("caller_name" in reply.answered, "caller_name" in reply.billed) == (final, billed)
    assert "line_type_intelligence" in reply.billed
    assert (code in FINAL_CODES) == final


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (Fault(name="f", kind="http_500"), 500, 20500),
        (Fault(name="f", kind="http_503"), 503, 20503),
        (Fault(name="f", kind="rate_limited", retry_after=7), 429, 20429),
        (Fault(name="f", kind="unauthorized"), 401, 20003),
        (Fault(name="f", kind="not_found"), 404, 20404),
        (Fault(name="f", kind="http_error", status=403, code=20403), 403, 20403),
    ],
)
def test_an_error_answer_has_its_code_in_the_body(fault: Fault, status: int, code: int) -> None:
    """Status, code, message and a page for more, in the form of Twilio's error bodies."""
    reply = answer(examine(US, "US"), ("caller_name",), {}, (fault,))
    body = json.loads(reply.body)
    assert (reply.status, reply.code, body["status"], body["code"]) == (status, code, status, code)
    assert {*body} == {"code", "message", "more_info", "status"}
    assert reply.retry_after == fault.retry_after
    assert reply.answered == reply.billed == ()


def test_a_broken_answer_is_none() -> None:
    """Text that is no JSON, and another number's data, come with 200 and bill nothing."""
    number = examine(US, "US")
    broken = answer(number, ("caller_name",), {}, (Fault(name="f", kind="wrong_json"),))
    with pytest.raises(json.JSONDecodeError):
        json.loads(broken.body)
    other = answer(number, ("caller_name",), {}, (Fault(name="f", kind="wrong_number"),))
    assert json.loads(other.body)["phone_number"] != US
    for reply in (broken, other):
        assert (reply.status, reply.whole, reply.answered, reply.billed) == (200, False, (), ())


def test_every_package_has_a_price() -> None:
    """The bill knows every package, with the date of its prices."""
    prices = load_prices()
    assert prices.per_call.keys() == PROPERTIES.keys()
    assert (prices.per_call["line_type_intelligence"], prices.per_call["caller_name"]) == (
        "0.008",
        "0.01",
    )
    assert prices.as_of


def test_an_unknown_code_still_has_a_message() -> None:
    """Codes without a text of ours get the status's phrase."""
    assert json.loads(error(400, 12345).body)["message"] == "Bad Request"
