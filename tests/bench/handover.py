"""Measures a hand-over by a master that is told to stop.

Two times are measured: how long no host has the address, and how long a client that
pings it gets no answer.
"""

import signal
import time
from dataclasses import dataclass, field

from tests.bench.report import Row
from tests.bench.stage import (
    NS_PER_MS,
    OURS,
    UCARP,
    await_adverts,
    await_holder,
    await_state,
    for_both,
    pause,
)
from tests.netns.lab import VIP, Lab
from tests.netns.ping import Pinger

SECTION = "Told to stop (SIGTERM, -z), peer the same program"
PING_INTERVAL_S = 0.005
FREE_LIMIT_MS = 20.0
OUTAGE_LIMIT_MS = 30.0


@dataclass(slots=True)
class Handovers:
    """Times in ms: no host had the address (`free`), a client had no answer (`outage`).

    Each list has one time for each hand-over.
    """

    free: list[float] = field(default_factory=list)
    outage: list[float] = field(default_factory=list)


def run(quick: bool) -> list[Row]:
    rounds = {OURS: 6, UCARP: 2} if quick else {OURS: 25, UCARP: 8}
    ours, theirs = for_both(lambda name: handovers(name, rounds[name]))
    return [
        Row(
            SECTION,
            "address free -> taken",
            "ms",
            tuple(ours.free),
            tuple(theirs.free),
            FREE_LIMIT_MS,
        ),
        Row(
            SECTION,
            f"outage of a client (a ping every {PING_INTERVAL_S * 1000:.0f} ms)",
            "ms",
            tuple(ours.outage),
            tuple(theirs.outage),
            OUTAGE_LIMIT_MS,
        ),
    ]


def handovers(program: str, rounds: int) -> Handovers:
    """Hand the address to and fro between two hosts; return the times of `rounds`."""
    found = Handovers()
    with Lab(3) as lab, Pinger(lab.hosts[2], VIP, PING_INTERVAL_S) as pinger:
        leaving, staying, _ = lab.hosts
        daemon = leaving.start(program, "-z")
        await_state(daemon, "MASTER")
        await_holder(lab, leaving)
        for _ in range(rounds):
            heir = staying.start(program, "-z")
            await_state(heir, "BACKUP")
            await_adverts(lab, leaving, 1)
            pause(0.9)
            told_ns = time.time_ns()
            daemon.signal(signal.SIGTERM)
            await_holder(lab, staying)
            daemon.wait()
            pinger.await_answer(lab.addresses.changes[-1].time_ns)
            time.sleep(0.2)
            free_ns = lab.addresses.time_with(0, told_ns)
            found.free.append(free_ns / NS_PER_MS)
            lost_ns = sum(one.duration_ns for one in pinger.outages(told_ns))
            found.outage.append(lost_ns / NS_PER_MS)
            daemon, leaving, staying = heir, staying, leaving
    return found
