"""A log in which nothing is said more often than once a minute."""

from carppcap.log.rate import RateLimit
from carppcap.system.syslog import Level, Log
from carppcap.text.i18n import translate
from carppcap.units import NS_PER_S, Instant

QUIET_PERIOD_NS = 60 * NS_PER_S


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
