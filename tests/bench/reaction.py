"""Measures the time from an advert on the wire to the daemon's answer on the wire.

Both are dated on the bridge.  After a forged better advert, a master yields and sends a
last advert.  After a forged farewell, a backup takes over and sends an advert or an
announcement.  The forged adverts come at random phases of the kernel's timer that
delivers frames.
"""

import time
from dataclasses import dataclass, field
from functools import partial

from tests.bench.report import Row
from tests.bench.stage import (
    BOTH,
    NO_SCRIPTS,
    NS_PER_MS,
    OURS,
    UCARP,
    Forger,
    at_once,
    await_state,
    pause,
)
from tests.netns.daemons import Daemon
from tests.netns.lab import Host, Lab

SECTION = "Reaction: advert on the wire -> our answer on the wire"
FAREWELL = (255, 255)


@dataclass(frozen=True, slots=True)
class Pace:
    """An interval between adverts, with the daemon's `flags` for it.

    `better` is the advbase and advskew of an advert that is better than the daemon's;
    `limit_ms` is the target for the time of reaction.
    """

    name: str
    flags: str
    better: tuple[int, int]
    limit_ms: float


PACES = (
    Pace("1 s", "-b 1 -k 100", (1, 0), 8.0),
    Pace("0.5 s", "-b 0 -k 128", (0, 64), 2.0),
)


@dataclass(slots=True)
class Reactions:
    """Times of reaction in ms: a master's to yield, and a backup's to take over."""

    yielding: list[float] = field(default_factory=list)
    taking_over: list[float] = field(default_factory=list)


def run(quick: bool) -> list[Row]:
    rounds = {OURS: 20, UCARP: 6} if quick else {OURS: 100, UCARP: 30}
    measured = at_once(
        partial(react, pace, name, rounds[name]) for pace in PACES for name in BOTH
    )
    rows = []
    for pace, ours, theirs in zip(PACES, measured[::2], measured[1::2], strict=True):
        rows += [
            Row(
                SECTION,
                f"{pace.name}: better advert -> yields",
                "ms",
                tuple(ours.yielding),
                tuple(theirs.yielding),
                pace.limit_ms,
            ),
            Row(
                SECTION,
                f"{pace.name}: farewell -> takes over",
                "ms",
                tuple(ours.taking_over),
                tuple(theirs.taking_over),
                pace.limit_ms,
                note=""
                if theirs.taking_over
                else "ucarp takes a silent master for dead before it hears this",
            ),
        ]
    return rows


def react(pace: Pace, program: str, rounds: int) -> Reactions:
    """Return the reactions of one daemon, at most `rounds` of each kind."""
    # ucarp may read a frame up to a second late; the rest is a margin.
    patience_s = 0.1 if program == OURS else 1.3
    found = Reactions()
    with Lab(2) as lab:
        host, stranger = lab.hosts
        forger = Forger(stranger)
        arguments = f"{NO_SCRIPTS} -s {host.address} -n {pace.flags}".split()
        daemon = host.start_bare(program, arguments)
        await_state(daemon, "BACKUP")
        for _ in range(rounds):
            await_rule(forger, daemon)
            pause(0.3, 0.02)
            better_ns = forger.send(*pace.better).time_ns
            time.sleep(patience_s)
            found.yielding += yielding_ms(host, daemon, better_ns)
            if daemon.state != "BACKUP":
                continue  # It took over already, so a farewell would change nothing.
            pause(0.2)
            farewell_ns = forger.send(*FAREWELL).time_ns
            time.sleep(patience_s)
            found.taking_over += taking_over_ms(host, daemon, farewell_ns)
        forger.close()
    return found


def await_rule(forger: Forger, daemon: Daemon) -> None:
    """Make `daemon` the master."""
    if daemon.state == "BACKUP":
        forger.send(*FAREWELL)
    await_state(daemon, "MASTER")


def yielding_ms(host: Host, daemon: Daemon, better_ns: int) -> list[float]:
    """Return how many ms after `better_ns` the daemon sent its last advert.

    That is the advert closest to the line in its log.  The list is empty if it did not
    yield.
    """
    yielded = [
        line.time_ns
        for line in daemon.logged("Preferred master advertised")
        if line.time_ns > better_ns
    ]
    adverts = host.lab.wire.adverts(host.address, better_ns)
    if not yielded or not adverts:
        return []
    last = min(adverts, key=lambda advert: abs(advert.time_ns - yielded[0]))
    return [(last.time_ns - better_ns) / NS_PER_MS]


def taking_over_ms(host: Host, daemon: Daemon, farewell_ns: int) -> list[float]:
    """Return how many ms after `farewell_ns` the daemon sent its first frame.

    That is an advert or an announcement.  The list is empty if the daemon did not take
    over because of the farewell.
    """
    if not [
        line
        for line in daemon.logged("Putting MASTER DOWN (going to time out)")
        if line.time_ns > farewell_ns
    ]:
        return []
    wire = host.lab.wire
    said_ns = [
        *(advert.time_ns for advert in wire.adverts(host.address, farewell_ns)),
        *(arp.time_ns for arp in wire.announcements(host.mac, farewell_ns)),
    ]
    return [(min(said_ns) - farewell_ns) / NS_PER_MS] if said_ns else []
