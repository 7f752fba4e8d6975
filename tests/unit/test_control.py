from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from services.contracts.control import (
    account_key,
    account_keys,
    account_of,
    check_key,
    holding,
    job_key,
    package_key,
)
from services.contracts.messages import LookupRequest
from services.contracts.packages import Answer, Package

JOB = UUID("6a1c1f7e-6f0e-5b43-9d0b-000000000001")
OTHER_JOB = UUID("6a1c1f7e-6f0e-5b43-9d0b-000000000002")
AT = datetime(2026, 3, 1, tzinfo=UTC)


def request(**answers: Answer) -> LookupRequest:
    return LookupRequest(
        request_id=UUID(int=1),
        job_id=JOB,
        source="tests",
        account="main",
        phone="+14155550100",
        packages=(Package.BASIC, Package.CALLER_NAME),
        accepted_at=AT,
        answers={Package(name): answer for name, answer in answers.items()},
    )


@pytest.mark.parametrize(
    "key",
    [
        account_key("main", "refused"),
        account_key("main", "budget"),
        package_key("main", Package.CALLER_NAME),
        job_key(JOB, "person"),
        job_key(JOB, "configuration"),
    ],
)
def test_what_is_built_is_a_key(key: str) -> None:
    """Every key that the project builds is one that it accepts."""
    assert check_key(key) == key


@pytest.mark.parametrize(
    "text",
    [
        "",
        "account",
        "account:main",
        "account::person",
        "account:main:whim",
        "account:main:package:weather",
        "account:main:person:now",
        f"job:{JOB}:refused",
        "job:7:person",
        f"job:{str(JOB).upper()}:person",
    ],
)
def test_what_is_no_key_is_refused(text: str) -> None:
    """A text that is no key is refused with an error."""
    with pytest.raises(ValueError, match=r"no key of lookup\.control"):
        check_key(text)


def test_the_account_of_a_key() -> None:
    """A key of an account or of its package names the account, a job's names none."""
    assert account_of("account:main:person") == "main"
    assert account_of("account:main:package:caller_name") == "main"
    assert account_of(job_key(JOB, "person")) is None


def test_a_person_clears_every_cause_of_an_account() -> None:
    """The keys to clear are one for each cause that stops a whole account."""
    assert account_keys("main") == (
        "account:main:refused",
        "account:main:flood",
        "account:main:person",
        "account:main:budget",
    )


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        ([], ()),
        (["account:main:person"], ("account:main:person",)),
        (
            ["account:main:refused", "account:main:flood"],
            ("account:main:flood", "account:main:refused"),
        ),
        (["account:other:person"], ()),
        (["account:main:package:caller_name"], ("account:main:package:caller_name",)),
        (["account:main:package:line_type_intelligence"], ()),
        (["account:other:package:caller_name"], ()),
        ([job_key(JOB, "person")], (job_key(JOB, "person"),)),
        ([job_key(OTHER_JOB, "person")], ()),
    ],
)
def test_what_holds_a_request(held: list[str], expected: tuple[str, ...]) -> None:
    """A request is held by its account, its job, and the packages it asks for, nothing else."""
    assert holding(request(), set(held)) == expected


@pytest.mark.parametrize(
    ("status", "generation", "held"),
    [
        ("ok", 0, False),
        ("ok", 1, False),
        ("failed", 0, False),
        ("failed", 1, True),  # a redrive asks for it again
        ("exhausted", 0, False),
        ("exhausted", 1, True),
    ],
)
def test_an_answered_package_does_not_hold(status: str, generation: int, held: bool) -> None:
    """A stopped package holds a request only while the request still owes it."""
    answer = Answer.model_validate({"status": status, "looked_up_at": AT})
    keys = {"account:main:package:caller_name"}
    asking = request(caller_name=answer).model_copy(update={"generation": generation})
    assert bool(holding(asking, keys)) is held
