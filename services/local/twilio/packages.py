"""What each package answers for a valid number: always the same for the same number.

Property names and value ranges are those of Twilio's published description of Lookup v2. The data
is made up from a hash of the number. Where a package works is simplified; that a call for a
country outside gives 60607, and a package for mobiles 60612 for other lines, is an assumption.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from services.local.twilio.numbers import Number

Inputs: TypeAlias = "Mapping[str, str]"
_Maker: TypeAlias = "Callable[[Number, Inputs], dict[str, Any] | int]"

_OUT_OF_COVERAGE = 60600
_COUNTRY_UNSUPPORTED = 60607
_NOT_MOBILE = 60612

_LEVELS = ("low", "mild", "moderate", "high")
_MATCHES = ("exact_match", "high_partial_match", "partial_match", "no_match")
_SIM_SWAP_COUNTRIES = frozenset({"BR", "CA", "DE", "ES", "FR", "GB", "IT", "NL", "US"})
_IDENTITY_COUNTRIES = frozenset({"AU", "BR", "CA", "DE", "ES", "FR", "GB", "IT", "NL", "US"})
#: A property of identity_match, and the parameters of the request that it compares.
_IDENTITY_INPUTS = {
    "first_name_match": ("FirstName",),
    "last_name_match": ("LastName",),
    "address_lines_match": ("AddressLine1", "AddressLine2"),
    "city_match": ("City",),
    "state_match": ("State",),
    "postal_code_match": ("PostalCode",),
    "address_country_match": ("AddressCountryCode",),
    "national_id_match": ("NationalId",),
    "date_of_birth_match": ("DateOfBirth",),
}

#: Every package in the order of an answer, with its properties besides `error_code`.
PROPERTIES: dict[str, tuple[str, ...]] = {
    "caller_name": ("caller_name", "caller_type"),
    "sim_swap": ("last_sim_swap", "carrier_name", "mobile_country_code", "mobile_network_code"),
    "call_forwarding": ("call_forwarding_enabled",),
    "line_status": ("status",),
    "line_type_intelligence": (
        "mobile_country_code",
        "mobile_network_code",
        "carrier_name",
        "type",
    ),
    "identity_match": (*_IDENTITY_INPUTS, "summary_score", "error_message"),
    "reassigned_number": ("last_verified_date", "is_number_reassigned"),
    "sms_pumping_risk": (
        "carrier_risk_category",
        "number_blocked",
        "number_blocked_date",
        "number_blocked_last_3_months",
        "sms_pumping_risk_score",
    ),
    "phone_number_quality_score": (
        "carrier_risk_score",
        "carrier_risk_category",
        "disposable_phone_risk_score",
        "disposable_phone_risk_category",
        "quality_score",
        "quality_category",
        "velocity_risk_score",
        "velocity_risk_category",
    ),
    "pre_fill": (
        "first_name",
        "last_name",
        "address_line",
        "country_code",
        "state",
        "postal_code",
    ),
}


def ask(package: str, number: Number, inputs: Inputs) -> tuple[dict[str, Any], int | None]:
    """Return the object of `package` for a valid number, and its error code if it is one."""
    made = _MAKERS[package](number, inputs)
    if isinstance(made, int):
        return failed(package, made), made
    return {**made, "error_code": None}, None


def failed(package: str, code: int) -> dict[str, Any]:
    """Return the object of a package that was asked for and gave an error instead of data."""
    answer: dict[str, Any] = dict.fromkeys(PROPERTIES[package])
    # The one code that Twilio describes as text.
    answer["error_code"] = str(code) if package == "reassigned_number" else code
    if package == "identity_match":
        answer["error_message"] = f"Simulated error {code}"
    return answer


def _draw(number: Number, question: str, below: int) -> int:
    digest = blake2b(f"{question} {number.e164}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) % below


def _choose(number: Number, question: str, choices: Sequence[str]) -> str:
    return choices[_draw(number, question, len(choices))]


def _line_type(number: Number) -> str:
    return number.kind or _choose(
        number, "line type", ("mobile", "mobile", "mobile", "landline", "nonFixedVoip")
    )


def _carrier(number: Number) -> dict[str, Any]:
    # 001 is the country code of test networks.
    network = _draw(number, "carrier", 5) + 1
    return {
        "carrier_name": f"Example Mobile {network}",
        "mobile_country_code": "001",
        "mobile_network_code": f"{network:02}",
    }


def _caller_name(number: Number, _inputs: Inputs) -> dict[str, Any] | int:
    if number.country != "US":
        return _OUT_OF_COVERAGE
    kind = _choose(number, "caller type", ("CONSUMER", "BUSINESS", "UNDETERMINED"))
    name = None if kind == "UNDETERMINED" else f"{kind} {_draw(number, 'caller', 10_000):04}"
    return {"caller_name": name, "caller_type": kind}


def _sim_swap(number: Number, _inputs: Inputs) -> dict[str, Any] | int:
    if number.country not in _SIM_SWAP_COUNTRIES:
        return _COUNTRY_UNSUPPORTED
    if _line_type(number) != "mobile":
        return _NOT_MOBILE
    day = _draw(number, "sim swap", 28) + 1
    told = _draw(number, "sim swap date told", 4) > 0
    return {
        "last_sim_swap": {
            "last_sim_swap_date": f"2020-04-{day:02}T10:18:50Z" if told else None,
            "swapped_period": "PT24H",
            "swapped_in_period": _draw(number, "swapped", 10) == 0,
        },
        **_carrier(number),
    }


def _call_forwarding(number: Number, _inputs: Inputs) -> dict[str, Any] | int:
    if number.country != "GB":
        return _COUNTRY_UNSUPPORTED
    return {"call_forwarding_enabled": _draw(number, "forwarding", 5) == 0}


def _line_status(number: Number, _inputs: Inputs) -> dict[str, Any] | int:
    if _line_type(number) != "mobile":
        return _NOT_MOBILE
    states = ("active", "inactive", "reachable", "unreachable", "unknown")
    return {"status": _choose(number, "line status", states)}


def _line_type_intelligence(number: Number, _inputs: Inputs) -> dict[str, Any]:
    kind = _line_type(number)
    carrier = _carrier(number)
    if kind != "mobile":
        carrier["mobile_country_code"] = carrier["mobile_network_code"] = None
    return {**carrier, "type": kind}


def _identity_match(number: Number, inputs: Inputs) -> dict[str, Any] | int:
    if number.country not in _IDENTITY_COUNTRIES:
        return _COUNTRY_UNSUPPORTED
    given = {
        name: any(inputs.get(parameter) for parameter in parameters)
        for name, parameters in _IDENTITY_INPUTS.items()
    }
    matches = {
        name: _choose(number, name, _MATCHES) if is_given else "no_data_available"
        for name, is_given in given.items()
    }
    scores = [100 - 33 * _MATCHES.index(match) for match in matches.values() if match in _MATCHES]
    summary = sum(scores) // len(scores) if scores else 0
    return {**matches, "summary_score": summary, "error_message": None}


def _reassigned_number(number: Number, inputs: Inputs) -> dict[str, Any] | int:
    if number.country != "US":
        return _COUNTRY_UNSUPPORTED
    date = inputs["LastVerifiedDate"]
    return {
        "last_verified_date": f"{date[:4]}-{date[4:6]}-{date[6:]}",
        "is_number_reassigned": _choose(number, "reassigned", ("yes", "no", "no_data_available")),
    }


def _sms_pumping_risk(number: Number, _inputs: Inputs) -> dict[str, Any]:
    blocked = _draw(number, "blocked", 20) == 0
    return {
        "carrier_risk_category": _choose(number, "pumping risk", _LEVELS),
        "number_blocked": blocked,
        "number_blocked_date": "2024-01-15T00:00:00Z" if blocked else None,
        "number_blocked_last_3_months": False if blocked else None,
        "sms_pumping_risk_score": _draw(number, "pumping score", 101),
    }


def _phone_number_quality_score(number: Number, _inputs: Inputs) -> dict[str, Any]:
    answer: dict[str, Any] = {}
    for subject in ("carrier_risk", "disposable_phone_risk", "quality", "velocity_risk"):
        score = _draw(number, subject, 101)
        answer[f"{subject}_score"] = score
        answer[f"{subject}_category"] = _LEVELS[score * len(_LEVELS) // 101]
    return answer


def _pre_fill(number: Number, _inputs: Inputs) -> dict[str, Any] | int:
    if number.country != "US":
        return _COUNTRY_UNSUPPORTED
    draw = _draw(number, "pre fill", 1_000)
    return {
        "first_name": f"First{draw}",
        "last_name": f"Last{draw}",
        "address_line": f"{draw} Example Street",
        "country_code": "US",
        "state": "WA",
        "postal_code": f"98{draw:03}",
    }


_MAKERS: dict[str, _Maker] = {
    "caller_name": _caller_name,
    "sim_swap": _sim_swap,
    "call_forwarding": _call_forwarding,
    "line_status": _line_status,
    "line_type_intelligence": _line_type_intelligence,
    "identity_match": _identity_match,
    "reassigned_number": _reassigned_number,
    "sms_pumping_risk": _sms_pumping_risk,
    "phone_number_quality_score": _phone_number_quality_score,
    "pre_fill": _pre_fill,
}
