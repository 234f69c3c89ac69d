"""Tests the heartbeat, which measures how long the machine stood still."""

import os
import signal
import time
from contextlib import closing

from tests.netns.heartbeat import Heartbeat


def test_a_stop_is_a_stall() -> None:
    """If the heartbeat is stopped for 0.3 s, it measures a stall of that length."""
    with closing(Heartbeat()) as heartbeat:
        heartbeat.stalled_ns(0)  # waits until it beats
        os.kill(heartbeat.pid, signal.SIGSTOP)
        stopped_ns = time.time_ns()
        time.sleep(0.3)
        continued_ns = time.time_ns()
        os.kill(heartbeat.pid, signal.SIGCONT)

        stalled_ns = heartbeat.stalled_ns(stopped_ns, continued_ns)

        # The sleep of 5 ms that was interrupted does not count as a stall.
        assert continued_ns - stopped_ns - 10_000_000 < stalled_ns
        assert stalled_ns <= continued_ns - stopped_ns
