"""Tells a broken deploy from bad data, by how many contacts end as they rarely should. Pure.

Rare is a number that Twilio refuses for good, and a record on which our own code fails: one
of them is the contact's own misfortune, a flood of them is ours. What Twilio calls no number,
by `valid: false` or by 20404, is common in a bad list, and no sign of trouble.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from services.lookup.classify import Reading
from services.lookup.codes import Class
from services.lookup.route import NOT_FOUND, Dead, Finish, Outcome

#: Outcomes over which the share is reckoned; with fewer there is none.
WINDOW = 200


def ended_rarely(outcome: Outcome, reading: Reading) -> bool | None:
    """Whether a contact ended as it rarely should; None if it has not ended.

    It counts also where what was answered before makes a result of it.
    """
    if not isinstance(outcome, Finish | Dead):
        return None
    return any(
        problem.klass is Class.PERMANENT_NUMBER and problem.reason != NOT_FOUND
        for problem in reading.problems
    )


@dataclass(frozen=True, slots=True)
class Limits:
    """From where on it is a flood."""

    #: Of the last `WINDOW` outcomes, 0 to 1.
    share: float = 0.5
    #: Outcomes one after the other.
    run: int = 100


class Flood:
    """The last outcomes of one account in this process."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._last: deque[bool] = deque(maxlen=WINDOW)
        self._run = 0

    def count(self, *, rare: bool) -> str | None:
        """Take one more outcome; the reason to stop the account, if there is one."""
        self._last.append(rare)
        self._run = self._run + 1 if rare else 0
        if self._run >= self._limits.run:
            return (
                f"the last {self._run} contacts were refused for good or failed in lookup; see "
                "their dead letters"
            )
        found = sum(self._last)
        if len(self._last) == WINDOW and found >= self._limits.share * WINDOW:
            return (
                f"of the last {WINDOW} contacts {found} were refused for good or failed in lookup; "
                "see their dead letters"
            )
        return None

    def forget(self) -> None:
        """Count from new: a person has let the account go on."""
        self._last.clear()
        self._run = 0
