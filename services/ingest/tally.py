"""Counts what becomes of a file's rows, in little memory. Pure."""

from __future__ import annotations

from array import array
from collections import Counter

from services.contracts.reject_reasons import RejectReason
from services.ingest.jobs import Counts

#: The numbers lie in so many shares, so that telling them apart needs memory for one of them.
_SHARES = 64


class Tally:
    """Counts accepted, rejected and repeated contacts of one job, which all ask the same.

    A number has at most 15 digits, so eight bytes hold it exactly: a million rows take 8 MB,
    and what is counted is exact.
    """

    def __init__(self) -> None:
        self._shares: tuple[array[int], ...] = tuple(array("q") for _ in range(_SHARES))
        #: Rejected rows by reason.
        self.rejected: Counter[RejectReason] = Counter()

    def accept(self, phone: str) -> None:
        """Count an accepted contact by its number, in E.164."""
        number = int(phone)
        self._shares[number % _SHARES].append(number)

    def reject(self, reason: RejectReason) -> None:
        """Count a rejected one."""
        self.rejected[reason] += 1

    def counts(self) -> Counts:
        """The sums so far."""
        return Counts(
            accepted=sum(map(len, self._shares)),
            rejected=self.rejected.total(),
            duplicates=sum(len(share) - len(set(share)) for share in self._shares),
        )
