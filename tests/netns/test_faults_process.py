"""Tests daemons that are stopped, killed, starved, or short of memory and the like."""

import os
import resource
import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from tests.netns.daemons import Daemon
from tests.netns.heartbeat import Heartbeat
from tests.netns.lab import Lab, wait_for
from tests.netns.scenes import (
    OURS,
    UCARP,
    any_peer,
    any_program,
    await_adverts,
    await_rule,
    await_state,
    busy_loops,
    only_ours,
    start_group,
)
from tests.netns.wire import NS_PER_S

SKEW_NS = NS_PER_S // 256

STAYED_MASTER, STAYED_BACKUP = ["BACKUP", "MASTER"], ["BACKUP"]


@contextmanager
def _stopped(daemon: Daemon, seconds: float) -> Iterator[None]:
    daemon.signal(signal.SIGSTOP)
    time.sleep(seconds)
    daemon.signal(signal.SIGCONT)
    yield


@only_ours
@any_peer
@pytest.mark.parametrize("seconds", [1, 6])
def test_stopped_backup(peer: str, seconds: int) -> str:
    """A backup that stood still, however long, leaves a live master in place."""
    with Lab(2) as lab:
        master, backup = start_group(lab, (peer, "-k 0"), (OURS, "-k 50"))

        with _stopped(backup, seconds):
            await_adverts(lab, lab.hosts[0], 2)

        assert (master.states, backup.states) == (STAYED_MASTER, STAYED_BACKUP)
        return f"stopped {seconds} s: 0 changes"


@only_ours
@any_peer
@pytest.mark.parametrize("seconds", [1, 6])
def test_stopped_master(peer: str, seconds: int) -> str:
    """A master that stood still stays master; a successor, if any, yields at once."""
    with Lab(2) as lab:
        master, backup = start_group(lab, (OURS, "-k 0"), (peer, "-k 50"))

        with _stopped(master, seconds):
            went_on_ns = time.time_ns()
            await_rule(lab, lab.hosts[0], master, adverts=2)
            await_adverts(lab, lab.hosts[0], 2)

        dual_ns = lab.addresses.time_with(2, went_on_ns)
        assert master.states == STAYED_MASTER
        if seconds < 3:
            assert backup.states == STAYED_BACKUP
        else:
            assert backup.states == [*STAYED_MASTER, "BACKUP"]
            late_ns = NS_PER_S if peer == UCARP else 0
            assert dual_ns < NS_PER_S + late_ns + lab.stalled_ns(went_on_ns)
        return f"stopped {seconds} s: one holder {dual_ns // 1_000_000} ms later"


@only_ours
@any_peer
def test_master_in_a_crash_loop(peer: str) -> str:
    """A master killed and started five times in 3 s is one fail-over, no overlap."""
    with Lab(2) as lab:
        _, backup = start_group(lab, (OURS, "-k 0"), (peer, "-k 50"))

        for _ in range(5):
            lab.hosts[0].daemons[-1].kill()
            killed_ns = time.time_ns()
            again = lab.hosts[0].start(OURS, "-k 0")
            # Wait for the steps of a start, which may take longer on a busy machine.
            await_state(again, "BACKUP")
            wait_for("the address to be free", lambda: lab.hosts[0] not in lab.holders)
            time.sleep(0.3)
        await_rule(lab, lab.hosts[1], backup)
        await_adverts(lab, lab.hosts[1], 3)

        assert again.states == STAYED_BACKUP
        assert backup.states == STAYED_MASTER
        assert lab.addresses.time_with(2) == 0
        outage_ms = lab.addresses.time_with(0, killed_ns) // 1_000_000
        return f"1 fail-over, no holder for {outage_ms} ms"


@only_ours
@any_peer
def test_backup_in_a_crash_loop(peer: str) -> str:
    """A backup killed and started five times in 3 s never disturbs the master."""
    with Lab(2) as lab:
        master, _ = start_group(lab, (peer, "-k 0"), (OURS, "-k 50"))

        for _ in range(5):
            lab.hosts[1].daemons[-1].kill()
            again = lab.hosts[1].start(OURS, "-k 50")
            time.sleep(0.6)
        await_adverts(lab, lab.hosts[0], 4)

        assert (master.states, again.states) == (STAYED_MASTER, STAYED_BACKUP)
        assert lab.wire.adverts(lab.hosts[1].address) == []
        return "0 changes"


@only_ours
@any_peer
def test_no_more_memory(peer: str) -> str:
    """A daemon that can get no more memory still takes over, and yields afterwards."""
    with Lab(2) as lab:
        # The measuring of coverage takes memory whenever code runs for the first time.
        plain = ("env", "-u", "COVERAGE_PROCESS_CONFIG")
        _, ours = start_group(lab, (peer, "-k 0"), (OURS, "-k 50"), before=plain)
        [size_kb] = [
            int(line.split()[1])
            for line in Path(f"/proc/{ours.pid}/status").read_text().splitlines()
            if line.startswith("VmSize:")
        ]
        limit = size_kb * 1024
        resource.prlimit(ours.pid, resource.RLIMIT_AS, (limit, limit))

        lab.hosts[0].power_off()
        await_rule(lab, lab.hosts[1], ours, adverts=3)
        for _ in range(200):
            ours.signal(signal.SIGUSR1)
        await_adverts(lab, lab.hosts[1], 3)
        lab.hosts[0].create_interface()
        lab.hosts[0].start(peer, "-k 0 -P")
        wait_for("it to give back", lambda: lab.holders == (lab.hosts[0],))

        assert ours.states == [*STAYED_MASTER, "BACKUP"]
        return f"{size_kb // 1024} MB of addresses: took over and gave back"


def _limit_descriptors(daemon: Daemon, limit: int) -> None:
    """Allow `daemon` to open only descriptors below `limit` from now on."""
    _, hard = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (limit, hard))


def _highest_descriptor(daemon: Daemon) -> int:
    return max(map(int, os.listdir(f"/proc/{daemon.pid}/fd")))


@only_ours
@any_peer
def test_no_more_descriptors(peer: str) -> str:
    """A daemon that can open no more files still takes over, and yields afterwards."""
    with Lab(2) as lab:
        _, ours = start_group(lab, (peer, "-k 0"), (OURS, "-k 50"))
        _limit_descriptors(ours, _highest_descriptor(ours) + 1)

        lab.hosts[0].power_off()
        await_rule(lab, lab.hosts[1], ours, adverts=2)
        lab.hosts[0].create_interface()
        lab.hosts[0].start(peer, "-k 0 -P")
        wait_for("it to give back", lambda: lab.holders == (lab.hosts[0],))

        assert ours.states == [*STAYED_MASTER, "BACKUP"]
        dual_ms = lab.addresses.time_with(2) // 1_000_000
        return f"took over and gave back, two holders for {dual_ms} ms"


@any_program
def test_too_many_descriptors_inherited(program: str) -> str:
    """A daemon that inherits 1 100 open descriptors works as usual."""
    leaky = 'ulimit -n 4096; for n in {3..1102}; do eval "exec $n</dev/null"; done'
    with Lab(1) as lab:
        [host] = lab.hosts
        before = ("bash", "-c", f'{leaky}; exec "$@"', "bash")
        daemon = host.start(program, "-r 1 -z", before=before)
        await_rule(lab, host, daemon)
        highest = _highest_descriptor(daemon)
        daemon.signal(signal.SIGTERM)

        assert daemon.wait() == 0
        assert highest > 1024
        return f"highest in use {highest}"


@only_ours
@any_peer
def test_descriptors_taken_away_from_the_backup(peer: str) -> str:
    """A backup that cannot start its up script logs that, steps aside, and recovers."""
    with Lab(2) as lab:
        _, ours = start_group(lab, (peer, "-k 0"), (OURS, "-k 50"))
        _limit_descriptors(ours, 3)

        lab.hosts[0].power_off()
        wait_for("a complaint", lambda: ours.logged("Too many open files"))
        await_state(ours, "BACKUP")
        assert lab.holders == ()
        _limit_descriptors(ours, 1024)
        could_ns = time.time_ns()
        await_rule(lab, lab.hosts[1], ours, adverts=2)

        took_ns = lab.addresses.changes[-1].time_ns - could_ns
        return f"has the address {took_ns / NS_PER_S:.1f} s after it could"


@only_ours
@any_peer
def test_descriptors_taken_away_from_the_master(peer: str) -> str:
    """A master that cannot start its down script logs that, and tries until it can."""
    with Lab(2) as lab:
        ours = lab.hosts[0].start(OURS, "-k 50")
        await_rule(lab, lab.hosts[0], ours)
        _limit_descriptors(ours, 3)

        lab.hosts[1].start(peer, "-k 0 -P")
        wait_for("a complaint", lambda: ours.logged("Too many open files"))
        await_state(ours, "BACKUP")
        await_adverts(lab, lab.hosts[1], 2)
        _limit_descriptors(ours, 1024)
        could_ns = time.time_ns()
        wait_for("it to let go", lambda: lab.holders == (lab.hosts[1],))

        released_ns = lab.addresses.changes[-1].time_ns - could_ns
        assert len(ours.logged("Too many open files")) < 5
        return f"lets go {released_ns / NS_PER_S:.1f} s after it can"


@only_ours
def test_interface_recreated_without_descriptors() -> str:
    """If a recreated interface cannot be opened, the log says so; it is tried again."""
    with Lab(1) as lab:
        [host] = lab.hosts
        ours = host.start(OURS, "-r 1")
        await_rule(lab, host, ours)
        host.delete_interface()
        await_state(ours, "BACKUP")

        _limit_descriptors(ours, 3)
        host.create_interface()
        wait_for("a complaint", lambda: ours.logged("Too many open files"))
        time.sleep(1.5)
        assert ours.state == "BACKUP"
        _limit_descriptors(ours, 1024)
        could_ns = time.time_ns()
        await_rule(lab, host, ours)

        advert = lab.wire.adverts(host.address, could_ns)[0]
        assert len(ours.logged("Too many open files")) < 5
        return f"adverts {(advert.time_ns - could_ns) / NS_PER_S:.1f} s after it can"


TRUE = Path("/bin/true")


@only_ours
@pytest.mark.alone
def test_starved_of_processor_time() -> str:
    """Beside two busy loops on one core, a daemon keeps intervals of 1 s and 100 ms."""
    processor = max(os.sched_getaffinity(0))
    pinned = ("taskset", "-c", str(processor))
    groups = {7: ("-k 0", "-k 50"), 8: ("-b 0 -k 26", "-b 0 -k 30")}
    master_down_ns = {7: 3 * NS_PER_S + 50 * SKEW_NS, 8: 3 * 30 * SKEW_NS}
    with Lab(2) as lab, closing(Heartbeat(pinned, as_daemon=True)) as heartbeat:
        daemons = {}
        for vhid, flags in groups.items():
            for host, words in zip(lab.hosts, flags, strict=True):
                daemon = host.start(
                    *(OURS, words), vhid=vhid, up=TRUE, down=TRUE, before=pinned
                )
                daemons[vhid, host] = daemon
                await_state(daemon, "MASTER" if host is lab.hosts[0] else "BACKUP")

        with busy_loops([processor], 2):
            started_ns = time.time_ns()
            time.sleep(10)

        changes = "0 changes"
        latest: dict[int, float] = {}
        for vhid in groups:
            times_ns = [
                advert.time_ns
                for advert in lab.wire.adverts(lab.hosts[0].address, started_ns)
                if advert.vhid == vhid
            ]
            gaps = list(pairwise(times_ns))
            longest_ns = max(after - before for before, after in gaps)
            latest[vhid] = longest_ns / 1e6
            for before, after in gaps:
                stalled_ns = heartbeat.stalled_ns(before, after)
                assert after - before < master_down_ns[vhid] + stalled_ns
            if longest_ns < master_down_ns[vhid]:
                assert daemons[vhid, lab.hosts[0]].states == STAYED_MASTER
                assert daemons[vhid, lab.hosts[1]].states == STAYED_BACKUP
            else:
                changes = "the machine stood still"
        return f"longest gaps {latest[7]:.0f} and {latest[8]:.0f} ms, {changes}"
