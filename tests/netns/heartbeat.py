"""Measures how long the machine itself stood still while scenarios run.

The time limits in scenarios are promises of carppcap on a machine that runs it when it
is due.  A small process sleeps 5 ms at a time and records how late it wakes up.  A time
limit may be exceeded by that lateness, and by nothing else.  One such process is
scheduled as the daemon is, and an ordinary one stands for scripts, pings and ucarp.
"""

import atexit
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from struct import Struct

from carppcap.system import realtime

ROOT = Path(__file__).resolve().parents[2]
AS_DAEMON = "--as-daemon"

BEAT_NS = 5_000_000
STALL_NS = 5_000_000
"""A lateness up to this is the ordinary noise of timers, and extends no time limit."""

_BEAT = Struct("=qq")
_starting = threading.Lock()


class Heartbeat:
    """A process that wakes up every 5 ms and writes when that was due, and how late.

    Both times are in ns.  The process ends with `close`, or by itself when its parent
    is gone.  The words `before` are put before its command, as before those of the
    daemons with which it is compared.  With `as_daemon` it is scheduled as carppcap is.
    """

    def __init__(self, before: Sequence[str] = (), *, as_daemon: bool = False) -> None:
        self._beats = tempfile.TemporaryFile()  # noqa: SIM115 (closed by close)
        self._process = subprocess.Popen(
            [*before, sys.executable, __file__, *([AS_DAEMON] if as_daemon else [])],
            stdin=subprocess.DEVNULL,
            stdout=self._beats,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )

    @property
    def pid(self) -> int:
        """The pid of the process that beats."""
        return self._process.pid

    def stalled_ns(self, since_ns: int, until_ns: int | None = None) -> int:
        """Return how long the machine stood still between two instants.

        Both are of `time.time_ns`; `until_ns` is now by default.  Raises `RuntimeError`
        if the process has ended.
        """
        end_ns = time.time_ns() if until_ns is None else until_ns
        while (data := self._read()) == b"" or sum(
            _BEAT.unpack(data[-_BEAT.size :])
        ) < end_ns:
            if self._process.poll() is not None:
                raise RuntimeError("the heartbeat has ended")
            time.sleep(BEAT_NS / 1e9)
        return stalled_ns(_BEAT.iter_unpack(data), since_ns, end_ns)

    def _read(self) -> bytes:
        descriptor = self._beats.fileno()
        size = os.fstat(descriptor).st_size
        return os.pread(descriptor, size - size % _BEAT.size, 0)

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        self._beats.close()


def shared(*, as_daemon: bool = False) -> Heartbeat:
    """Return the only heartbeat of its kind; the first call starts it."""
    with _starting:
        return _start(as_daemon)


@cache
def _start(as_daemon: bool) -> Heartbeat:
    heartbeat = Heartbeat(as_daemon=as_daemon)
    atexit.register(heartbeat.close)
    return heartbeat


def stalled_ns(beats: Iterable[tuple[int, int]], since_ns: int, until_ns: int) -> int:
    """Return how long `beats`, pairs of (due, late), were late between two instants.

    That is the sum of all stalls and not the longest one: an election takes several
    steps one after another (a timer, a frame, a script), and each of them can meet a
    stall of its own.
    """
    return sum(
        max(0, min(due_ns + late_ns, until_ns) - max(due_ns, since_ns))
        for due_ns, late_ns in beats
        if late_ns > STALL_NS
    )


def beat() -> None:
    """Write a beat to standard output every `BEAT_NS` while the parent lives."""
    parent = os.getppid()
    while os.getppid() == parent:
        began_ns = time.monotonic_ns()
        time.sleep(BEAT_NS / 1e9)
        late_ns = max(0, time.monotonic_ns() - began_ns - BEAT_NS)
        os.write(1, _BEAT.pack(time.time_ns() - late_ns, late_ns))


if __name__ == "__main__":
    if AS_DAEMON in sys.argv:
        realtime.enter()
    beat()
