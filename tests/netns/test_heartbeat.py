"""Tests the heartbeat, which measures how long the machine stood still."""

import os
import signal
import subprocess
import sys
import time
from contextlib import closing

import pytest

from tests.netns.heartbeat import ROOT, Heartbeat

ENTER = (
    "from carppcap.system import realtime; import os; realtime.enter(); "
    "print(os.sched_getscheduler(0))"
)


def test_a_heartbeat_is_scheduled_as_what_it_stands_for() -> None:
    """It has the policy of the daemon, or that of an ordinary process."""
    before = os.sched_getscheduler(0)
    with closing(Heartbeat()) as ordinary, closing(Heartbeat(as_daemon=True)) as ours:
        for heartbeat in (ordinary, ours):
            heartbeat.stalled_ns(0)  # waits until it beats
        told = subprocess.run(
            [sys.executable, "-c", ENTER],
            check=True,
            capture_output=True,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        assert os.sched_getscheduler(ordinary.pid) == before
        assert f"{os.sched_getscheduler(ours.pid)}\n" == told.stdout


@pytest.mark.parametrize("as_daemon", [False, True])
def test_a_stop_is_a_stall(as_daemon: bool) -> None:
    """If the heartbeat is stopped for 0.3 s, it measures a stall of that length."""
    with closing(Heartbeat(as_daemon=as_daemon)) as heartbeat:
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
