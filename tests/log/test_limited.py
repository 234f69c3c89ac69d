"""What is said once a minute, with a count of what was not."""

from carppcap.log.limited import QUIET_PERIOD_NS, LimitedLog
from carppcap.system.syslog import Level
from tests.shell import MemoryLog


def test_once_a_minute_for_each_key() -> None:
    """The line after the pause tells how many were held back."""
    log = MemoryLog()
    limited = LimitedLog(log)
    for at in (0, 1, QUIET_PERIOD_NS - 1, QUIET_PERIOD_NS):
        limited.write(Level.NOTICE, at, "a", "seen {what}{limited}", what="it")
    limited.write(Level.WARNING, QUIET_PERIOD_NS, "b", "other{limited}")

    assert log.lines == [
        ("NOTICE", "seen it"),
        ("NOTICE", "seen it [2 more in between]"),
        ("WARNING", "other"),
    ]
