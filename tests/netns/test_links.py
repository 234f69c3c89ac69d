"""Tests changes of cables, interfaces and addresses, and processes that stand still."""

import signal
import time
from pathlib import Path

import pytest

from carppcap.addresses import Address
from tests.netns.lab import Host, Lab, wait_for
from tests.netns.scenes import (
    OURS,
    UCARP,
    all_pairs,
    any_peer,
    any_program,
    await_adverts,
    await_rule,
    await_state,
    mixed_pairs,
    only_ours,
    start_group,
)
from tests.netns.wire import NS_PER_S


@all_pairs
def test_cable_of_the_master(first: str, second: str) -> None:
    """A master without carrier steps down; with it again, it stays backup."""
    with Lab(2) as lab:
        master, backup = start_group(lab, (first, "-k 20"), (second, "-k 20"))

        lab.hosts[0].pull_cable()
        await_state(master, "BACKUP")
        await_rule(lab, lab.hosts[1], backup)
        lab.hosts[0].plug_cable()
        await_adverts(lab, lab.hosts[1], 6)
        # If ucarp is the one to step down, it may look at its link only after 10 s.
        wait_for("one holder", lambda: len(lab.holders) == 1)

        assert master.is_running
        if OURS == first != UCARP:
            await_rule(lab, lab.hosts[1], backup, adverts=4)
            assert master.states == ["BACKUP", "MASTER", "BACKUP"]


@only_ours
@any_peer
def test_cable_of_the_backup(peer: str) -> None:
    """A backup without carrier stays backup, as silence then proves nothing."""
    with Lab(2) as lab:
        master, backup = start_group(lab, (peer, "-k 0"), (OURS, "-r 1 -k 100"))

        lab.hosts[1].pull_cable()
        await_adverts(lab, lab.hosts[0], 5)
        lab.hosts[1].plug_cable()
        await_adverts(lab, lab.hosts[0], 3)

        assert (master.states, backup.states) == (["BACKUP", "MASTER"], ["BACKUP"])


@only_ours
def test_cable_missing_at_start() -> None:
    """A daemon started without carrier becomes master only after the carrier comes.

    It then waits for one master-down interval.
    """
    with Lab(1) as lab:
        [host] = lab.hosts
        host.pull_cable()
        daemon = host.start(OURS, "-r 1 -k 100")
        await_state(daemon, "BACKUP")
        time.sleep(2)  # More than deadratio * advbase + advskew/256 s.
        assert daemon.states == ["BACKUP"]

        plugged_ns = time.time_ns()
        host.plug_cable()
        await_rule(lab, host, daemon)

        claimed_ns = lab.wire.adverts()[0].time_ns
        stalled_ns = lab.stalled_ns(plugged_ns, claimed_ns)
        assert claimed_ns - plugged_ns < 5 * NS_PER_S + stalled_ns


@any_program
def test_carrier_can_be_ignored(program: str) -> None:
    """With -S a master keeps its state without carrier.

    On a crossed cable the carrier goes when the peer is switched off.
    """
    with Lab(1) as lab:
        [host] = lab.hosts
        daemon = host.start(program, "-S -r 1")
        await_rule(lab, host, daemon)

        host.pull_cable()
        time.sleep(3)
        assert daemon.states == ["BACKUP", "MASTER"]

        host.plug_cable()
        await_adverts(lab, host, 2)
        assert daemon.states == ["BACKUP", "MASTER"]


@only_ours
@pytest.mark.parametrize("families", ["4", "6", "46"])
@pytest.mark.parametrize("is_down", [False, True])
def test_interface_missing_at_start(families: str, is_down: bool) -> None:
    """A daemon waits for an interface that is missing or down, and its IPv6 address.

    With -B the command returns meanwhile, so that the boot goes on.
    """
    with Lab(2, families=families) as lab:
        host, other = lab.hosts
        if is_down:
            host.link_down()
        else:
            host.delete_interface()
        own = [address for address in host.addresses if ":" not in address]
        pid = lab.directory / "pid"
        flags = f"-B -z -n -r 2 --pidfile {pid}"
        starting = host.start(OURS, flags, sources=own)
        assert starting.wait() == 0
        assert starting.logged("eth0 is down" if is_down else "eth0 is not there yet")
        backup = other.start(OURS, "-k 100")
        await_rule(lab, other, backup)

        if is_down:
            host.link_up()
        else:
            host.create_interface()
        host.run("kill", "-USR2", pid.read_text().strip())
        backup.signal(signal.SIGUSR2)
        wait_for("the address on it", lambda: lab.holders == (host,))
        assert Path(f"/proc/{pid.read_text().strip()}/cwd").readlink() == Path("/")
        host.run("kill", pid.read_text().strip())
        await_rule(lab, other, backup)
        wait_for("its end", lambda: not pid.exists())


@only_ours
def test_interface_that_never_comes() -> None:
    """A daemon that waits for an interface, e.g. a misspelt one, ends on SIGTERM."""
    with Lab(1, families="6") as lab:
        [host] = lab.hosts
        daemon = host.start(OURS, "-z -i eht0", sources=[])
        wait_for("a line", lambda: daemon.logged("eht0 is not there yet: waiting for"))
        daemon.signal(signal.SIGUSR1)
        wait_for("its state", lambda: daemon.logged("BACKUP on eht0 id 7"))
        daemon.signal(signal.SIGTERM)

        assert daemon.wait() == 0
        assert daemon.states == ["BACKUP", "INIT"]


@only_ours
@any_peer
def test_interface_set_down_and_up(peer: str) -> None:
    """If its interface is set down, carppcap steps down, and returns when it is up.

    ucarp would end.
    """
    with Lab(2) as lab:
        master, backup = start_group(lab, (OURS, "-k 0 -P"), (peer, "-k 100"))

        lab.hosts[0].link_down()
        await_state(master, "BACKUP")
        await_rule(lab, lab.hosts[1], backup)
        lab.hosts[0].link_up()

        await_rule(lab, lab.hosts[0], master)
        await_state(backup, "BACKUP")


@only_ours
@any_peer
def test_interface_removed_and_made_again(peer: str) -> None:
    """A new interface of the same name is used, although it has another index."""
    with Lab(2) as lab:
        master, backup = start_group(lab, (OURS, "-k 0 -P"), (peer, "-k 100"))

        lab.hosts[0].delete_interface()
        await_state(master, "BACKUP")
        await_rule(lab, lab.hosts[1], backup)
        lab.hosts[0].create_interface()

        await_rule(lab, lab.hosts[0], master)
        await_state(backup, "BACKUP")


@only_ours
@pytest.mark.parametrize("flags", ["-P", "-P --vmac"])
def test_interface_of_the_master_is_renamed(flags: str) -> None:
    """A master goes on with a renamed interface, as its addresses are there."""
    with Lab(2) as lab:
        members = [(OURS, f"{flags} -z -k {skew}") for skew in (0, 100)]
        master, backup = start_group(lab, *members)
        host, other = lab.hosts

        host.run("ip", "link", "set", "eth0", "name", "wan0")
        wait_for("a word about it", lambda: master.logged("eth0 was renamed to wan0"))
        await_rule(lab, host, master, adverts=4)
        master.signal(signal.SIGUSR2)
        await_rule(lab, other, backup)
        await_rule(lab, host, master)
        master.signal(signal.SIGTERM)
        assert master.wait() == 0

        await_rule(lab, other, backup)
        assert master.logged(f"{lab.down} wan0 {lab.vip}")


@any_program
def test_alias(program: str) -> None:
    """An alias such as eth0:1 works; scripts get its name as it was given."""
    with Lab(1) as lab:
        [host] = lab.hosts
        daemon = host.start(program, "-i eth0:1 -r 1 -k 100")
        await_rule(lab, host, daemon)

        assert daemon.logged(f"Spawning [{lab.up} eth0:1 {lab.vip}]")


@only_ours
@any_peer
def test_address_removed_and_added_again(peer: str) -> None:
    """A host without its own address steps down; with it, it takes part again."""
    with Lab(2) as lab:
        master, backup = start_group(lab, (OURS, "-k 0 -P"), (peer, "-k 100"))

        lab.hosts[0].delete_address()
        await_state(master, "BACKUP")
        await_rule(lab, lab.hosts[1], backup)
        lab.hosts[0].add_address()

        await_rule(lab, lab.hosts[0], master)
        await_state(backup, "BACKUP")


@only_ours
@any_peer
def test_backup_that_stood_still(peer: str) -> None:
    """A backup that stood still reads queued adverts first, and so stays backup."""
    with Lab(2) as lab:
        _, backup = start_group(lab, (peer, "-k 0"), (OURS, "-k 50"))

        backup.signal(signal.SIGSTOP)
        await_adverts(lab, lab.hosts[0], 6)
        backup.signal(signal.SIGCONT)
        await_adverts(lab, lab.hosts[0], 3)

        assert backup.states == ["BACKUP"]


@mixed_pairs
def test_master_that_stood_still(first: str, second: str) -> None:
    """A master that stood still is the better one, so its successor yields to it."""
    with Lab(2) as lab:
        master, backup = start_group(lab, (first, "-k 0"), (second, "-k 50"))

        master.signal(signal.SIGSTOP)
        await_state(backup, "MASTER")
        await_adverts(lab, lab.hosts[1], 2)
        master.signal(signal.SIGCONT)
        await_rule(lab, lab.hosts[0], master, adverts=4)

        assert backup.state == "BACKUP"


@only_ours
def test_address_of_the_master_is_taken_away() -> None:
    """If the address is deleted by hand, the master adds it again and logs that."""
    with Lab(1) as lab:
        [host] = lab.hosts
        daemon = host.start(OURS, "-r 1 -k 100")
        await_rule(lab, host, daemon)

        # Not by `ip address flush`, which looks again and may delete the new one, too.
        host.run("ip", "address", "delete", f"{lab.vip}/32", "dev", "eth0")
        wait_for("a word about it", lambda: daemon.logged("adding it again"))
        wait_for("the address back", lambda: lab.holders == (host,))

        assert daemon.states == ["BACKUP", "MASTER"]


def check_for_duplicates(host: Host) -> None:
    """Let the kernel check new IPv6 addresses for duplicates, as it does by default."""
    for name in ("accept_dad", "dad_transmits"):
        host.run("sysctl", "-qw", f"net.ipv6.conf.eth0.{name}=1")


def without_nodad(lab: Lab) -> Path:
    """Write an up script without `nodad`, so that the kernel looks for duplicates.

    Return its path.  It exits with 0 even if the address then proves a duplicate.
    """
    script = lab.directory / "checked.sh"
    script.write_text(f'#!/bin/sh\nip address replace {lab.vip}/128 dev "$1"\n')
    script.chmod(0o755)
    return script


def is_answered(host: Host) -> bool:
    shown = host.run("ip", "-6", "address", "show", "dev", "eth0").stdout
    lines = [line for line in shown.splitlines() if f"{host.lab.vip}/128" in line]
    return any("tentative" not in line and "dadfailed" not in line for line in lines)


@only_ours
def test_another_host_is_slow_to_let_go() -> None:
    """A master whose address is a duplicate adds it until the kernel answers for it.

    Another host has the address too at first, and removes it late.
    """
    with Lab(2, families="6") as lab:
        host, other = lab.hosts
        check_for_duplicates(host)
        address = (f"{lab.vip}/128", "dev", "eth0")
        other.run("ip", "address", "add", *address, "nodad")
        daemon = host.start(OURS, "-r 1", up=without_nodad(lab))
        wait_for("a word about it", lambda: daemon.logged("Duplicate address"))
        other.run("ip", "address", "delete", *address)

        await_rule(lab, host, daemon)
        wait_for("an answer for it", lambda: is_answered(host))
        answered_ns = time.time_ns() - NS_PER_S

        def announced() -> bool:
            heard = lab.wire.neighbours(answered_ns)
            return any(one.is_announcement for one in heard)

        wait_for("an announcement", announced)
        assert daemon.logged("nodad")
        assert daemon.states == ["BACKUP", "MASTER"]


@only_ours
def test_another_host_keeps_the_address() -> None:
    """A master whose address stays a duplicate steps aside."""
    with Lab(2, families="6") as lab:
        host, other = lab.hosts
        check_for_duplicates(host)
        other.run("ip", "address", "add", f"{lab.vip}/128", "dev", "eth0", "nodad")
        daemon = host.start(OURS, "-r 1", up=without_nodad(lab))

        wait_for("that it steps aside", lambda: daemon.logged("(address_failed)"))
        assert len(daemon.logged("nodad")) >= 2
        assert not is_answered(host)


@any_program
def test_queue_of_the_interface_is_full(program: str) -> None:
    """After three ENOBUFS the advskew is 240, until three adverts have been sent."""
    with Lab(1) as lab:
        [host] = lab.hosts
        daemon = host.start(program, "-k 20")
        await_rule(lab, host, daemon)

        host.run("tc", "qdisc", "add", "dev", "eth0", "root", "bfifo", "limit", "1")
        wait_for("a failure", lambda: daemon.logged("No buffer space available"))
        time.sleep(5)  # at least three intervals of 1.08 s
        host.run("tc", "qdisc", "del", "dev", "eth0", "root")
        freed_ns = time.time_ns()
        await_adverts(lab, host, 6)

        skews = [advert.advskew for advert in lab.wire.adverts(since_ns=freed_ns)]
        assert skews[:6] == [240, 240, 240, 20, 20, 20]
        assert daemon.states == ["BACKUP", "MASTER"]


@only_ours
def test_another_mac_of_the_master() -> None:
    """A master whose MAC changes announces its addresses before the next advert.

    The MAC changes so in the fail-over of a bond.
    """
    with Lab(2, families="46") as lab:
        one, client = lab.hosts
        master = one.start(OURS, "-b 5 -r 1")
        await_rule(lab, one, master)
        for vip in lab.vips:
            client.run("ping", "-n", "-c", "1", "-W", "5", vip)

        changed_ns = time.time_ns()
        one.run("ip", "link", "set", "eth0", "address", "02:00:00:00:00:99")
        mac = bytes.fromhex("020000000099")
        wait_for("an announcement", lambda: lab.wire.announcements(mac, changed_ns))

        entries = client.run("ip", "neighbour", "show", "dev", "eth0").stdout
        learnt = {
            line.split()[0] for line in entries.splitlines() if mac.hex(":") in line
        }
        assert set(lab.vips) <= learnt
        assert (
            lab.wire.announcements(mac, changed_ns)[0].time_ns - changed_ns < NS_PER_S
        )


@only_ours
def test_another_card_without_a_source_given() -> None:
    """Adverts come from the link-local address of the present card."""
    with Lab(1, families="6") as lab:
        [host] = lab.hosts
        daemon = host.start(OURS, "-r 1", sources=())
        await_state(daemon, "MASTER")
        wait_for("an advert", lab.wire.adverts)
        first = lab.wire.adverts()[0].source

        host.delete_interface()
        await_state(daemon, "BACKUP")
        host.mac = bytes.fromhex("020000000099")
        host.create_interface()

        [new] = wait_for("adverts of another source", lambda: _sources(lab) - {first})
        assert first.is_link_local
        assert str(new) == "fe80::ff:fe00:99"
        assert daemon.logged(f"Using [{new}] as IPv6 source address on eth0")


def _sources(lab: Lab) -> set[Address]:
    return {advert.source for advert in lab.wire.adverts()}
