"""Saying things once in a while that happen all the time."""

from carppcap.units import Instant, Interval

LIMITED_KEYS_MAX = 256
_OTHERS = object()


class RateLimit:
    """At most one line per key and period; counts the rest.  Bounded memory."""

    def __init__(self, period_ns: Interval) -> None:
        self._period_ns = period_ns
        self._seen: dict[object, tuple[Instant, int]] = {}

    def admit(self, key: object, now: Instant) -> int | None:
        """How many were held back since the last line, or None: hold this back too."""
        last, held = self._seen.get(key, (None, 0))
        if last is not None and now - last < self._period_ns:
            self._seen[key] = (last, held + 1)
            return None
        self._seen.pop(key, None)
        if len(self._seen) >= LIMITED_KEYS_MAX:
            oldest = next(iter(self._seen))
            if key is not _OTHERS and now - self._seen[oldest][0] < self._period_ns:
                # A flood under ever new names gets one line for all of them.
                return self.admit(_OTHERS, now)
            del self._seen[oldest]
        self._seen[key] = (now, 0)
        return held
