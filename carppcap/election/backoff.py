"""Computes how long a host pauses after its up script has failed."""

from carppcap.units import NS_PER_S, Interval

PAUSE_NS_MIN = 3 * NS_PER_S
PAUSE_NS_MAX = 60 * NS_PER_S

_DOUBLINGS_MAX = 8


class Backoff:
    """The pause after the up script has failed.

    It is 3 s after the first failure.  Each further failure doubles it, up to 60 s.
    """

    def __init__(self) -> None:
        self._failures = 0

    @property
    def pause_ns(self) -> Interval:
        """The length of the pause that follows if the up script fails now."""
        return min(PAUSE_NS_MIN << self._failures, PAUSE_NS_MAX)

    def note_failure(self) -> None:
        """Record that the up script failed: the next pause is longer."""
        self._failures = min(self._failures + 1, _DOUBLINGS_MAX)

    def note_success(self) -> None:
        """Record that the up script succeeded: the next pause is 3 s again."""
        self._failures = 0
