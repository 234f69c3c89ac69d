"""Own addresses: whatever ends the daemon, its host lets go of them in time."""

import json
import os
import signal
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.netns.daemons import Daemon
from tests.netns.faults import keeper_of
from tests.netns.lab import VIP, Host, Lab, wait_for
from tests.netns.scenes import OURS, await_adverts, await_rule, await_state, only_ours
from tests.netns.wire import NS_PER_S

pytestmark = [only_ours]

NS_PER_MS = 1_000_000
OWN = "--own-addresses"
VMAC = pytest.param(
    "--vmac",
    marks=pytest.mark.skipif(find_spec("pyroute2") is None, reason="needs pyroute2"),
)

each_way = pytest.mark.parametrize("more", ["", VMAC])
"""On the interface itself, and on one with the virtual MAC."""


def _pair(lab: Lab, more: str = "", up: Path | None = None) -> tuple[Daemon, Daemon]:
    """A master on the first host, with `up` as its script, and a backup."""
    one, other = lab.hosts[:2]
    master = one.start(OURS, f"{OWN} {more} -k 0", scripts=up is not None, up=up)
    await_rule(lab, one, master)
    backup = other.start(OURS, f"{OWN} {more} -k 50", scripts=False)
    await_state(backup, "BACKUP")
    await_adverts(lab, one, 2)
    return master, backup


def _instances(host: Host) -> list[tuple[str, int, bool]]:
    """(address, prefix, whether it has a lifetime) of each virtual one of a host."""
    links = json.loads(host.run("ip", "-j", "address", "show").stdout)
    return [
        (one["local"], one["prefixlen"], one["valid_life_time"] < 100)
        for link in links
        for one in link.get("addr_info", ())
        if one.get("local") in host.lab.vips
    ]


@each_way
@pytest.mark.parametrize("families", ["4", "6", "46"])
def test_killed_daemon(families: str, more: str) -> str:
    """The keeper lets go and says farewell: a successor in some ten milliseconds."""
    with Lab(2, families=families) as lab:
        master, _ = _pair(lab, more)

        killed_ns = master.kill()
        wait_for("a successor", lambda: lab.hosts[1].holds_all)

        taken_ns = max(change.time_ns for change in lab.addresses.changes)
        late_ns = taken_ns - killed_ns - lab.stalled_ns(killed_ns)
        assert lab.addresses.time_with(2) == 0
        assert late_ns < 100 * NS_PER_MS
        return f"successor after {late_ns // NS_PER_MS} ms"


@each_way
def test_killed_keeper(more: str) -> None:
    """Another one is made, nothing else happens, and it is as good as the first."""
    with Lab(2) as lab:
        master, backup = _pair(lab, more)

        killed_ns = time.time_ns()
        first = keeper_of(master)
        os.kill(first, signal.SIGKILL)
        await_adverts(lab, lab.hosts[0], 4)

        assert keeper_of(master) != first
        assert lab.addresses.time_with(1, killed_ns) >= 3 * NS_PER_S
        assert lab.addresses.time_with(0, killed_ns) <= lab.stalled_ns(killed_ns)
        assert (master.states, backup.states) == (["BACKUP", "MASTER"], ["BACKUP"])

        master.kill()
        wait_for("a successor", lambda: lab.holders == (lab.hosts[1],))
        assert lab.addresses.time_with(2) == 0


@each_way
def test_both_killed(more: str) -> None:
    """The lifetime ends before a peer takes over."""
    with Lab(2, families="46") as lab:
        master, _ = _pair(lab, more)

        keeper = keeper_of(master)
        os.kill(keeper, signal.SIGSTOP)
        master.kill()
        os.kill(keeper, signal.SIGKILL)
        wait_for("a successor", lambda: lab.hosts[1].holds_all)

        for vip in lab.vips:
            assert lab.addresses.time_with(2, address=vip) == 0


def test_stopped_and_continued() -> None:
    """A daemon that is stopped has no address; once it goes on it takes it again."""
    with Lab(2) as lab:
        one, other = lab.hosts
        notes = lab.directory / "notes"
        master, _ = _pair(lab, up=lab.script("up", notes=notes))
        assert len(notes.read_text().splitlines()) == 1

        stopped_ns = time.time_ns()
        master.signal(signal.SIGSTOP)
        wait_for("its successor", lambda: lab.holders == (other,))
        await_adverts(lab, other, 2)
        assert lab.addresses.time_with(2, stopped_ns) == 0

        went_on_ns = time.time_ns()
        master.signal(signal.SIGCONT)
        await_rule(lab, one, master)
        wait_for("the script", lambda: len(notes.read_text().splitlines()) == 2)
        assert lab.addresses.time_with(2, went_on_ns) < 100 * NS_PER_MS


def test_continued_beside_a_preferred_master() -> None:
    """It reads before it takes: the address is not its own any more."""
    with Lab(2) as lab:
        one, other = lab.hosts
        master = one.start(OURS, f"{OWN} -k 50", scripts=False)
        await_rule(lab, one, master)
        backup = other.start(OURS, f"{OWN} -k 10", scripts=False)
        await_state(backup, "BACKUP")
        await_adverts(lab, one, 2)

        master.signal(signal.SIGSTOP)
        wait_for("its successor", lambda: lab.holders == (other,))
        await_adverts(lab, other, 2)
        master.signal(signal.SIGCONT)
        await_state(master, "BACKUP")
        await_adverts(lab, other, 2)

        assert lab.addresses.time_with(2) == 0


@pytest.mark.parametrize(
    ("who", "skew"), [("daemon", 0), ("daemon", 254), ("keeper", 0)]
)
def test_stall_of_half_a_second(who: str, skew: int) -> None:
    """It costs nothing, at any moment between two adverts, be they 2 s apart."""
    with Lab(1) as lab:
        [host] = lab.hosts
        master = host.start(OURS, f"{OWN} -k {skew}", scripts=False)
        await_rule(lab, host, master)
        pid = master.pid if who == "daemon" else keeper_of(master)

        began_ns = time.time_ns()
        for _ in range(5):
            os.kill(pid, signal.SIGSTOP)
            # A busy machine adds to it, and with this skew there are only 90 ms left.
            time.sleep(0.4 if skew else 0.5)
            os.kill(pid, signal.SIGCONT)
            # Each stop puts off the next advert by its whole length: select(2) then
            # goes on for the rest of its timeout.
            time.sleep(2.2 if skew else 1.2)

        assert lab.addresses.time_with(0, began_ns) == 0
        assert master.states == ["BACKUP", "MASTER"]


def _script(lab: Lab, name: str, *commands: str) -> Path:
    path = lab.directory / name
    path.write_text("#!/bin/sh\n" + "\n".join(commands) + "\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("families", ["4", "6"])
@pytest.mark.parametrize("prefix", ["same", "other"])
def test_up_script_that_sets_the_address(families: str, prefix: str) -> None:
    """Ours keeps its lifetime; one of another prefix is named and removed."""
    with Lab(2, families=families) as lab:
        one = lab.hosts[0]
        ours, theirs = {"4": (32, 24), "6": (128, 64)}[families]
        length = ours if prefix == "same" else theirs
        command = f"ip address replace {lab.vip}/{length} dev eth0"
        up = _script(lab, "sets", command, "touch $0.done")
        master, _ = _pair(lab, up=up)
        wait_for("the script", Path(f"{up}.done").exists)

        wanted = [(lab.vip, ours, True)]
        wait_for("order", lambda: _instances(one) == wanted)
        named = master.logged(f"Removing {lab.vip}/{length} from eth0")
        # An address is on an interface only once in IPv6, with its first prefix.
        assert len(named) == (prefix == "other" and families == "4")

        master.kill()
        wait_for("a successor", lambda: lab.holders == (lab.hosts[1],))
        assert lab.addresses.time_with(2) == 0


def test_removed_by_hand() -> None:
    """It is set again, and the log says so once."""
    with Lab(1, families="46") as lab:
        [host] = lab.hosts
        master = host.start(OURS, OWN, scripts=False)
        await_rule(lab, host, master)

        host.run("ip", "address", "delete", f"{VIP}/32", "dev", "eth0")
        await_adverts(lab, host, 2)

        assert host.holds_all
        assert len(master.logged("was removed while this host is master")) == 1
        assert master.states == ["BACKUP", "MASTER"]


def test_what_is_there_at_the_start() -> None:
    """What has a lifetime is of a crash and removed; the rest is named until then."""
    with Lab(1) as lab:
        [host] = lab.hosts
        host.run(
            *("ip", "address", "add", f"{VIP}/32", "dev", "eth0"),
            *("valid_lft", "90", "preferred_lft", "90"),
        )
        host.run("ip", "address", "add", f"{VIP}/24", "dev", "lo")

        master = host.start(OURS, f"{OWN} -n -r 6", scripts=False)
        await_state(master, "BACKUP")
        wait_for("a remark", lambda: master.logged(f"{VIP}/24 is on lo, although"))
        assert _instances(host) == [(VIP, 24, False)]
        assert master.logged(f"Removed {VIP}/32 from eth0")

        await_state(master, "MASTER")
        wait_for("order", lambda: _instances(host) == [(VIP, 32, True)])
        assert master.logged(f"Removing {VIP}/24 from lo")


def test_start_after_a_crash() -> None:
    """Daemon and keeper killed, and started again at once: no time with two."""
    with Lab(2) as lab:
        one, other = lab.hosts
        master, backup = _pair(lab)
        keeper = keeper_of(master)
        os.kill(keeper, signal.SIGSTOP)
        master.kill()
        os.kill(keeper, signal.SIGKILL)

        again = one.start(OURS, f"{OWN} -n -k 60", scripts=False)
        await_rule(lab, other, backup)
        assert again.states == ["BACKUP"]
        assert lab.addresses.time_with(2) == 0


@pytest.mark.parametrize("how", ["alone", "--peer", "-S"])
def test_last_living_host(how: str) -> None:
    """It never loses its address because its peers are gone."""
    with Lab(2) as lab:
        one, other = lab.hosts
        flags = {"alone": "", "--peer": f"--peer {other.address}", "-S": "-S"}[how]
        if how != "-S":
            other.power_off()
        master = one.start(OURS, f"{OWN} {flags}", scripts=False)
        wait_for("a master", lambda: one.holds_all)

        began_ns = time.time_ns()
        if how == "-S":
            one.pull_cable()
        time.sleep(8)

        assert lab.addresses.time_with(0, began_ns) == 0
        assert master.states == ["BACKUP", "MASTER"]


def test_gentle_stop() -> None:
    """Down script while adverts go on, then the address, then the farewell."""
    with Lab(2) as lab:
        one, other = lab.hosts
        down = _script(lab, "slow", "sleep 3", "ip address show >$0.seen")
        master = one.start(OURS, f"{OWN} -z -n", down=down)
        await_rule(lab, one, master)
        backup = other.start(OURS, f"{OWN} -k 50", scripts=False)
        await_state(backup, "BACKUP")
        await_adverts(lab, one, 2)

        master.signal(signal.SIGTERM)
        assert master.wait() == 0
        ended_ns = time.time_ns()
        await_rule(lab, other, backup)

        assert VIP in Path(f"{down}.seen").read_text()
        assert lab.addresses.time_with(2) == 0
        assert lab.addresses.time_with(0, ended_ns) < NS_PER_S
        assert lab.wire.adverts(one.address)[-1].is_farewell


@each_way
def test_slow_down_script_of_one_that_yields(more: str) -> None:
    """The address goes first, however long the script takes."""
    with Lab(2) as lab:
        one, other = lab.hosts
        down = lab.script("down", sleep_s=4)
        master = one.start(OURS, f"{OWN} {more} -n -k 50", down=down)
        await_rule(lab, one, master)
        joined_ns = time.time_ns()
        preferred = other.start(OURS, f"{OWN} {more} -P -k 0", scripts=False)
        await_rule(lab, other, preferred)

        assert lab.addresses.time_with(2, joined_ns) < 100 * NS_PER_MS
