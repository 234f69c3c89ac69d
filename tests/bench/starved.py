"""How regular adverts are beside busy loops: the longest gap beyond the interval."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from tests.bench.keepalived import (
    KEEPALIVED,
    Instance,
    advert_times_ns,
    is_installed,
)
from tests.bench.report import Row
from tests.bench.stage import NO_SCRIPTS, NS_PER_MS, OURS, UCARP
from tests.netns.daemons import Daemon
from tests.netns.lab import VHID, Host, Lab, wait_for
from tests.netns.scenes import busy_loops
from tests.netns.wire import NS_PER_S

SECTION = "Beside two busy loops a core: longest gap beyond the interval"
LOOPS_PER_CORE = 2
WINDOWS = 5
SKEW_NS = NS_PER_S // 256


@dataclass(frozen=True, slots=True)
class Pace:
    """An interval, the flags that give it, and the target of the row."""

    name: str
    flags: str
    interval_ns: int
    limit_ms: float

    @property
    def hundredths(self) -> int:
        """The interval in the unit of keepalived."""
        return round(100 * self.interval_ns / NS_PER_S)


PACES = (
    Pace("1 s", "-b 1", NS_PER_S, 1.0),
    Pace("100 ms", "-b 0 -k 26", 26 * SKEW_NS, 2.0),
    Pace("20 ms", "-b 0 -k 5", 5 * SKEW_NS, 4.0),
)


def run(quick: bool) -> list[Row]:
    window_s = 3.0 if quick else 8.0
    rows = []
    for pace in PACES:
        ours, ucarp, keepalived = gaps_ms(pace, window_s)
        row = Row(SECTION, pace.name, "ms", ours, ucarp, pace.limit_ms)
        rows.append(row)
        if keepalived:
            note = "in real time, vrrp_rt_priority 10"
            what = f"{pace.name}, beside keepalived"
            other = Row(SECTION, what, "ms", ours, keepalived, None, note, KEEPALIVED)
            rows.append(other)
    return rows


def gaps_ms(pace: Pace, window_s: float) -> list[tuple[float, ...]]:
    """Return the longest gaps of carppcap, ucarp and keepalived, side by side.

    There is one for each of `WINDOWS`, in each of which the machine itself may stand
    still.  A program that is not installed has none.
    """
    with Lab(len(STARTS)) as lab:
        for start, host in zip(STARTS, lab.hosts, strict=True):
            if start is not _keepalived or is_installed():
                start(host, pace)
        for host in lab.hosts:
            if host.daemons:
                wait_for(f"adverts of {host}", partial(_has_begun, host))
        with busy_loops(os.sched_getaffinity(0), LOOPS_PER_CORE):
            time.sleep(1)  # The scheduler has got used to the loops.
            instants_ns = [time.time_ns()]
            for _ in range(WINDOWS):
                time.sleep(window_s)
                instants_ns.append(time.time_ns())
        return [
            tuple(
                _longest_ms(host, pace, since_ns, until_ns)
                for since_ns, until_ns in pairwise(instants_ns)
                if host.daemons
            )
            for host in lab.hosts
        ]


def _ours(host: Host, pace: Pace) -> Daemon:
    return host.start_bare(OURS, _flags(host, pace, 7))


def _ucarp(host: Host, pace: Pace) -> Daemon:
    return host.start_bare(UCARP, _flags(host, pace, 8))


def _flags(host: Host, pace: Pace, vhid: int) -> list[str]:
    # A group of its own each, so that every program is master.
    return f"{NO_SCRIPTS} -s {host.address} -n {pace.flags} -v {vhid}".split()


def _keepalived(host: Host, pace: Pace) -> Daemon:
    interval_s = pace.hundredths / 100
    return Instance(VHID + 2, interval_s=interval_s, realtime=True).start(host)


def _has_begun(host: Host) -> bool:
    return len(advert_times_ns(host)) > 3


def _longest_ms(host: Host, pace: Pace, since_ns: int, until_ns: int) -> float:
    """Return the longest gap beyond the interval, of those that end in the window."""
    gaps_ns = [
        after - before
        for before, after in pairwise(advert_times_ns(host))
        if since_ns <= after < until_ns
    ]
    [daemon] = host.daemons
    given_ns = pace.interval_ns
    if daemon.program == KEEPALIVED:
        given_ns = round(pace.hundredths * NS_PER_S / 100)
    return (max(gaps_ns) - given_ns) / NS_PER_MS


STARTS: tuple[Callable[[Host, Pace], Daemon], ...] = (_ours, _ucarp, _keepalived)
