"""Reads the monotonic clock, for deadlines, and the wall clock, which dates frames.

The kernel stamps a frame with the time of the wall clock, and delivers it up to one
read timeout later.  Because deadlines count from the stamp, the delay of delivery does
not matter.  But the wall clock can be set by hand or by NTP, so a stamp counts only if
it is plausible: not in the future, and not before the moment at which the buffer was
last seen empty.  In the first turn of the loop after the clock was set, no stamp
counts.  A frame whose stamp does not count is taken to have arrived at the start of the
turn.
"""

import time

from carppcap.units import NS_PER_MS, Instant, Interval

_DRIFT_ALLOWED_NS = NS_PER_MS
_DRIFT_ALLOWED_RATIO = 1000  # 1000 ppm; adjtimex(2) slews by 500 at most


def now_ns() -> Instant:
    """Return the time of the monotonic clock, which cannot be set."""
    return time.monotonic_ns()


def wall_ns() -> int:
    """Return the time of the wall clock, in nanoseconds since 1970, as in stamps."""
    return time.time_ns()


class CaptureClock:
    """Converts the time stamps of frames to instants of the monotonic clock.

    Call `begin_turn` before reading, `instant` for each stamp, and `buffer_is_empty`
    when a read returned no frame.  `delay_ns_max` is how long the kernel may delay a
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
        """Compare the clocks at the start of a turn of the loop.

        If the wall clock was set since the last turn, no stamp is used in this turn.
        """
        offset_ns = wall - now
        passed_ns = now - self._now
        allowed_ns = _DRIFT_ALLOWED_NS + passed_ns // _DRIFT_ALLOWED_RATIO
        self._trusted = abs(offset_ns - self._offset_ns) <= allowed_ns
        self._offset_ns = offset_ns
        self._now = now

    def is_of_next_turn(self, stamp_ns: int) -> bool:
        """True if the frame with this stamp certainly arrived after this turn began."""
        return self._trusted and stamp_ns - self._offset_ns > self._now

    def instant(self, stamp_ns: int) -> Instant:
        """Return the instant at which the frame with this stamp arrived.

        If the stamp is not plausible, return the start of this turn.  The result is
        never before that of an earlier call.
        """
        at = stamp_ns - self._offset_ns
        if not self._trusted or not self._earliest <= at <= self._now:
            at = self._now
        self._latest = max(self._latest, at)
        return self._latest

    def buffer_is_empty(self) -> None:
        """Record that the buffer was found empty in this turn.

        All frames that arrived more than `delay_ns_max` before this turn have then been
        read, so an earlier stamp is not plausible.
        """
        self._earliest = self._now - self._delay_ns_max
