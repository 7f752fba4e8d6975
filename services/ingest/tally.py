"""Counts what becomes of a file's rows, exactly, in the same little memory however many they are."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable

from services.contracts.reject_reasons import RejectReason
from services.ingest.jobs import Counts
from services.ingest.tables.table import Scratch

#: The numbers lie in so many shares, so that telling them apart needs memory for one of them. A
#: prime, as numbers of one plan may share their last digits.
_SHARES = 251
#: Numbers of a share that are held before they are put down: half a megabyte over all shares.
_HELD = 256


class Tally:
    """Counts accepted, rejected and repeated contacts of one job, which all ask the same.

    A number has at most 15 digits, so eight bytes hold it exactly. What is not held lies in a
    file, of 8 MB for a million rows.

    Args:
        scratch: Makes that file, once there is so much.
    """

    def __init__(self, scratch: Callable[[], Scratch]) -> None:
        self._make_scratch = scratch
        self._scratch: Scratch | None = None
        self._end = 0
        self._held: tuple[array[int], ...] = tuple(array("q") for _ in range(_SHARES))
        #: Where what was put down of each share begins.
        self._places: tuple[array[int], ...] = tuple(array("Q") for _ in range(_SHARES))
        self._accepted = 0
        #: Rejected rows by reason.
        self.rejected: Counter[RejectReason] = Counter()

    def accept(self, phone: str) -> None:
        """Count an accepted contact by its number, in E.164.

        Raises:
            SpoolFullError: There is no room for the file.
        """
        number = int(phone)
        share = number % _SHARES
        held = self._held[share]
        held.append(number)
        self._accepted += 1
        if len(held) == _HELD:
            self._put_down(share)

    def reject(self, reason: RejectReason) -> None:
        """Count a rejected one."""
        self.rejected[reason] += 1

    def counts(self) -> Counts:
        """The sums so far; reads the file, so call it in a thread."""
        return Counts(
            accepted=self._accepted,
            rejected=self.rejected.total(),
            duplicates=self._accepted - sum(map(self._different, range(_SHARES))),
        )

    def _put_down(self, share: int) -> None:
        if self._scratch is None:
            self._scratch = self._make_scratch()
        data = self._held[share].tobytes()
        self._scratch.append(data)
        self._places[share].append(self._end)
        self._end += len(data)
        del self._held[share][:]

    def _different(self, share: int) -> int:
        """The different numbers of a share."""
        numbers = set(self._held[share])
        for place in self._places[share]:
            assert self._scratch is not None  # noqa: S101 - something was put down there
            put_down = array("q")
            put_down.frombytes(self._scratch.read_at(place, _HELD * put_down.itemsize))
            numbers.update(put_down)
        return len(numbers)
