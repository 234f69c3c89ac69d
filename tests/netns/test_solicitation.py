"""Tests groups whose hosts do not receive multicast, while broadcast passes."""

import signal
import time

import pytest

from tests.netns.lab import Host, Lab, wait_for
from tests.netns.scenes import OURS, start_group
from tests.netns.wire import NS_PER_S, Advert

BROADCAST = b"\xff" * 6
SOLICITATION = 3
HEARD, ASKED = "arrive by broadcast only", "hears no adverts of this master"


def _copies(lab: Lab, sender: Host, since_ns: int) -> list[Advert]:
    """Return the adverts that `sender` sent to a single host, in broadcast frames."""
    return [
        packet
        for address in sender.addresses
        for packet in lab.wire.adverts(address, since_ns)
        if packet.ethernet_destination == BROADCAST and packet.type == 1
    ]


def _await_silence(lab: Lab, sender: Host, adverts: int) -> None:
    """Wait until `sender` has sent as many adverts, far more than a take-over needs."""
    since_ns = time.time_ns()
    wait_for(
        f"{adverts} adverts",
        lambda: len(lab.wire.adverts(sender.address, since_ns)) >= adverts,
    )


@pytest.mark.parametrize("families", ["4", "6", "46"])
@pytest.mark.parametrize("which", ["backup", "all"])
def test_no_second_holder(families: str, which: str) -> None:
    """The backup goes on hearing its master; the farewell hands over at once."""
    with Lab(2, families=families) as lab:
        one, other = lab.hosts
        master, backup = start_group(lab, (OURS, "-k 0 -z"), (OURS, "-k 50 -z"))
        since_ns = time.time_ns()
        for host in lab.hosts if which == "all" else [other]:
            host.forward_multicast(False)

        wait_for("a copy", lambda: _copies(lab, one, since_ns))
        _await_silence(lab, one, 12)
        assert backup.states == ["BACKUP"]
        assert lab.addresses.time_with(2, since_ns) == 0
        assert len(backup.logged(HEARD)) == 1
        assert len(master.logged(ASKED)) == 1

        master.signal(signal.SIGTERM)
        wait_for("the successor", lambda: lab.holders == (other,))
        [claim] = backup.logged("Switching to state: MASTER")
        farewells = [c for c in _copies(lab, one, since_ns) if c.is_farewell]
        assert farewells
        late_ns = claim.time_ns - farewells[0].time_ns
        assert late_ns < NS_PER_S // 5 + lab.stalled_ns(farewells[0].time_ns)


@pytest.mark.parametrize("families", ["4", "6"])
def test_deaf_from_the_start(families: str) -> None:
    """Two hosts that never receive multicast have one master, the better one."""
    with Lab(2, families=families) as lab:
        for host in lab.hosts:
            host.forward_multicast(False)
        worse = lab.hosts[0].start(OURS, "-k 50 -z -P")
        wait_for("a master", lambda: lab.holders == (lab.hosts[0],))
        better = lab.hosts[1].start(OURS, "-k 0 -z -P")
        wait_for("the better one", lambda: lab.holders == (lab.hosts[1],))
        since_ns = time.time_ns()
        _await_silence(lab, lab.hosts[1], 8)

        assert (worse.state, better.state) == ("BACKUP", "MASTER")
        assert lab.addresses.time_with(2, since_ns) == 0


def test_multicast_that_comes_back() -> None:
    """Copies that arrive beside multicast are no replays, and end after a minute."""
    with Lab(2) as lab:
        one, other = lab.hosts
        _, backup = start_group(lab, (OURS, "-k 0 -z"), (OURS, "-k 50 -z"))
        since_ns = time.time_ns()
        other.forward_multicast(False)
        wait_for("a copy", lambda: _copies(lab, one, since_ns))
        other.forward_multicast(True)
        asked_ns = _copies(lab, one, since_ns)[0].time_ns

        def is_over() -> bool:
            return not _copies(lab, one, time.time_ns() - 3 * NS_PER_S)

        wait_for("the end of the copies", is_over, timeout_s=80)
        last_ns = _copies(lab, one, since_ns)[-1].time_ns
        assert 55 * NS_PER_S < last_ns - asked_ns < 65 * NS_PER_S
        assert backup.states == ["BACKUP"]
        assert backup.logged("Replay") == []
        assert len(backup.logged(HEARD)) <= 1


def test_ucarp_in_the_group_says_nothing() -> None:
    """To a ucarp a question is no advert, and it logs no wrong digest."""
    with Lab(3) as lab:
        one, other, third = lab.hosts
        master, backup, ucarp = start_group(
            lab, (OURS, "-k 0 -z"), (OURS, "-k 50 -z"), ("ucarp", "-k 100")
        )
        since_ns = time.time_ns()
        other.forward_multicast(False)
        wait_for("a copy", lambda: _copies(lab, one, since_ns))
        _await_silence(lab, one, 6)

        assert (backup.states, ucarp.states) == (["BACKUP"], ["BACKUP"])
        assert ucarp.logged("Bad digest") == []
        assert lab.addresses.time_with(2, since_ns) == 0
        one.power_off()
        wait_for("the successor", lambda: lab.holders == (other,))
        third.forward_multicast(True)
        assert master.logged("Bad digest") == []
