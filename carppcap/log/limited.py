"""A log that repeats a line at most once a minute."""

from collections.abc import Callable

from carppcap.system.syslog import Level, Log
from carppcap.units import NS_PER_S, Instant, Interval

QUIET_PERIOD_NS = 60 * NS_PER_S

LIMITED_KEYS_MAX = 256
_OTHERS = object()


class RateLimit:
    """Admits each key once per period and counts the rest.  Bounded memory."""

    def __init__(self, period_ns: Interval) -> None:
        self._period_ns = period_ns
        self._seen: dict[object, tuple[Instant, int]] = {}

    def admit(self, key: object, now: Instant) -> int | None:
        """Return how many were suppressed since the last one, None to suppress this."""
        last, suppressed = self._seen.get(key, (None, 0))
        if last is not None and now - last < self._period_ns:
            self._seen[key] = (last, suppressed + 1)
            return None
        self._seen.pop(key, None)
        if len(self._seen) >= LIMITED_KEYS_MAX:
            oldest = next(iter(self._seen))
            if key is not _OTHERS and now - self._seen[oldest][0] < self._period_ns:
                # A flood under ever new keys gets one line for all of them.
                return self.admit(_OTHERS, now)
            del self._seen[oldest]
        self._seen[key] = (now, 0)
        return suppressed


class LimitedLog:
    """Writes what can come with every frame to `log`, and counts what it suppresses."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._limit = RateLimit(QUIET_PERIOD_NS)

    def write(
        self, level: Level, at: Instant, key: object, text: str | Callable[[], str]
    ) -> None:
        """Write `text`, unless a line with this `key` was written within a minute.

        A text that can come with every frame of a flood is a function, so that the
        suppressed ones need not be made.
        """
        suppressed = self._limit.admit(key, at)
        if suppressed is not None:
            count = f" [{suppressed} more in between]" if suppressed else ""
            line = text if isinstance(text, str) else text()
            self._log.write(level, line + count)
