"""How many calls of an account this process may have out, found out from how they end. Pure.

Twilio publishes no limit for Lookup, and what it allows may change or be used by others, so
a process finds it by trying: the limit rises while calls are answered, and falls when one is
refused for the rate (429; for a package 60616). The rule is AIMD, additive increase and
multiplicative decrease, as TCP has it:

- **At the start**, and after an account's stop, one call; each answer allows one more, which
  doubles the limit with each round trip, until the first refusal (TCP's slow start).
- **A refusal** of a call that was sent after the last decrease takes a fifth off. Refusals of
  calls sent before it tell of the same moment, and count no more (RFC 6582's `recover`), so
  there is at most one decrease in a round trip.
- **After it** the limit grows along the curve of CUBIC (RFC 9438) around the level at which
  it was refused: back to it quickly at first and ever more slowly, then beyond it slowly at
  first and ever faster. So it stays near what is allowed, tries for more rarely and by one
  call, and still finds soon that much more is allowed. As in CUBIC the curve is one of time,
  not of round trips, and so does as well with answers that take seconds; unlike CUBIC's, its
  return takes the same time whatever the size. Its steepness is the account's as a whole:
  each process takes its part, so that many do not try for more than one would.
- **Only a limit that is used grows.** Time in which fewer calls are out than allowed does not
  count (RFC 7661, and `inflight` in Netflix's concurrency-limits).
- **The floor is one call.** Refused even so, no call is made for a quarter of a second, for
  twice as long after the next refusal, up to eight seconds, and at least as long as
  `Retry-After` says, if it comes. From the third refusal in a row on this is no limit but an
  outage (TCP's timeout): after it the limit begins anew, doubling.
- **The ceiling is the process's share.** When it changes, the limit changes in proportion, and
  so does the level it was refused at, so that the sum over all processes stays what it was; a
  process that is new begins with one call. What others had may have been less than its part,
  so a larger share is taken up as after a refusal: all but a fifth at once, then the curve.

Latency is no signal here, as it is in Vegas, Gradient2 or Vector's adaptive concurrency:
Twilio refuses at the door rather than queueing, and the time of an answer is that of a
carrier somewhere.

`tests/unit/test_adaptive_goals.py` proves in simulated time what this comes to.
"""

from __future__ import annotations

#: What a refusal leaves of the limit.
_DECREASE = 0.8
#: Seconds of use until the limit is back at the level at which it was refused.
_RETURN = 40.0
#: Calls per cubic second of use by which an account's limit then grows beyond it: 1 more after
#: 5 s, 8 after 10 s, 64 after 20 s.
_GROWTH = 0.008
#: Seconds without a call after a refusal at the floor, and after many.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 8.0
#: Refusals in a row at the floor that are an outage.
_OUTAGE = 3
#: More would not change the pause.
_MOST_DOUBLINGS = 8
#: `Retry-After` is believed up to here, in seconds: a probe costs little.
_LONGEST_RETRY_AFTER = 60.0


class AdaptiveLimit:
    """One limit and what it was told; times are seconds of one monotonic clock."""

    def __init__(self, now: float, *, level: float = 1.0) -> None:
        """Begin with `level` calls, at least one, and no share: until `resize`, no call at all."""
        self._level = level
        self._ceiling = 0
        self._part = 0.0
        #: At which it was last refused, and what was left; None until then.
        self._curve: tuple[float, float] | None = None
        #: Seconds of use since.
        self._used = 0.0
        self._updated_at = now
        #: Calls sent before this say nothing any more.
        self._counts_from = now
        self._refused_at_floor = 0
        #: No call is made before this.
        self.opens_at = now

    @property
    def limit(self) -> int:
        """Most calls out at once: at least one, but none without a share."""
        return min(self._ceiling, int(self._level))

    def resize(self, ceiling: int, part: float) -> None:
        """Take a new share.

        Args:
            ceiling: Calls of the account's limit that are this process's; 0: none.
            part: Of all partitions, those of this process: from 0 to 1.
        """
        self._ceiling = ceiling
        if ceiling == 0:
            return
        scale = part / self._part if self._part else 1.0
        self._part = part
        level = self._level * scale
        if self._curve is not None:
            refused, left = self._curve
            if scale > 1:
                level = left = max(self._level, level * _DECREASE)
                self._used = 0.0
            else:
                left *= scale
            self._curve = self._within(refused * scale), self._within(left)
        self._level = self._within(level)

    def restart(self, now: float) -> None:
        """Begin again with one call, as after a stop of the account."""
        self._level, self._curve = 1.0, None
        self._updated_at = self._counts_from = self.opens_at = now
        self._refused_at_floor = 0

    def answered(self, sent_at: float, now: float, in_flight: int) -> None:
        """A call was not refused.

        Args:
            sent_at: When it was sent.
            now: When its answer came.
            in_flight: Calls out, this one included.
        """
        if sent_at < self._counts_from:
            return
        # What was before this call was sent may have been a night without any.
        since, self._updated_at = now - max(self._updated_at, sent_at), now
        self._refused_at_floor = 0
        if in_flight < self.limit:
            return
        if self._curve is None:
            self._level = self._within(self._level + 1)
            return
        self._used += since
        refused, left = self._curve
        beyond = self._used - _RETURN
        if beyond < 0:
            level = refused - (refused - left) * (-beyond / _RETURN) ** 3
        else:
            level = refused + self._part * _GROWTH * beyond**3
        self._level = self._within(max(self._level, level))

    def refused(
        self, sent_at: float, now: float, in_flight: int, retry_after: float | None = None
    ) -> None:
        """A call was refused for the rate; arguments as for `answered`, and Twilio's wait."""
        if sent_at < self._counts_from:
            return
        if self.limit <= 1:
            pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0**self._refused_at_floor)
            self._refused_at_floor = min(self._refused_at_floor + 1, _MOST_DOUBLINGS)
            self.opens_at = now + max(pause, min(retry_after or 0.0, _LONGEST_RETRY_AFTER))
        level = self._within(min(self._level, in_flight))
        self._level = self._within(level * _DECREASE)
        self._curve = None if self._refused_at_floor >= _OUTAGE else (level, self._level)
        self._used = 0.0
        self._updated_at = self._counts_from = now

    def _within(self, level: float) -> float:
        return max(1.0, min(float(self._ceiling), level))
