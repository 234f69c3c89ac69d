"""The monotonic clock, on which all deadlines are, and the wall clock of time stamps.

The kernel stamps a frame with the wall clock and delivers it up to a read timeout
later.  Because deadlines count from the stamp, the delay of delivery does not matter.
But the wall clock is set by hand and by NTP, so a stamp counts only if it is plausible:
not in the future, and not before the moment at which the buffer was last seen empty.
Around a step of the wall clock no stamp counts.
"""

import time

from carppcap.units import NS_PER_MS, Instant, Interval

_DRIFT_ALLOWED_NS = NS_PER_MS
_DRIFT_ALLOWED_RATIO = 1000  # 1000 ppm; adjtimex(2) slews by 500 at most


def now_ns() -> Instant:
    """Return the monotonic clock, which cannot be set."""
    return time.monotonic_ns()


def wall_ns() -> int:
    """Return the wall clock, as in the stamps of captured frames."""
    return time.time_ns()


class CaptureClock:
    """Converts time stamps to instants of the monotonic clock.

    Call `begin_turn` before reading, `instant` for each stamp, and `buffer_is_empty`
    when a read returned nothing.  `delay_ns_max` is how long the kernel may delay a
    frame.
    """

    def __init__(self, now: Instant, wall: int, delay_ns_max: Interval) -> None:
        self._delay_ns_max = delay_ns_max
        self._now = now
        self._offset_ns = wall - now
        self._earliest = now
        self._trusted = False
        self._latest = now

    def begin_turn(self, now: Instant, wall: int) -> None:
        """Compare the clocks; if the wall clock was set, its stamps do not count."""
        offset_ns = wall - now
        passed_ns = now - self._now
        allowed_ns = _DRIFT_ALLOWED_NS + passed_ns // _DRIFT_ALLOWED_RATIO
        self._trusted = abs(offset_ns - self._offset_ns) <= allowed_ns
        self._offset_ns = offset_ns
        self._now = now

    def is_of_next_turn(self, stamp_ns: int) -> bool:
        """True if a frame certainly arrived after this turn began."""
        return self._trusted and stamp_ns - self._offset_ns > self._now

    def instant(self, stamp_ns: int) -> Instant:
        """Return when a frame with this stamp arrived, in order with earlier ones."""
        at = stamp_ns - self._offset_ns
        if not self._trusted or not self._earliest <= at <= self._now:
            at = self._now
        self._latest = max(self._latest, at)
        return self._latest

    def buffer_is_empty(self) -> None:
        """Note that every frame older than `delay_ns_max` at this turn was read."""
        self._earliest = self._now - self._delay_ns_max
