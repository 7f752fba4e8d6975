"""The keys of `lookup.control`: what can be held, and for which cause.

Each cause of a hold is a key of its own, so that two causes never hide each other and
whoever clears one leaves the rest:

- `account:NAME:CAUSE` holds all of an account's requests,
- `account:NAME:package:PACKAGE` those that still owe this package,
- `job:ID:CAUSE` those of one job.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, get_args
from uuid import UUID

from services.contracts.messages import LookupRequest
from services.contracts.packages import Package, standing

AccountCause = Literal["refused", "flood", "person", "budget"]
JobCause = Literal["person", "configuration"]
#: Every cause that can stop a whole account; a person may clear any of them.
ACCOUNT_CAUSES: tuple[AccountCause, ...] = get_args(AccountCause)
#: Every cause that can pause a job.
JOB_CAUSES: tuple[JobCause, ...] = get_args(JobCause)


def account_key(account: str, cause: AccountCause) -> str:
    """The key that holds a whole account.

    >>> account_key("main", "person")
    'account:main:person'
    """
    return f"account:{account}:{cause}"


def package_key(account: str, package: Package) -> str:
    """The key that holds one package of an account."""
    return f"account:{account}:package:{package}"


def job_key(job_id: UUID, cause: JobCause) -> str:
    """The key that holds one job."""
    return f"job:{job_id}:{cause}"


def account_keys(account: str) -> tuple[str, ...]:
    """Every key that can hold a whole account: what a person clears to let it go on."""
    return tuple(account_key(account, cause) for cause in ACCOUNT_CAUSES)


def account_of(key: str) -> str | None:
    """The account that a key concerns, whole or for one package; None for a job's."""
    kind, _, rest = key.partition(":")
    return rest.partition(":")[0] if kind == "account" else None


def check_key(key: str) -> str:
    """The key itself, if it is one.

    Raises:
        ValueError: It is none; says which there are.
    """
    match key.split(":"):
        case ["account", name, cause] if name and cause in ACCOUNT_CAUSES:
            return key
        case ["account", name, "package", package] if name and package in set(Package):
            return key
        case ["job", job_id, cause] if cause in JOB_CAUSES and _is_uuid(job_id):
            return key
    raise ValueError(
        f"{key!r} is no key of lookup.control; there are account:NAME:CAUSE with "
        f"{'|'.join(ACCOUNT_CAUSES)}, account:NAME:package:PACKAGE, and job:ID:CAUSE with "
        f"{'|'.join(JOB_CAUSES)}"
    )


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def holding(request: LookupRequest, held: Collection[str]) -> tuple[str, ...]:
    """Those of the held keys that concern a request: its account, its job, what it still owes.

    A package is owed until an answer stands for it, so a request whose stopped package is
    answered already is not held by it. Sorted, so that equal holds are written equally.
    """
    if not held:
        return ()
    answered = standing(request.answers, request.generation)
    owed = [package for package in request.packages if package not in answered]
    concerning = {
        *account_keys(request.account),
        *(package_key(request.account, package) for package in owed),
        *(job_key(request.job_id, cause) for cause in JOB_CAUSES),
    }
    return tuple(sorted(concerning.intersection(held)))
