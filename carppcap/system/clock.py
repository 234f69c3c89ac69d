"""Two clocks: the monotonic one we live by, and the one capture stamps come from.

A frame is stamped by the kernel with the wall clock and handed to us up to a read
timeout later.  Counting from its stamp, delivery neither delays nor prolongs a
deadline.  But the wall clock is set by hand and by NTP, so a stamp is believed only
if it is plausible: not in the future, and not from before the moment at which the
buffer was last seen empty.  Around a step of the clock no stamp is believed.
"""

import time

from carppcap.units import NS_PER_MS, Instant, Interval

_DRIFT_ALLOWED_NS = NS_PER_MS
_DRIFT_ALLOWED_RATIO = 1000  # 1000 ppm; adjtimex(2) slews by 500 at most


def now_ns() -> Instant:
    """The monotonic clock, which no one can set."""
    return time.monotonic_ns()


def wall_ns() -> int:
    """The wall clock, as capture stamps have it."""
    return time.time_ns()


class CaptureClock:
    """Places capture stamps on the monotonic clock.

    Call `begin_turn` before reading, `instant` for each stamp, and `buffer_is_empty`
    when the read came back with nothing.  `delay_ns_max` is how long the kernel may
    hold a frame back.
    """

    def __init__(self, now: Instant, wall: int, delay_ns_max: Interval) -> None:
        self._delay_ns_max = delay_ns_max
        self._now = now
        self._offset_ns = wall - now
        self._earliest = now
        self._trusted = False
        self._latest = now

    def begin_turn(self, now: Instant, wall: int) -> None:
        """Compare the clocks anew."""
        offset_ns = wall - now
        passed_ns = now - self._now
        allowed_ns = _DRIFT_ALLOWED_NS + passed_ns // _DRIFT_ALLOWED_RATIO
        self._trusted = abs(offset_ns - self._offset_ns) <= allowed_ns
        self._offset_ns = offset_ns
        self._now = now

    def is_of_next_turn(self, stamp_ns: int) -> bool:
        """Whether a frame arrived after this turn began, as far as can be told."""
        return self._trusted and stamp_ns - self._offset_ns > self._now

    def instant(self, stamp_ns: int) -> Instant:
        """When a frame with this stamp arrived; never earlier than the one before."""
        at = stamp_ns - self._offset_ns
        if not self._trusted or not self._earliest <= at <= self._now:
            at = self._now
        self._latest = max(self._latest, at)
        return self._latest

    def buffer_is_empty(self) -> None:
        """Frames seen from now on arrived later than this, but for the delay."""
        self._earliest = self._now - self._delay_ns_max
