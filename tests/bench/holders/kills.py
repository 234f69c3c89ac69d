"""Measures ten kills of a master with `--own-addresses` whose host lives on."""

import time
from dataclasses import dataclass, field

from tests.bench.holders.contenders import await_pace, begin
from tests.bench.report import Row
from tests.bench.stage import NS_PER_MS, OURS, await_holder, await_state, pause
from tests.netns.lab import VIP, Lab
from tests.netns.ping import Pinger

SECTION = "Ten kills of a master (SIGKILL, --own-addresses), its host lives"
PING_INTERVAL_S = 0.005
LIMIT_MS = 100.0
KILLS = 10


@dataclass(slots=True)
class Kills:
    """Times in ms, one for each kill.

    Two hosts had the address (`two`), a successor had it (`taken`), and a client had no
    answer (`outage`).
    """

    two: list[float] = field(default_factory=list)
    taken: list[float] = field(default_factory=list)
    outage: list[float] = field(default_factory=list)


def run(quick: bool) -> list[Row]:
    found = kills(3 if quick else KILLS)
    pings = f"outage of a client (a ping every {PING_INTERVAL_S * 1000:.0f} ms)"
    return [
        Row(SECTION, what, "ms", tuple(ours), limit=limit, by_worst=True)
        for what, ours, limit in (
            ("two holders", found.two, 1.0),
            ("killed -> taken by the peer", found.taken, LIMIT_MS),
            (pings, found.outage, LIMIT_MS),
        )
    ]


def kills(rounds: int) -> Kills:
    """Kill the master of two hosts, again and again; return how each kill went.

    The time that the machine itself stood still does not count.
    """
    found = Kills()
    with Lab(3) as lab, Pinger(lab.hosts[2], VIP, PING_INTERVAL_S) as pinger:
        dying, heir, _ = lab.hosts
        daemon = begin(dying, OURS, 0)
        await_holder(lab, dying)
        for _ in range(rounds):
            successor = begin(heir, OURS, 0)
            await_state(successor, "BACKUP")
            await_pace(dying, 2)
            pause(0.9)
            killed_ns = time.time_ns()
            daemon.kill()
            await_holder(lab, heir)
            taken_ns = lab.addresses.changes[-1].time_ns
            pinger.await_answer(taken_ns)
            time.sleep(0.2)
            stalled_ns = lab.stalled_ns(killed_ns, taken_ns)
            lost_ns = sum(one.duration_ns for one in pinger.outages(killed_ns))
            for times, lasted_ns in (
                (found.two, lab.addresses.time_with(2, killed_ns)),
                (found.taken, taken_ns - killed_ns),
                (found.outage, lost_ns),
            ):
                times.append(max(0, lasted_ns - stalled_ns) / NS_PER_MS)
            daemon, dying, heir = successor, heir, dying
    return found
