"""Which calls a fault strikes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from services.local.twilio.faults import Fault, choose, dump

NUMBER = "+12015550123"


def chosen(
    *faults: Fault,
    number: str = NUMBER,
    account: str = "main",
    packages: tuple[str, ...] = (),
    second: float = 0,
    struck: dict[tuple[str, str], int] | None = None,
) -> list[str]:
    hits = choose(faults, number, account, packages, second=second, struck=struck or {})
    return [fault.name for fault in hits]


@pytest.mark.parametrize(
    ("limits", "call", "strikes"),
    [
        ({}, {}, True),
        ({"number": r"\+1201"}, {}, True),
        ({"number": r"\+44"}, {}, False),
        ({"number": r".*23$"}, {}, True),
        ({"account": "main"}, {}, True),
        ({"account": "other"}, {}, False),
        ({"from_second": 10}, {"second": 9.9}, False),
        ({"from_second": 10}, {"second": 10}, True),
        ({"to_second": 10}, {"second": 9.9}, True),
        ({"to_second": 10}, {"second": 10}, False),
        ({"share": 0}, {}, False),
        ({"times_per_number": 2}, {"struck": {("f", NUMBER): 1}}, True),
        ({"times_per_number": 2}, {"struck": {("f", NUMBER): 2}}, False),
        ({"times_per_number": 2}, {"struck": {("f", "+12015550124"): 2}}, True),
        ({"times_per_number": 2}, {"struck": {("g", NUMBER): 2}}, True),
        ({"package": "caller_name"}, {"packages": ("caller_name",)}, True),
        ({"package": "caller_name"}, {"packages": ("sim_swap",)}, False),
    ],
)
def test_a_fault_strikes_within_its_limits(
    limits: dict[str, Any], call: dict[str, Any], strikes: bool
) -> None:
    """Number, account, package, time window, share and count must all fit."""
    assert chosen(Fault(name="f", kind="http_500", **limits), **call) == ["f"] * strikes


def test_a_share_is_of_numbers_and_independent_between_faults() -> None:
    """The same numbers are struck each time, about as many as said, by each fault others."""
    numbers = [f"+1201555{last:04}" for last in range(10_000)]
    struck = [
        {n for n in numbers if chosen(Fault(name=name, kind="cut", share=0.2), number=n)}
        for name in ("a", "a", "b")
    ]
    assert struck[0] == struck[1]
    assert all(1_800 < len(hit) < 2_200 for hit in struck)
    assert 300 < len(struck[0] & struck[2]) < 500


def test_one_fault_strikes_or_all_package_errors() -> None:
    """The first that fits strikes alone; package errors add up, when nothing else fits."""
    asked = ("caller_name", "line_type_intelligence")
    first = Fault(name="first", kind="http_500", times_per_number=1)
    second = Fault(name="second", kind="reset", times_per_number=1)
    errors = [
        Fault(name=package, kind="package_error", package=package, code=60608) for package in asked
    ]
    everything = (*errors, first, second)
    once = {("first", NUMBER): 1}
    twice = {**once, ("second", NUMBER): 1}
    assert chosen(*everything, packages=asked) == ["first"]
    assert chosen(*everything, packages=asked, struck=once) == ["second"]
    assert chosen(*everything, packages=asked, struck=twice) == [*asked]
    assert chosen(*everything, packages=asked[:1], struck=twice) == [*asked[:1]]


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "earthquake"},
        {"kind": "package_error", "package": "caller_name"},
        {"kind": "package_error", "package": "astrology", "code": 60608},
        {"kind": "http_error", "status": 403},
        {"kind": "http_error", "status": 200, "code": 1},
        {"kind": "slow"},
        {"kind": "cut", "share": 2},
        {"kind": "cut", "times_per_number": 0},
        {"kind": "cut", "number": "("},
        {"kind": "cut", "numbr": "x"},
    ],
)
def test_a_fault_that_means_nothing_is_refused(wrong: dict[str, Any]) -> None:
    """A script with a mistake in it must not run as one that injects nothing."""
    with pytest.raises(ValidationError):
        Fault.model_validate({"name": "f", **wrong})


def test_faults_are_shown_as_they_are_taken() -> None:
    """What the control endpoint shows can be given back to it."""
    faults = (
        Fault.model_validate({"name": "a", "kind": "cut", "number": r"\+44", "share": 0.5}),
        Fault(name="b", kind="package_error", package="caller_name", code=60608),
    )
    again = TypeAdapter(tuple[Fault, ...]).validate_json(json.dumps(dump(faults)))
    assert again == faults
