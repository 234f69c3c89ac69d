"""Tests which host becomes master and which succeeds it, with carppcap and ucarp."""

import signal
import time

import pytest

from tests.netns.daemons import Daemon
from tests.netns.lab import Lab, wait_for
from tests.netns.scenes import (
    OURS,
    UCARP,
    all_pairs,
    any_program,
    await_adverts,
    await_rule,
    await_state,
    mixed_pairs,
    only_ours,
    start_group,
)
from tests.netns.wire import NS_PER_S

SKEW_NS = NS_PER_S // 256
SLACK_NS = 20_000_000
"""How far the two clocks of one machine may disagree about an interval."""


@all_pairs
def test_without_preemption_the_first_master_stays(first: str, second: str) -> None:
    """Without -P, a backup that is better than the master leaves it in place."""
    with Lab(2) as lab:
        master, backup = start_group(lab, (first, "-k 100"), (second, "-k 0"))

        await_adverts(lab, lab.hosts[0], 4)

        assert (master.states, backup.states) == (["BACKUP", "MASTER"], ["BACKUP"])
        assert lab.wire.adverts(lab.hosts[1].address) == []
        assert lab.holders == (lab.hosts[0],)


@mixed_pairs
def test_of_two_started_together_the_faster_wins(first: str, second: str) -> None:
    """The host that waits less becomes master; its advert keeps the other a backup."""
    with Lab(2) as lab:
        better = lab.hosts[1].start(first, "-k 0")
        worse = lab.hosts[0].start(second, "-k 200 -r 6")

        await_rule(lab, lab.hosts[1], better, adverts=4)

        assert worse.states == ["BACKUP"]


@all_pairs
def test_killed_master_is_replaced(first: str, second: str) -> None:
    """The backup takes over after dead ratio * advbase + advskew/256 s, not before."""
    with Lab(2) as lab:
        _, backup = start_group(lab, (first, "-k 0"), (second, "-k 50"))

        lab.hosts[0].power_off()
        await_rule(lab, lab.hosts[1], backup)

        last = lab.wire.adverts(lab.hosts[0].address)[-1]
        claim = lab.wire.adverts(lab.hosts[1].address)[0]
        silence_ns = claim.time_ns - last.time_ns
        assert silence_ns > 3 * NS_PER_S + 50 * SKEW_NS - SLACK_NS
        assert lab.wire.announcements(lab.hosts[1].mac, last.time_ns)
        if second == OURS != UCARP:  # ucarp takes up to a second longer.
            bound_ns = 3 * NS_PER_S + 50 * SKEW_NS + NS_PER_S // 2
            stalled_ns = lab.daemon_stalled_ns(last.time_ns, claim.time_ns)
            assert silence_ns < bound_ns + stalled_ns


@all_pairs
def test_preferred_backup_takes_over(first: str, second: str) -> None:
    """A backup with -P takes over from a master with a longer interval at once."""
    with Lab(2) as lab:
        old = lab.hosts[0].start(first, "-k 100")
        await_rule(lab, lab.hosts[0], old)
        new = lab.hosts[1].start(second, "-k 10 -P")

        await_rule(lab, lab.hosts[1], new)
        await_state(old, "BACKUP")
        await_adverts(lab, lab.hosts[1], 2)

        assert new.logged("Putting MASTER down - preemption")
        assert old.logged("Preferred master advertised: going back to BACKUP state")
        assert old.states == ["BACKUP", "MASTER", "BACKUP"]
        assert lab.holders == (lab.hosts[1],)


def _two_masters(lab: Lab, *members: tuple[str, str]) -> list[Daemon]:
    """Return two masters that do not hear each other until the first host rejoins."""
    lab.hosts[0].isolate()
    daemons = [
        host.start(*member) for host, member in zip(lab.hosts, members, strict=True)
    ]
    for daemon in daemons:
        await_state(daemon, "MASTER")
    wait_for("two holders", lambda: len(lab.holders) == 2)
    return daemons


@all_pairs
@pytest.mark.parametrize(
    "addresses", [("10.9.0.1", "10.9.0.2"), ("10.0.1.1", "10.0.0.2")]
)
def test_of_two_equal_masters_the_lower_address_stays(
    first: str, second: str, addresses: tuple[str, str]
) -> None:
    """The last octet is compared first, so 10.0.1.1 stays master and not 10.0.0.2."""
    with Lab(2, addresses=addresses, prefix_length=16) as lab:
        lower, higher = _two_masters(lab, (first, "-k 20"), (second, "-k 20"))

        lab.hosts[0].rejoin()
        await_rule(lab, lab.hosts[0], lower, adverts=4)

        assert lower.states == ["BACKUP", "MASTER"]
        assert higher.states == ["BACKUP", "MASTER", "BACKUP"]


@mixed_pairs
def test_better_of_two_masters_reasserts(first: str, second: str) -> None:
    """The better master announces the address again, and the worse one releases it."""
    with Lab(2) as lab:
        better, worse = _two_masters(lab, (first, "-k 0"), (second, "-k 60"))

        joined_ns = time.time_ns()
        lab.hosts[0].rejoin()
        await_rule(lab, lab.hosts[0], better, adverts=4)

        assert worse.states == ["BACKUP", "MASTER", "BACKUP"]
        assert better.states == ["BACKUP", "MASTER"]
        if better.logged("reasserting control of VIP"):
            assert lab.wire.announcements(lab.hosts[0].mac, joined_ns)
        else:  # The worse master yielded before it sent an advert to the better one.
            assert worse.logged("Preferred master advertised")


@mixed_pairs
def test_equals_started_together_end_with_one_master(first: str, second: str) -> None:
    """Two equal hosts that start together end with one master, which stays."""
    with Lab(2) as lab:
        daemons = [
            host.start(program, "-k 20")
            for host, program in zip(lab.hosts, (first, second), strict=True)
        ]

        def rulers() -> set[str]:
            return {str(advert.source) for advert in lab.wire.adverts()[-4:]}

        wait_for("four adverts", lambda: len(lab.wire.adverts()) >= 4)
        wait_for("one master", lambda: len(rulers()) == 1)
        [ruler] = rulers()
        [index] = [i for i in (0, 1) if lab.hosts[i].address == ruler]
        await_rule(lab, lab.hosts[index], daemons[index], adverts=4)
        assert daemons[1 - index].state == "BACKUP"


@all_pairs
def test_usr2_hands_over(first: str, second: str) -> None:
    """On SIGUSR2 the master steps down for 3 s, in which the backup takes over."""
    with Lab(2) as lab:
        master, backup = start_group(lab, (first, "-k 0"), (second, "-k 0"))

        master.signal(signal.SIGUSR2)
        await_rule(lab, lab.hosts[1], backup)

        assert master.states == ["BACKUP", "MASTER", "BACKUP"]
        assert master.is_running


@any_program
def test_usr2_leaves_the_backup_time(program: str) -> None:
    """After the pause of 3 s a host waits a whole master-down interval, as at start."""
    with Lab(1) as lab:
        [host] = lab.hosts
        daemon = host.start(program, "-r 2")
        await_rule(lab, host, daemon)

        daemon.signal(signal.SIGUSR2)
        wait_for("its return", lambda: len(daemon.states) == 4)

        down, up = daemon.logged("Switching to state")[-2:]
        assert up.time_ns - down.time_ns > 5 * NS_PER_S - SLACK_NS


@pytest.mark.parametrize(
    "programs", dict.fromkeys([(OURS, UCARP, OURS), (UCARP, OURS, UCARP)])
)
def test_three_hosts_survive_two_masters(programs: tuple[str, str, str]) -> None:
    """Of three hosts the one with the longest wait succeeds last."""
    flags = ("-k 0", "-k 40", "-k 40 -r 6")
    with Lab(3) as lab:
        daemons = start_group(lab, *zip(programs, flags, strict=True))

        lab.hosts[0].power_off()
        await_rule(lab, lab.hosts[1], daemons[1], adverts=3)
        assert daemons[2].states == ["BACKUP"]

        lab.hosts[1].power_off()
        await_rule(lab, lab.hosts[2], daemons[2], adverts=3)


@only_ours
def test_intervals_below_a_second_are_stable() -> None:
    """With -b 0, -k 20 and -k 40 one master stays; with ucarp both would alternate."""
    with Lab(2) as lab:
        master, backup = start_group(lab, (OURS, "-b 0 -k 20"), (OURS, "-b 0 -k 40"))

        await_adverts(lab, lab.hosts[0], 60)
        assert (master.states, backup.states) == (["BACKUP", "MASTER"], ["BACKUP"])

        lab.hosts[0].power_off()
        await_rule(lab, lab.hosts[1], backup, adverts=10)
        last = lab.wire.adverts(lab.hosts[0].address)[-1]
        claim = lab.wire.adverts(lab.hosts[1].address)[0]
        silence_ns = claim.time_ns - last.time_ns
        assert silence_ns > 3 * 40 * SKEW_NS - SLACK_NS
        stalled_ns = lab.daemon_stalled_ns(last.time_ns, claim.time_ns)
        assert silence_ns < NS_PER_S + stalled_ns
