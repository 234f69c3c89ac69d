"""The measure by which bounds are widened measures the machine and no more."""

import os
import signal
import time
from contextlib import closing

from tests.netns.heartbeat import Heartbeat


def test_a_stop_is_a_stall() -> None:
    """A process that is stopped for 0.3 s has stood still for about that long."""
    with closing(Heartbeat()) as heartbeat:
        heartbeat.stalled_ns(0)  # it beats
        os.kill(heartbeat.pid, signal.SIGSTOP)
        stopped_ns = time.time_ns()
        time.sleep(0.3)
        continued_ns = time.time_ns()
        os.kill(heartbeat.pid, signal.SIGCONT)

        stalled_ns = heartbeat.stalled_ns(stopped_ns, continued_ns)

        # The sleep of 5 ms in which it was stopped was due anyway.
        assert continued_ns - stopped_ns - 10_000_000 < stalled_ns
        assert stalled_ns <= continued_ns - stopped_ns
