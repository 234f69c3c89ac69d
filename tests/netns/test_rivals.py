"""Tests two hosts with the virtual address: both masters, or one that knows no CARP."""

import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv6Address
from itertools import pairwise

import pytest

from tests.builders import advertisement
from tests.netns.lab import VIP, VIP6, Host, Lab, wait_for
from tests.netns.scenes import (
    OURS,
    UCARP,
    all_pairs,
    await_adverts,
    await_rule,
    await_state,
    longest_own_gap_ns,
    only_ours,
    start_group,
)
from tests.netns.wire import NS_PER_S, Arp, Neighbour

STRANGER = bytes.fromhex("020000000099")
NAMED = "Another host ("
CLAIMS_PER_S = 10


def announced(lab: Lab, since_ns: int = 0) -> list[tuple[int, bytes]]:
    """Return when which MAC was announced as that of a virtual address."""
    return [
        (packet.time_ns, mac)
        for packet in lab.wire.packets
        if packet.time_ns >= since_ns
        for mac in [_announced_mac(packet)]
        if mac and str(getattr(packet, "target", None)) in lab.vips
    ]


def _announced_mac(packet: object) -> bytes | None:
    match packet:
        case Arp(is_gratuitous=True):
            return packet.sender_mac
        case Neighbour(is_announcement=True):
            return packet.link_address
    return None


@contextmanager
def claiming(host: Host, vip: str) -> Iterator[None]:
    """Let `host` announce `vip` ten times a second, with the MAC `STRANGER`."""
    if ":" in vip:
        packet = advertisement(
            target=IPv6Address(vip), options=b"\2\1" + STRANGER, flags=0x20
        )
        frame = b"\x33\x33\0\0\0\1" + STRANGER + b"\x86\xdd" + packet
    else:
        address = socket.inet_aton(vip)
        arp = b"\0\1\x08\0\6\4\0\1" + STRANGER + address + bytes(6) + address
        frame = b"\xff" * 6 + STRANGER + b"\x08\x06" + arp
    is_over = threading.Event()
    end = host.namespace.call(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
    host.namespace.call(lambda: end.bind(("eth0", 0)))

    def send() -> None:
        while not is_over.wait(1 / CLAIMS_PER_S):
            end.send(frame)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
        end.close()


@all_pairs
def test_last_announcement_after_a_partition(first: str, second: str) -> None:
    """Two masters meet again: the one that stays has the last word on the wire.

    Neighbours believe the latest announcement, and no other one follows by itself.
    """
    flags = "--announce-interval 0" if first == OURS else ""
    flags2 = "--announce-interval 0" if second == OURS else ""
    with Lab(2) as lab:
        one, other = lab.hosts
        winner, loser = start_group(
            lab, (first, f"-k 0 {flags}"), (second, f"-k 100 {flags2}")
        )
        other.isolate()
        await_state(loser, "MASTER")
        other.rejoin()
        healed_ns = time.time_ns()
        await_state(loser, "BACKUP")
        await_adverts(lab, one, 3)
        await_rule(lab, one, winner)

        # No announcement follows by itself.
        wait_for("the last word", lambda: announced(lab, healed_ns)[-1][1] == one.mac)
        assert winner.states == ["BACKUP", "MASTER"]
        if first == OURS:
            winner.signal(signal.SIGUSR1)
            wait_for("the count", lambda: bool(winner.logged("conflicts: 1")))


@only_ours
@pytest.mark.parametrize("vip", [VIP, VIP6])
def test_a_host_without_carp(vip: str) -> None:
    """It is named and answered, the up script is told, and nothing else changes.

    The script fails, which has no effect.
    """
    with Lab(3, families="6" if vip == VIP6 else "4") as lab:
        one, other, stranger = lab.hosts
        notes, up = lab.directory / "notes", lab.directory / "up-and-note"
        up.write_text(
            f'#!/bin/sh\necho "$CARPPCAP_CAUSE $CARPPCAP_RIVAL_MAC" >>{notes}\n'
            f'[ "$CARPPCAP_CAUSE" = rival ] && exit 1\nexec {lab.up} "$@"\n'
        )
        up.chmod(0o755)
        master = one.start(OURS, "-k 0 --on-conflict script", up=up)
        await_rule(lab, one, master, adverts=1)
        backup = other.start(OURS, "-k 100")
        await_state(backup, "BACKUP")
        await_adverts(lab, one, 3)

        began_ns = time.time_ns()
        with claiming(stranger, vip):
            await_adverts(lab, one, 4)
        wait_for("the last word", lambda: announced(lab)[-1][1] == one.mac)
        await_adverts(lab, one, 2)

        answers = [at for at, mac in announced(lab, began_ns) if mac == one.mac]
        claims = [at for at, mac in announced(lab, began_ns) if mac == STRANGER]
        assert answers[0] - claims[0] < NS_PER_S // 5 + lab.daemon_stalled_ns(began_ns)
        assert len(answers) >= 3
        assert all(
            later - before > 0.9 * NS_PER_S for before, later in pairwise(answers)
        )
        causes = notes.read_text().split("\n")[:-1]
        assert causes[0] == "master_down "
        assert set(causes[1:]) == {f"rival {STRANGER.hex(':')}"}
        assert 3 <= len(causes) - 1 <= len(answers)
        [line] = master.logged(NAMED)
        assert f"({STRANGER.hex(':')}) answers for {vip}" in line.text
        assert not backup.logged(NAMED)
        assert (master.states, backup.states) == (["BACKUP", "MASTER"], ["BACKUP"])
        assert longest_own_gap_ns(lab, one, began_ns) < 1.5 * NS_PER_S


@only_ours
@pytest.mark.parametrize("flags", ["", "--vmac"])
def test_our_own_frames_come_back(flags: str) -> None:
    """A switch that returns them makes no rival of this host."""
    with Lab(2) as lab:
        one, _ = lab.hosts
        one.echo()
        master = one.start(OURS, f"-k 0 --announce-interval 1 {flags}")
        await_adverts(lab, one, 5)

        assert master.state == "MASTER"
        assert not master.logged(NAMED)


@only_ours
@pytest.mark.parametrize("program", [UCARP, OURS])
def test_a_master_that_takes_over_is_no_rival(program: str) -> None:
    """ucarp announces before its first advert: not named, it has the last word."""
    with Lab(2) as lab:
        one, other = lab.hosts
        flags = "--announce-interval 0"
        master = one.start(OURS, f"-k 50 {flags}")
        await_rule(lab, one, master)
        better = other.start(program, "-k 0 -P")
        await_rule(lab, other, better, adverts=4)

        assert announced(lab)[-1][1] == other.mac
        assert not master.logged(NAMED)
        assert master.state == "BACKUP"
