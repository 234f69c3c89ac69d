"""Whom a daemon listens to: passwords, vhids, groups, and its own echo."""

import pytest

from tests.netns.lab import Lab
from tests.netns.scenes import (
    all_pairs,
    any_program,
    await_adverts,
    await_rule,
    await_state,
    mixed_pairs,
    start_group,
)

BROADCAST = b"\xff" * 6
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
    """Neither believes the other, and both say so."""
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
    """Both have the same key, whatever an editor has left in the file."""
    with Lab(2) as lab:
        passfile = lab.directory / "vip.pwd"
        passfile.write_bytes(content)

        master, backup = start_group(
            lab, (first, f"-o {passfile}"), (second, f"-o {passfile} -k 100 -r 1")
        )
        await_adverts(lab, lab.hosts[0], 3)

        assert (master.state, backup.states) == ("MASTER", ["BACKUP"])
        assert not backup.logged("Bad digest")


@mixed_pairs
def test_wrong_virtual_address_makes_two_masters(first: str, second: str) -> None:
    """The digest covers the address, so this looks like a wrong password."""
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
    """Two vhids do not disturb each other; that is no one's fault."""
    with Lab(2) as lab:
        lab.hosts[0].start(first, "-k 0", vhid=7)
        lab.hosts[1].start(second, "-k 100", vhid=8)

        _await_two_masters(lab)

        for host in lab.hosts:
            assert host.daemons[0].logged("Bad digest") == []


@all_pairs
def test_without_multicast_frames_are_broadcast(first: str, second: str) -> None:
    """-M changes the Ethernet destination alone; election and succession work."""
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
    """The group can be moved, in both spellings that ucarp understands."""
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
    """An advert to a group that is not ours is not for us."""
    with Lab(2) as lab:
        lab.hosts[0].start(first, "-k 0")
        lab.hosts[1].start(second, f"-k 100 --mcastip={OTHER_GROUP}")

        _await_two_masters(lab)

        for host in lab.hosts:
            assert host.daemons[0].logged("Bad digest") == []


@any_program
def test_own_echo_is_ignored(program: str) -> None:
    """A bridge that returns our frames does not make us yield to ourselves."""
    with Lab(1) as lab:
        [host] = lab.hosts
        host.echo()
        master = host.start(program, "-P")
        await_rule(lab, host, master)

        await_adverts(lab, host, 5)

        assert master.states == ["BACKUP", "MASTER"]
        assert len(lab.wire.announcements()) == 2
