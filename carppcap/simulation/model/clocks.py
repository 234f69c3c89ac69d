"""The clocks of one host, which may differ from the true time of the simulation."""

from carppcap.units import Instant, Interval

_PPM = 1_000_000


class Clock:
    """A monotonic clock that runs too fast by `drift_ppm`, and a wall clock beside it.

    Both read 0 at the true instant 0.  `step` sets the wall clock; the
    monotonic one cannot be set.
    """

    __slots__ = ("_drift_ppm", "_offset_ns")

    def __init__(self, drift_ppm: int = 0) -> None:
        self._drift_ppm = drift_ppm
        self._offset_ns: Interval = 0

    def monotonic(self, true: Instant) -> Instant:
        """Return the monotonic clock at a true instant."""
        return true + true * self._drift_ppm // _PPM

    def true(self, monotonic: Instant) -> Instant:
        """Return the true instant at which the clock begins to read `monotonic`."""
        return -(-monotonic * _PPM // (_PPM + self._drift_ppm))

    def wall(self, monotonic: Instant) -> Instant:
        """Return the wall clock when the monotonic clock reads `monotonic`."""
        return monotonic + self._offset_ns

    def step(self, by_ns: Interval) -> None:
        """Set the wall clock forward, or back where `by_ns` is negative."""
        self._offset_ns += by_ns
