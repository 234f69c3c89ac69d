"""Tests faults of a host that holds the address itself: never a second holder."""

import os
import signal
import time
from contextlib import closing
from itertools import pairwise

import pytest

from tests.netns.faults import crowd, hold_lock, keeper_of, limit_memory
from tests.netns.heartbeat import Heartbeat
from tests.netns.lab import Lab, wait_for
from tests.netns.planted import HANG, LEAK, PLANTED
from tests.netns.scenes import (
    OURS,
    UCARP,
    await_adverts,
    await_rule,
    await_state,
    only_ours,
    start_group,
)
from tests.netns.test_faults_host import needs_faketime, with_clock
from tests.netns.wire import NS_PER_S

pytestmark = only_ours

OWN = "--own-addresses"
PAIR = ((OURS, f"{OWN} -k 0"), (OURS, f"{OWN} -k 50"))
NS_PER_MS = 1_000_000


def _ms(interval_ns: int) -> str:
    return f"{interval_ns / NS_PER_MS:.0f} ms"


def _released(lab: Lab, since_ns: int) -> str:
    """Wait until the second host alone has the address; return what was measured."""
    wait_for("a successor", lambda: lab.holders == (lab.hosts[1],))
    two_ns = lab.addresses.time_with(2, since_ns)
    none_ns = lab.addresses.time_with(0, since_ns)
    assert two_ns == 0
    return f"two holders for 0 ms, none for {_ms(none_ns)}"


def test_hang() -> str:
    """A daemon whose loop hangs loses the address before a peer takes it."""
    with Lab(2) as lab:
        master, _ = start_group(lab, *PAIR, before=PLANTED)

        hung_ns = time.time_ns()
        master.signal(HANG)
        figure = _released(lab, hung_ns)

        assert master.is_running
        assert not lab.wire.adverts(lab.hosts[0].address, hung_ns)
        return figure


def test_leak() -> str:
    """A daemon that reaches its limit of memory lets go at once, with a farewell."""
    with Lab(2) as lab:
        # The measuring of coverage takes memory whenever code runs for the first time.
        plain = ("env", "-u", "COVERAGE_PROCESS_CONFIG", *PLANTED)
        master, _ = start_group(lab, *PAIR, before=plain)

        limit_memory(master.pid, 8 << 20)
        leaking_ns = time.time_ns()
        master.signal(LEAK)
        figure = _released(lab, leaking_ns)

        assert master.wait() != 0
        assert lab.wire.adverts(lab.hosts[0].address)[-1].is_farewell
        return figure


@needs_faketime
@pytest.mark.parametrize("preempts", [False, True])
def test_clock_back_over_a_crash(preempts: bool) -> str:
    """A daemon killed, and started again an hour earlier, makes no second holder."""
    with Lab(2) as lab:
        one, other = lab.hosts
        clock = lab.directory / "clock"
        words = with_clock(clock)
        master, backup = start_group(lab, *PAIR)

        killed_ns = time.time_ns()
        master.kill()
        clock.write_text("-3600\n")
        flags = f"{OWN} -k 0 {'-P' if preempts else ''}"
        again = one.start(OURS, flags, before=words)
        wait_for("a successor", lambda: lab.holders == (other,))
        if preempts:
            await_rule(lab, one, again)
            await_state(backup, "BACKUP")
        await_adverts(lab, one if preempts else other, 3)

        two_ns = lab.addresses.time_with(2, killed_ns)
        # One that preempts has the address as soon as its first advert has left.
        assert two_ns < (100 * NS_PER_MS if preempts else 1)
        return f"two holders for {_ms(two_ns)}"


def test_frozen_with_its_keeper() -> str:
    """With daemon and keeper stopped, the kernel removes the address in time."""
    with Lab(2) as lab:
        one, other = lab.hosts
        master, backup = start_group(lab, *PAIR)
        pids = (keeper_of(master), master.pid)

        frozen_ns = time.time_ns()
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        figure = _released(lab, frozen_ns)
        await_adverts(lab, other, 2)
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        await_rule(lab, one, master)
        await_state(backup, "BACKUP")

        assert lab.addresses.time_with(2, frozen_ns) < 100 * NS_PER_MS
        return figure


@pytest.mark.parametrize("how", ["daemon killed", "both killed"])
def test_strangers_as_peers(how: str) -> str:
    """Beside ucarp and a kernel the host lets go, too, before one of them takes."""
    with Lab(3) as lab:
        third = lab.hosts[2]
        master, *_ = start_group(lab, PAIR[0], (UCARP, "-k 100"), ("freebsd", "-k 50"))
        keeper = keeper_of(master)

        killed_ns = time.time_ns()
        if how == "both killed":
            os.kill(keeper, signal.SIGSTOP)
        master.kill()
        if how == "both killed":
            os.kill(keeper, signal.SIGKILL)
        await_adverts(lab, third, 3)
        wait_for("a successor", lambda: lab.holders == (third,))

        periods = lab.addresses.periods(killed_ns)
        assert not [each for each in periods if {"host1"} < set(each.holders)]
        # A ucarp that has heard a farewell takes over, although another has.
        two_ns = lab.addresses.time_with(2, killed_ns)
        return f"this host and another hold it for 0 ms, two others {_ms(two_ns)}"


@pytest.mark.alone
def test_lock_of_the_kernel() -> str:
    """While another program holds the kernel's lock, adverts keep their pace."""
    # Where the kernel works without a break, no process runs, not even in real time.
    pinned = ("taskset", "-c", str(min(os.sched_getaffinity(0))))
    with (
        Lab(2) as lab,
        crowd() as namespace,
        closing(Heartbeat(pinned, as_daemon=True)) as heartbeat,
    ):
        one = lab.hosts[0]
        master, backup = start_group(lab, *PAIR, before=pinned)

        locked_ns = time.time_ns()
        held_ns = hold_lock(lab, namespace)
        await_adverts(lab, one, 3)

        sent_ns = [
            advert.time_ns for advert in lab.wire.adverts(one.address, locked_ns)
        ]
        gap_ns = max(
            after_ns - before_ns - heartbeat.stalled_ns(before_ns, after_ns)
            for before_ns, after_ns in pairwise(sent_ns)
        )
        assert held_ns > NS_PER_S
        assert gap_ns < 1.5 * NS_PER_S
        none_ns = lab.addresses.time_with(0, locked_ns)
        if heartbeat.stalled_ns(locked_ns) < NS_PER_S:
            assert (master.states, backup.states) == (["BACKUP", "MASTER"], ["BACKUP"])
            assert lab.addresses.time_with(2) == 0
        return (
            f"lock held for {held_ns / NS_PER_S:.1f} s: longest gap between adverts "
            f"{gap_ns / NS_PER_S:.2f} s, no holder for {_ms(none_ns)}"
        )


@pytest.mark.alone
def test_killed_while_the_kernel_is_locked() -> str:
    """The keeper waits for the lock, and says farewell only after it has let go."""
    with Lab(2) as lab, crowd() as namespace:
        master, _ = start_group(lab, *PAIR)

        locked_ns = time.time_ns()
        namespace.close()
        time.sleep(0.2)
        master.kill()
        return _released(lab, locked_ns)
