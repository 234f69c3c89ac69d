"""Lines at most once a minute, with a count of those suppressed."""

from carppcap.log.limited import (
    LIMITED_KEYS_MAX,
    QUIET_PERIOD_NS,
    LimitedLog,
    RateLimit,
)
from carppcap.system.syslog import Level
from tests.shell import MemoryLog


def test_once_a_minute_for_each_key() -> None:
    """The line after a minute tells how many were suppressed."""
    log = MemoryLog()
    limited = LimitedLog(log)
    for at in (0, 1, QUIET_PERIOD_NS - 1, QUIET_PERIOD_NS):
        limited.write(Level.NOTICE, at, "a", "seen")
    limited.write(Level.WARNING, QUIET_PERIOD_NS, "b", "other")

    assert log.lines == [
        ("NOTICE", "seen"),
        ("NOTICE", "seen [2 more in between]"),
        ("WARNING", "other"),
    ]


def test_rate_limit() -> None:
    """One per key and period, and the number of those suppressed."""
    limit = RateLimit(10)

    assert [limit.admit("a", now) for now in (0, 1, 9, 10, 11)] == [
        0,
        None,
        None,
        2,
        None,
    ]
    assert [limit.admit("b", now) for now in (11, 12, 30)] == [0, None, 1]


def test_rate_limit_under_ever_new_names() -> None:
    """A flood from random addresses gets a line per key, and one for the rest."""
    limit = RateLimit(10_000)

    admitted = [limit.admit(number, 0) for number in range(5000)]
    after = [limit.admit(number, 10_000 + number) for number in range(5000, 5003)]

    assert admitted.count(0) == LIMITED_KEYS_MAX + 1
    assert len(limit._seen) <= LIMITED_KEYS_MAX
    assert after == [0, 0, 0]
