"""A log in which nothing is said more often than once a minute."""

from carppcap.system.syslog import Level, Log
from carppcap.text.i18n import translate
from carppcap.units import NS_PER_S, Instant, Interval

QUIET_PERIOD_NS = 60 * NS_PER_S

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


class LimitedLog:
    """Writes to `log` what can come with every frame, and counts what it holds back.

    A `template` has a place for `{limited}`, the count.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._limit = RateLimit(QUIET_PERIOD_NS)

    def write(
        self, level: Level, at: Instant, key: object, template: str, **values: object
    ) -> None:
        """Write one line, unless one with this `key` was written a moment ago."""
        held = self._limit.admit(key, at)
        if held is not None:
            limited = ""
            if held:
                limited = translate(" [{held} more in between]").format(held=held)
            self._log.write(level, template, limited=limited, **values)
