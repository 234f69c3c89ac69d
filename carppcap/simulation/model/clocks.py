"""The clocks of one host, which may differ from the time of the simulation."""

from carppcap.units import Instant, Interval

_PPM = 1_000_000


class Clock:
    """The monotonic clock and the wall clock of a host.

    Both read 0 at the start of the simulation, and run too fast by `drift_ppm` (parts
    per million; negative for too slow).  The wall clock can be set (`step`), the
    monotonic clock cannot.
    """

    __slots__ = ("_drift_ppm", "_offset_ns")

    def __init__(self, drift_ppm: int = 0) -> None:
        self._drift_ppm = drift_ppm
        self._offset_ns: Interval = 0

    def monotonic(self, true: Instant) -> Instant:
        """Return what the monotonic clock reads at `true`, the simulation's time."""
        return true + true * self._drift_ppm // _PPM

    def true(self, monotonic: Instant) -> Instant:
        """Return the simulation's time at which the monotonic clock reads `monotonic`.

        If there are several such instants, it is the first one.
        """
        return -(-monotonic * _PPM // (_PPM + self._drift_ppm))

    def wall(self, monotonic: Instant) -> Instant:
        """Return the wall clock's reading if the monotonic clock reads `monotonic`."""
        return monotonic + self._offset_ns

    def step(self, by_ns: Interval) -> None:
        """Set the wall clock forward by `by_ns`, or back if `by_ns` is negative."""
        self._offset_ns += by_ns
