"""A log that writes lines of the same kind at most once a minute."""

from collections.abc import Callable

from carppcap.system.syslog import Level, Log
from carppcap.units import NS_PER_S, Instant, Interval

QUIET_PERIOD_NS = 60 * NS_PER_S

LIMITED_KEYS_MAX = 256
_OTHERS = object()


class RateLimit:
    """Admits each key once per period, and counts how often each was suppressed.

    At most `LIMITED_KEYS_MAX` keys are stored.  When there is no room for a new key,
    all new keys are treated as one and the same key.
    """

    def __init__(self, period_ns: Interval) -> None:
        self._period_ns = period_ns
        self._seen: dict[object, tuple[Instant, int]] = {}

    def admit(self, key: object, now: Instant) -> int | None:
        """Return None if `key` is suppressed: it was admitted less than a period ago.

        Otherwise admit it, and return how often it was suppressed since it was last
        admitted.
        """
        last, suppressed = self._seen.get(key, (None, 0))
        if last is not None and now - last < self._period_ns:
            self._seen[key] = (last, suppressed + 1)
            return None
        self._seen.pop(key, None)
        if len(self._seen) >= LIMITED_KEYS_MAX:
            oldest = next(iter(self._seen))
            if key is not _OTHERS and now - self._seen[oldest][0] < self._period_ns:
                # In a flood with ever new keys, all of these share one line.
                return self.admit(_OTHERS, now)
            del self._seen[oldest]
        self._seen[key] = (now, 0)
        return suppressed


class LimitedLog:
    """Writes lines with the same key at most once a minute.

    It is for lines that any frame could cause.  Each line also tells how many lines
    with its key were suppressed before it.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._limit = RateLimit(QUIET_PERIOD_NS)

    def write(
        self, level: Level, at: Instant, key: object, text: str | Callable[[], str]
    ) -> None:
        """Write `text`, unless a line with this `key` was written in the last minute.

        `text` may be a function that returns the text.  It is not called for a line
        that is suppressed, which saves time in a flood.
        """
        suppressed = self._limit.admit(key, at)
        if suppressed is not None:
            count = f" [{suppressed} more in between]" if suppressed else ""
            line = text if isinstance(text, str) else text()
            self._log.write(level, line + count)
