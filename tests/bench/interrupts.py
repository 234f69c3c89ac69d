"""Counts how often the kernel wakes up for an idle capture.

No process is charged for these wake-ups: because of the read timeout, a timer of the
kernel looks at the ring of the capture again and again.  The kernel's tracing counts
the expirations of each such timer separately, so that only those of the daemon count.
"""

import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from tests.bench.reaction import PACES
from tests.bench.report import Row
from tests.bench.stage import NO_SCRIPTS, OURS, UCARP, await_state
from tests.netns.lab import Host, Lab

SECTION = "Timer interrupts of an idle capture"
TIMER = "prb_retire_rx_blk_timer_expired"
EVENTS = ("timer/hrtimer_expire_entry", "timer/timer_expire_entry")
"""Two events, as the ring's timer is a high-resolution timer only since Linux 6.18."""

Expirations = Counter[str]
"""How often each timer expired; a timer is named by its address in the kernel."""


class TraceError(Exception):
    """The kernel does not allow us to trace."""


def run(quick: bool) -> list[Row]:
    duration_s = 2.0 if quick else 6.0
    rows = []
    for pace in PACES:
        what = f"adverts every {pace.name}"
        try:
            ours, theirs = (
                interrupts(name, pace.flags, duration_s) for name in (OURS, UCARP)
            )
        except TraceError as error:
            rows.append(Row(SECTION, what, "1/s", note=f"not counted: {error}"))
        else:
            rows.append(Row(SECTION, what, "1/s", (ours,), (theirs,)))
    return rows


def interrupts(program: str, flags: str, duration_s: float) -> float:
    """Return how many expirations per second the capture of a daemon causes.

    Raises `TraceError`.
    """
    with Lab(1) as lab:
        [host] = lab.hosts
        trace = Trace(host)
        try:
            before = trace.count(0.5)
            arguments = f"{NO_SCRIPTS} -s {host.address} -n {flags}"
            daemon = host.start_bare(program, arguments.split())
            await_state(daemon, "BACKUP")
            early, late = trace.count(duration_s / 2), trace.count(duration_s / 2)
            daemon.kill()
            after = trace.count(0.5)
        finally:
            trace.close()
    # The daemon's timer is the one that expires only while the daemon runs.
    own = (set(early) & set(late)) - set(before) - set(after)
    return sum(early[timer] + late[timer] for timer in own) / duration_s


class Trace:
    """A trace of the ring timers of all captures.  Raises `TraceError`."""

    def __init__(self, host: Host) -> None:
        host.run(
            *("mount", "-t", "tracefs", "nodev", "/sys/kernel/tracing"), check=False
        )
        tracing = Path(f"/proc/{host.namespace.pid}/root/sys/kernel/tracing")
        self._instance = tracing / "instances" / f"carppcap-{host.namespace.pid}"
        try:
            self._instance.mkdir()
        except OSError as error:
            raise TraceError(str(error)) from None
        self._switches = []
        for event in EVENTS:
            directory = self._instance / "events" / event
            with suppress(OSError):
                (directory / "filter").write_text(f"function.function == {TIMER}")
                self._switches.append(directory / "enable")
        if not self._switches:
            self.close()
            raise TraceError("no filter by function")

    def count(self, duration_s: float) -> Expirations:
        """Trace for `duration_s` seconds; return how often each timer expired."""
        trace = self._instance / "trace"
        trace.write_text("")
        for switch in self._switches:
            switch.write_text("1")
        time.sleep(duration_s)
        for switch in self._switches:
            switch.write_text("0")
        timers = (
            word.partition("=")[2]
            for line in trace.read_text().splitlines()
            if TIMER in line
            for word in line.split()
            if word.startswith(("hrtimer=", "timer="))
        )
        return Counter(timers)

    def close(self) -> None:
        with suppress(OSError):
            self._instance.rmdir()
