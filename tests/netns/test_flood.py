"""Tests a group under a flood of other frames, as many as this machine can send."""

import time

import pytest

from tests.bench.footprint import memory_mb
from tests.netns.daemons import Daemon
from tests.netns.flood import KINDS, Flood
from tests.netns.lab import Lab, wait_for
from tests.netns.scenes import (
    OURS,
    await_adverts,
    await_rule,
    await_state,
    longest_gap_ns,
    only_ours,
)
from tests.netns.wire import NS_PER_S

pytestmark = pytest.mark.alone

LASTS_S = 2.0
RATE_MIN = 5_000
"""The lowest rate that is a flood; the real rate depends on the machine's load."""

GROWTH_MAX_MB = 0.5
LINES_MAX = 400
"""Limit for the lines of the log, which names at most 256 senders a minute."""

NARROWED = "narrowing the capture filter"
WIDENED = "Flood over after"


def _count_lines(daemon: Daemon) -> int:
    return len(daemon.log.read_text().splitlines())


@only_ours
def test_flood_of_each_kind() -> str:
    """Under a flood of forged adverts the master stays, and adverts keep their rate."""
    with Lab(3) as lab:
        master = lab.hosts[0].start(OURS, "-r 1")
        await_rule(lab, lab.hosts[0], master, adverts=1)
        backup = lab.hosts[1].start(OURS, "-k 100")
        await_adverts(lab, lab.hosts[0], 2)
        began_ns = time.time_ns()
        memory, rates, gaps_s = [], [], []
        for kind in KINDS:
            kind_began_ns = time.time_ns() - 1_200_000_000
            with Flood(lab.hosts[2], kind) as flood:
                time.sleep(LASTS_S)
                memory.append([memory_mb("Rss", d.pid) for d in (master, backup)])
            rates.append(flood.rate)
            gaps_s.append(longest_gap_ns(lab, lab.hosts[0], kind_began_ns) / NS_PER_S)
        await_adverts(lab, lab.hosts[0], 1)

        assert (master.states, backup.states) == (["BACKUP", "MASTER"], ["BACKUP"])
        assert lab.wire.adverts(lab.hosts[1].address) == []
        assert longest_gap_ns(lab, lab.hosts[0], began_ns) < 1.5 * NS_PER_S
        growths_mb = [
            late - early for early, late in zip(memory[0], memory[-1], strict=True)
        ]
        assert max(growths_mb) < GROWTH_MAX_MB
        for daemon in (master, backup):
            assert _count_lines(daemon) < LINES_MAX
            assert len(daemon.logged(NARROWED)) == 1
            assert not daemon.logged("This process was busy for a second")
        assert min(rates) > RATE_MIN
        return (
            f"{len(KINDS)} kinds, {min(rates):.0f} to {max(rates):.0f} frames/s: "
            f"0 changes, longest gap between adverts {max(gaps_s):.2f} s"
        )


@only_ours
def test_after_a_flood() -> str:
    """After a flood the log says that it is over, and names a wrong TTL again."""
    with Lab(2) as lab:
        host, stranger = lab.hosts
        daemon = host.start(OURS, "-r 1")
        await_state(daemon, "MASTER")
        with Flood(stranger, "digest") as flood:
            wait_for("a line", lambda: daemon.logged(NARROWED))
            time.sleep(LASTS_S / 2)
        ended_ns = time.time_ns()
        wait_for("the other line", lambda: daemon.logged(WIDENED))
        [line] = daemon.logged(WIDENED)
        read = int(line.text.partition(" s and ")[2].split()[0])
        with Flood(stranger, "ttl", 10):
            wait_for("a complaint", lambda: daemon.logged("Bad TTL: [64]"))

        assert len(daemon.logged(NARROWED)) == 1
        assert 1_000 < read < flood.sent
        return f"{(line.time_ns - ended_ns) / NS_PER_S:.1f} s after its end"


@only_ours
def test_newcomer_under_a_flood() -> str:
    """Even under a flood, the worse of two masters yields within twelve intervals."""
    with Lab(3) as lab:
        host, better, stranger = lab.hosts
        master = host.start(OURS, "-r 1 -k 10")
        await_state(master, "MASTER")
        with Flood(stranger, "sources") as flood:
            wait_for("a line", lambda: master.logged(NARROWED))
            better.start(OURS, "-r 1 -P")
            first = wait_for("a claim", lambda: lab.wire.adverts(better.address))[0]
            wait_for("its end", lambda: master.state == "BACKUP")
        yielded_ns = master.lines[-1].time_ns
        yielded_s = (yielded_ns - first.time_ns) / NS_PER_S

        assert flood.rate > RATE_MIN
        assert yielded_s < 12.0
        wait_for("one holder", lambda: lab.holders == (better,))
        return f"{flood.rate:.0f} frames/s, after {yielded_s:.1f} s"
