"""Tests which adverts a daemon accepts: passwords, vhids, groups, its own echo."""

import signal
import socket
import time
from contextlib import closing
from ipaddress import ip_address
from itertools import count
from struct import pack

import pytest

from tests.builders import config, frame, payload
from tests.netns.daemons import Daemon, LogLine
from tests.netns.lab import VHID, Host, Lab, wait_for
from tests.netns.scenes import (
    OURS,
    all_pairs,
    any_program,
    await_adverts,
    await_rule,
    await_state,
    mixed_pairs,
    only_ours,
    start_group,
)

BROADCAST = b"\xff" * 6
SHARED = {"4": "10.9.0.1", "6": "fd09::1"}
"""The address of two hosts that are clones of each other."""

OTHER_GROUP = "224.0.0.19"
OTHER_GROUP_MAC = bytes.fromhex("01005e000013")


def _await_two_masters(lab: Lab) -> None:
    for host in lab.hosts:
        await_state(host.daemons[0], "MASTER")
    for host in lab.hosts:
        await_adverts(lab, host, 3)
    assert len(lab.holders) == len(lab.hosts)
    for host in lab.hosts:
        assert host.daemons[0].states == ["BACKUP", "MASTER"]


@mixed_pairs
def test_wrong_password_makes_two_masters(first: str, second: str) -> None:
    """Hosts with different passwords refuse each other's adverts, and log that."""
    with Lab(2) as lab:
        lab.hosts[0].start(first, "-k 0", password="love")
        lab.hosts[1].start(second, "-k 100", password="hate")

        _await_two_masters(lab)

        for host in lab.hosts:
            complaint = host.daemons[0].logged("Bad digest - md2=[")[0]
            assert "Check vhid, password and virtual IP address" in complaint.text


@mixed_pairs
@pytest.mark.parametrize(
    "content",
    [b"love\r\n", b"\xef\xbb\xbflove", b" love \nhate\n"],
    ids=["carriage return", "byte order mark", "blanks"],
)
def test_passfile_is_read_byte_for_byte(
    first: str, second: str, content: bytes
) -> None:
    """Both programs read the same key from a file, whatever an editor left in it."""
    with Lab(2) as lab:
        passfile = lab.directory / "vip.pwd"
        passfile.write_bytes(content)

        master, backup = start_group(
            lab, (first, f"-o {passfile}"), (second, f"-o {passfile} -k 100 -r 1")
        )
        await_adverts(lab, lab.hosts[0], 3)

        assert (master.state, backup.states) == ("MASTER", ["BACKUP"])
        assert not backup.logged("Bad digest")


@only_ours
def test_a_change_of_password_loses_no_advert() -> None:
    """Add the new one as second line, swap the lines, remove the second one.

    Host by host, each of which is started again: none refuses an advert, and there is
    one master throughout.
    """
    with Lab(2) as lab:
        passfiles = [lab.directory / f"{host.name}.pwd" for host in lab.hosts]
        for passfile in passfiles:
            passfile.write_bytes(b"old\n")
        given = [f"-k 0 -z -o {passfiles[0]}", f"-k 100 -z -o {passfiles[1]}"]
        daemons = start_group(lab, (OURS, given[0]), (OURS, given[1]))

        for content in (b"old\nnew\n", b"new\nold\n", b"new\n"):
            for number in (1, 0):
                passfiles[number].write_bytes(content)
                daemons[number].signal(signal.SIGTERM)
                assert daemons[number].wait() == 0
                other = 1 - number
                await_rule(lab, lab.hosts[other], daemons[other])
                daemons[number] = lab.hosts[number].start(OURS, given[number])
                await_state(daemons[number], "BACKUP")
                await_adverts(lab, lab.hosts[other], 2)

        assert lab.addresses.time_with(2) == 0
        every = [daemon for host in lab.hosts for daemon in host.daemons]
        assert not any(daemon.logged("Bad digest") for daemon in every)
        assert any(daemon.logged("signs with the second password") for daemon in every)


@mixed_pairs
def test_wrong_virtual_address_makes_two_masters(first: str, second: str) -> None:
    """Hosts with different virtual addresses log a bad digest, which covers these."""
    with Lab(2) as lab:
        lab.hosts[0].start(first, "-k 0")
        lab.hosts[1].start(second, "-k 100 -a 10.9.0.101")

        for host in lab.hosts:
            await_state(host.daemons[0], "MASTER")
            await_adverts(lab, host, 3)

        for host in lab.hosts:
            assert host.daemons[0].logged("Bad digest - md2=[")


@mixed_pairs
def test_other_vhid_is_another_group(first: str, second: str) -> None:
    """Hosts with different vhids do not disturb each other, and log no bad digest."""
    with Lab(2) as lab:
        lab.hosts[0].start(first, "-k 0", vhid=7)
        lab.hosts[1].start(second, "-k 100", vhid=8)

        _await_two_masters(lab)

        for host in lab.hosts:
            assert host.daemons[0].logged("Bad digest") == []


@all_pairs
def test_without_multicast_frames_are_broadcast(first: str, second: str) -> None:
    """With -M only the Ethernet destination is another; a fail-over works."""
    with Lab(2) as lab:
        _, backup = start_group(lab, (first, "-M"), (second, "-M -k 50"))

        lab.hosts[0].power_off()
        await_rule(lab, lab.hosts[1], backup)

        for advert in lab.wire.adverts():
            assert advert.ethernet_destination == BROADCAST
            assert str(advert.destination) == "224.0.0.18"


@all_pairs
@pytest.mark.parametrize("flag", ["--mcastip=", "--mcast "])
def test_other_multicast_group(first: str, second: str, flag: str) -> None:
    """Both spellings that ucarp has for the option set the multicast group."""
    where = f"{flag}{OTHER_GROUP}"
    with Lab(2) as lab:
        _, backup = start_group(lab, (first, where), (second, f"{where} -k 50"))

        lab.hosts[0].power_off()
        await_rule(lab, lab.hosts[1], backup)

        for advert in lab.wire.adverts():
            assert advert.ethernet_destination == OTHER_GROUP_MAC
            assert str(advert.destination) == OTHER_GROUP


@mixed_pairs
def test_wrong_multicast_group_makes_two_masters(first: str, second: str) -> None:
    """Adverts to another multicast group are ignored, without a bad digest logged."""
    with Lab(2) as lab:
        lab.hosts[0].start(first, "-k 0")
        lab.hosts[1].start(second, f"-k 100 --mcastip={OTHER_GROUP}")

        _await_two_masters(lab)

        for host in lab.hosts:
            assert host.daemons[0].logged("Bad digest") == []


@any_program
def test_own_echo_is_ignored(program: str) -> None:
    """A master does not yield to its own adverts that a bridge returns to it."""
    with Lab(1) as lab:
        [host] = lab.hosts
        host.echo()
        master = host.start(program, "-P")
        await_rule(lab, host, master)

        await_adverts(lab, host, 5)

        assert master.states == ["BACKUP", "MASTER"]
        assert len(lab.wire.announcements()) == 2


@only_ours
@pytest.mark.parametrize("families", ["4", "6"])
def test_a_namesake_is_named(families: str) -> None:
    """Two hosts with the same --srcip are both master, and both log why.

    The echo of a host's own adverts is not reported so.
    """
    own = [SHARED[families]] * 2
    with Lab(2, families=families, addresses=own, addresses6=own) as lab:
        one, other = lab.hosts
        one.echo()
        first = one.start(OURS, "-k 0 -z")
        await_state(first, "MASTER")
        await_adverts(lab, one, 3)
        assert not _named(first)

        second = other.start(OURS, "-k 100")
        await_state(second, "MASTER")
        wait_for("both lines", lambda: _named(first) and _named(second))
        for daemon in (first, second):
            [line] = _named(daemon)
            assert f"{SHARED[families]} (MAC 00:00:5e:00:00:07)" in line.text
            assert daemon.states == ["BACKUP", "MASTER"]


def _named(daemon: Daemon) -> list[LogLine]:
    return daemon.logged("advertises from our address")


class _TaggedMaster:
    """The best master of the group, whose frames leave `host` with a VLAN tag.

    It needs no VLAN interface, which some kernels cannot make.  The receiving kernel
    removes the tag from a frame, and libpcap puts it back.
    """

    def __init__(self, host: Host, number: int, source: str = "10.9.1.1") -> None:
        self._socket = host.namespace.call(
            lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        )
        self._socket.bind(("eth0", 0))
        self._tag = pack("!HH", 0x8100, number)
        self._vips = tuple(map(ip_address, host.lab.vips))
        self._source = ip_address(source)
        self._counters = count(1)
        self._next_s = 0.0

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def speak(self) -> None:
        """Send an advert, unless one was sent less than 0.2 s ago."""
        if time.monotonic() < self._next_s:
            return
        self._next_s = time.monotonic() + 0.2
        body = payload(config(vhid=VHID, vips=self._vips), next(self._counters))
        raw = frame(body, source=self._source)
        self._socket.send(raw[:12] + self._tag + raw[12:])


@any_program
def test_tagged_adverts_are_of_another_link(program: str) -> None:
    """A better master's adverts with a VLAN tag do not keep an untagged host backup."""
    with Lab(2) as lab, closing(_TaggedMaster(lab.hosts[1], 10)) as master:
        host = lab.hosts[0]
        daemon = host.start(program, "-k 100")

        def rules() -> bool:
            master.speak()
            return len(lab.wire.adverts(host.address)) >= 5

        wait_for("a master that is left alone", rules)

        assert daemon.states == ["BACKUP", "MASTER"]
        assert daemon.logged("Bad digest") == []


@only_ours
def test_a_priority_is_no_vlan() -> None:
    """An advert whose tag has VLAN ID 0 is of this link: the tag sets a priority."""
    with Lab(2) as lab, closing(_TaggedMaster(lab.hosts[1], 0xE000)) as master:
        host = lab.hosts[0]
        daemon = host.start(OURS, "-k 100")
        until_s = time.monotonic() + 6.0  # about two master-down intervals

        def is_over() -> bool:
            master.speak()
            return time.monotonic() > until_s

        wait_for("a master that is heard", is_over)

        assert daemon.states == ["BACKUP"]
